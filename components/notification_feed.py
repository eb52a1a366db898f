"""`<notification-feed>`: notifications as they come over the WebSocket."""

from functools import partial
from string.templatelib import Template
from typing import Any

from pyodide.ffi import JsProxy

from components.element import Element, drawn, reactive
from components.template import repeat
from components.timing import every
from services.errors import RealtimeError
from services.expiring_list import ExpiringList
from services.feed_items import Notification, shorten
from services.platform import Cancel, Platform
from services.times import relative_time
from services.websocket_client import WebSocketClient

KEPT = 50
LIFETIME = 5.0
CLOCK_INTERVAL = 20.0

TITLE_LIMIT = 200
MESSAGE_LIMIT = 2000

STATUS = {
    "open": "● Connected",
    "authorizing": "○ Connecting …",
    "connecting": "○ Connecting …",
    "waiting": "○ Disconnected, trying again …",
    "failed": "○ Disconnected",
    "refused": "○ Disconnected: the server refuses",
    "closed": "○ Disconnected",
}


class NotificationFeed(Element):
    """Newest first, 50 at most, each for five seconds unless one is being looked at.

    Time stands still for all cards while the pointer or the focus is on any, so that
    none moves away under the pointer.
    """

    tag = "notification-feed"

    notifications = reactive[tuple[Notification, ...]](())
    status = reactive("closed")

    def __init__(self, socket: WebSocketClient, platform: Platform) -> None:
        self._socket = socket
        self._platform = platform
        self._list: ExpiringList[Notification] = ExpiringList(KEPT, LIFETIME)
        self._attention: set[str] = set()
        self._cancel_expiry: Cancel | None = None

    def connected(self) -> None:
        """Subscribe, and see to it that the socket connects."""
        self.lifetime.callback(self._socket.on("notification", self._add))
        for event in ("connected", "disconnected", "error", "reconnect-failed"):
            self.lifetime.callback(self._socket.on(event, self._show_status))
        self.lifetime.callback(every(self._platform, CLOCK_INTERVAL, self.request_update))
        self._show()
        self._show_status()
        self.start(self._connect())

    def disconnected(self) -> None:
        """Leave no timer; nobody can look at a card that is nowhere."""
        self._attention.clear()
        self._list.resume(self._platform.now())
        self._disarm()

    def render(self) -> Template:
        """Show the connection's state and the cards."""
        state = "connected" if self.status == "open" else "disconnected"
        now = self._platform.time_ms()
        cards = repeat(
            self.notifications,
            key=lambda notification: notification.id,
            render=partial(self._card, now),
            depends=lambda notification: (notification, relative_time(notification.timestamp, now)),
        )
        return t"""<section class="panel notification-feed" aria-labelledby="heading">
            <header class="panel-header">
                <h2 id="heading" tabindex="-1">Notifications</h2>
                <div class="connection-status {state}" role="status">{STATUS[self.status]}</div>
            </header>
            <div class="notifications" role="log" aria-labelledby="heading" aria-relevant="additions"
                @pointerenter={partial(self._attend, "pointer")}
                @pointerleave={partial(self._ignore, "pointer")}
                @focusin={partial(self._attend, "focus")}
                @focusout={partial(self._ignore, "focus")}>{cards}</div>
            {not self.notifications and t'<p class="empty">No notifications</p>'}
        </section>"""

    def _card(self, now: float, notification: Notification) -> Template:
        title = shorten(notification.title, TITLE_LIMIT)
        return t"""<article class="notification {notification.type}" data-id={notification.id}>
            <div class="notification-header">
                <strong><span class="visually-hidden">{notification.type}: </span><bdi>{title}</bdi></strong>
                <button class="dismiss" type="button" aria-label="Dismiss {title}"
                    @click={partial(self._dismiss, notification)}>×</button>
            </div>
            <div class="notification-body" dir="auto">{shorten(notification.message, MESSAGE_LIMIT)}</div>
            <div class="notification-time">{relative_time(notification.timestamp, now)}</div>
        </article>"""

    async def _connect(self) -> None:
        try:
            await self._socket.connect()
        except RealtimeError:
            # The socket goes on trying, or says for good that it does not: both show in the status.
            self._show_status()

    def _show_status(self, _: Any = None) -> None:
        self.status = self._socket.state

    def _add(self, payload: Any) -> None:
        notification = Notification.from_payload(payload, self._platform.time_ms())
        self._list.add(notification, self._platform.now())
        self._show()

    def _dismiss(self, notification: Notification, event: JsProxy) -> None:
        if notification not in self.notifications:
            return  # a second click, before the card was gone from the screen
        position = self.notifications.index(notification)
        self._list.remove(notification.id)
        self._show()
        # UI Events: the detail of a click is its count, and 0 when a key made it.
        self.start(self._settle_focus(position if event.detail == 0 else None))

    async def _settle_focus(self, position: int | None) -> None:
        # The focused button goes with its card. Who works with keys gets the card that takes its
        # place; for the others the focus is gone, of which no event tells.
        await drawn()
        if position is not None:
            buttons = self.root.querySelectorAll(".dismiss")
            last = buttons.length - 1
            (buttons[min(position, last)] if last >= 0 else self.root.querySelector("h2")).focus()
        self._show()

    def _attend(self, by: str, event: JsProxy) -> None:
        self._attention.add(by)
        self._list.pause(self._platform.now())
        self._show()

    def _ignore(self, by: str, event: JsProxy) -> None:
        self._attention.discard(by)
        self._show()

    def _show(self) -> None:
        if "focus" in self._attention and not self.root.querySelector(".notifications :focus"):
            self._attention.discard("focus")
        if not self._attention:
            self._list.resume(self._platform.now())
        self._list.expire(self._platform.now())
        self.notifications = self._list.items
        self._arm()

    def _arm(self) -> None:
        # A timer that runs already is early enough: later cards expire later.
        expiry = self._list.next_expiry()
        if self._cancel_expiry is None and expiry is not None:
            delay = expiry - self._platform.now()
            self._cancel_expiry = self._platform.call_later(delay, self._expire)

    def _disarm(self) -> None:
        if self._cancel_expiry is not None:
            self._cancel_expiry()
            self._cancel_expiry = None

    def _expire(self) -> None:
        self._cancel_expiry = None
        self._show()

    styles = """
    .connection-status, .notification-time { font-size: 0.8125rem; }
    .connection-status.connected { color: var(--success); }
    .connection-status.disconnected { color: var(--text-quiet); }

    .notifications { max-height: min(32rem, 80vh); overflow-y: auto; }

    .notification {
      margin: 0.75rem;
      padding: 0.75rem 1rem;
      border: 1px solid var(--line);
      border-inline-start: 4px solid var(--kind, var(--info));
      border-radius: 0.5rem;
      background: var(--surface);
      animation: arrive 0.25s ease-out;
    }

    .notification.success { --kind: var(--success); }
    .notification.warning { --kind: var(--warning); }
    .notification.error { --kind: var(--error); }

    .notification-header { display: flex; justify-content: space-between; gap: 0.75rem; }
    .notification-header strong { font-weight: 600; }
    .notification-body { white-space: pre-line; }
    .notification-time { margin-top: 0.25rem; color: var(--text-quiet); }

    .dismiss {
      flex: none;
      width: 1.75rem;
      height: 1.75rem;
      margin: -0.25rem -0.5rem 0 0;
      padding: 0;
      border-color: transparent;
      background: none;
      color: var(--text-quiet);
      font-size: 1.25rem;
      line-height: 1;
    }

    @keyframes arrive { from { opacity: 0; transform: translateX(1.5rem); } }
    @media (prefers-reduced-motion: reduce) { .notification { animation: none; } }
    """
