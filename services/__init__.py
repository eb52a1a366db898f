"""Real-time services for Python in the browser.

Each module stands alone; nothing here touches the DOM, and only ``browser`` imports ``js``.
"""
