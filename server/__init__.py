"""The gateway: WebSocket notifications, Server-Sent activities, and the page itself."""
