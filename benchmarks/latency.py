"""From the POST of a notification to its card on the screen.

The page posts to its own gateway with `fetch`, so that one clock times everything. The time ends
when Chromium reports as presented the very frame in which the card was put into the shadow DOM.
"""

from __future__ import annotations

from playwright.sync_api import Browser, Page

from benchmarks.trace import recording
from benchmarks.update import fill
from tests.support.gateway import Gateway

SAMPLES = 50

# Posts one notification after another, at random moments of the frame.
POST = """
async (samples) => {
  const root = document.querySelector("notification-feed").shadowRoot;
  const pause = (time) => new Promise((resolve) => setTimeout(resolve, time));
  for (let sample = 0; sample < samples; sample += 1) {
    const title = `Sample ${sample}.`;
    const shown = new Promise((resolve) => {
      const observer = new MutationObserver(() => {
        if (!root.querySelector(".notification")?.textContent.includes(title)) return;
        performance.mark("shown");
        observer.disconnect();
        resolve();
      });
      observer.observe(root, { childList: true, subtree: true });
    });
    performance.mark("posted");
    await fetch("./api/notifications", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ title, message: "How long until this can be seen?" }),
    });
    await shown;
    await pause(30 + 30 * Math.random());
  }
}
"""


def measure(browser: Browser, page: Page, gateway: Gateway) -> dict[str, list[float]]:
    """Return the milliseconds until each card was in the DOM, and until it was presented."""
    fill(gateway)
    with recording(browser, page) as trace:
        page.evaluate(POST, SAMPLES)
    posted, shown, frames = trace.moments("posted"), trace.moments("shown"), trace.frames()
    assert len(posted) == len(shown) == SAMPLES, "the trace lacks marks"
    presented = [
        # The frame that was being made then, or else the next.
        next(frame.presented for frame in frames if frame.end >= moment)
        for moment in shown
    ]
    return {
        "latency_dom": [end - start for start, end in zip(posted, shown, strict=True)],
        "latency": [end - start for start, end in zip(posted, presented, strict=True)],
    }
