"""What the services need of a browser, as protocols.

``browser`` implements them with JavaScript, the tests with a fake clock and fake sockets.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from .errors import ConfigurationError, StorageFailed
from .replica import DocumentStore, Replica, ReplicaListener

Callback = Callable[[], None]
Cancel = Callable[[], None]
"""Undoes what returned it. Calling it twice does nothing more."""

Frame = str | bytes | dict[str, Any]
"""A text frame, a binary one, or a text frame that held a JSON object, which is here parsed."""


class StreamEvent(NamedTuple):
    """A server-sent event. `last_event_id` is "" until its stream carried an id.

    Where `data` is no text it held a JSON object, which is here parsed.
    """

    event: str
    data: str | dict[str, Any]
    last_event_id: str


class SocketListener(Protocol):
    """Hears of one socket. Nothing is heard after `Socket.close`, nor after `closed`."""

    def opened(self) -> None:
        """Hear that the handshake succeeded."""

    def received(self, frames: Sequence[Frame]) -> None:
        """Take the frames that have come, oldest first: one when idle, many under load."""

    def closed(self, code: int, reason: str) -> None:
        """Hear that the socket is closed, or never opened (then `code` is 1006)."""


class Socket(Protocol):
    """One WebSocket."""

    @property
    def buffered(self) -> int:
        """Bytes that were handed over and have not gone to the network yet."""

    def send(self, frame: str | bytes) -> None:
        """Hand a frame to the browser. Does nothing on a socket that is closing."""

    def close(self, code: int, reason: str) -> None:
        """Close, and hear nothing more of it. `code` is 1000 or 3000–4999."""


class EventStreamListener(Protocol):
    """Hears of one event stream. Nothing is heard after it is cancelled, nor after `closed`."""

    def opened(self, position: str) -> None:
        """A 200 with the right content type came.

        `position` is the answer's header Last-Event-ID, where the stream begins, or "".
        """

    def alive(self) -> None:
        """Hear that bytes came, if only a comment. May be told once for many chunks."""

    def received(self, events: Sequence[StreamEvent]) -> None:
        """Take the events that have come, oldest first: one when idle, many under load."""

    def positioned(self, last_event_id: str) -> None:
        """Hear of an id that came without an event, or that all that was missed has come."""

    def retry_in(self, delay: float) -> None:
        """Hear how long the server wants a client to wait before it reconnects, in seconds."""

    def closed(self, status: int | None, reason: str, retry_after: float | None) -> None:
        """Hear that the stream ended or was refused.

        `status` is that of a refusal and None for a network error or the end of the stream;
        `retry_after` the seconds of its Retry-After header.
        """


class Watcher(Protocol):
    """Hears of the network, and of how the page stands with the person before it."""

    def online(self) -> None:
        """Hear that there is a network."""

    def offline(self) -> None:
        """Hear that there is none."""

    def visible(self) -> None:
        """Hear that the page came into view."""

    def hidden(self) -> None:
        """Hear that it went out of view."""

    def left(self, kept: bool) -> None:
        """Hear that the page is left for another; `kept` in the back/forward cache, or not."""

    def returned(self) -> None:
        """Hear that it came back from the back/forward cache."""


class Channel(Protocol):
    """One end of a broadcast channel: what one posts, all others of its name receive, in order."""

    def post(self, text: str) -> None:
        """Hand over the JSON value that `text` is. Does nothing once closed."""

    def close(self) -> None:
        """Hear and say nothing more."""


class WorkerListener(Protocol):
    """Hears of one worker. Nothing is heard after `Worker.terminate`, nor after `failed`."""

    def received(self, header: object, buffers: list[bytes]) -> None:
        """Take a message: whatever came in a header's place, and its buffers."""

    def failed(self, reason: str) -> None:
        """Hear that it could not be started, or that an exception there was caught by nobody."""


class Worker(Protocol):
    """One Python worker."""

    def post(self, header: str, buffers: Sequence[bytes]) -> None:
        """Send a message; its buffers are transferred."""

    def stop_sign(self) -> str:
        """Return a URL at which there is something until `raise_stop_sign` is called.

        A worker can look there in the middle of what it does, when it can receive no message.
        """

    def raise_stop_sign(self) -> None:
        """Let there be nothing at the URL any more; the next one is another."""

    def terminate(self) -> None:
        """End it where it stands, and hear nothing more of it."""


@dataclass(frozen=True, slots=True)
class HTTPAnswer:
    """The status and the body of an HTTP answer."""

    status: int
    text: str


class Platform(Protocol):
    """A browser's window or worker. Times are in seconds unless the name says otherwise."""

    def now(self) -> float:
        """Return a monotonic time. Its zero means nothing."""

    def time_ms(self) -> int:
        """Return the wall clock: milliseconds since 1970."""

    def random(self) -> float:
        """Return a random number in [0, 1)."""

    def call_later(self, delay: float, callback: Callback) -> Cancel:
        """Call `callback` once, `delay` from now or later."""

    def resolve(self, url: str, *, websocket: bool = False) -> str:
        """Return `url` made absolute against the page; http(s) becomes ws(s) if `websocket`.

        Raises ConfigurationError if it is no URL, or one of another scheme.
        """

    def open_websocket(
        self, url: str, listener: SocketListener, *, background: bool = False
    ) -> Socket:
        """Start to open a socket. `listener` is never called before this returns.

        `background` keeps the browser's own work for each frame off the page's thread.

        Raises ConnectionFailed where the browser refuses at once.
        """

    def open_event_stream(
        self,
        url: str,
        listener: EventStreamListener,
        *,
        with_credentials: bool,
        last_event_id: str,
        token: str | None,
    ) -> Cancel:
        """Start to open one event stream; it never reconnects. Return what closes it.

        `token` goes into an Authorization header. `listener` is never called before this returns.
        Raises ConfigurationError if the page lacks ``runtime/event_stream.js``.
        """

    async def fetch(
        self,
        method: str,
        url: str,
        *,
        body: str | None = None,
        token: str | None = None,
        with_credentials: bool = False,
        timeout: float,  # noqa: ASYNC109
    ) -> HTTPAnswer:
        """Send an HTTP request with the page's cookies; `body` is JSON text.

        `token` goes into an Authorization header; `with_credentials` sends cookies to other
        origins too.

        Raises ConnectionFailed when there is no answer, RequestTimeout when none in time.
        """

    @property
    def is_visible(self) -> bool:
        """Whether the page is in view; in a worker, always."""

    def watch(self, watcher: Watcher) -> Cancel:
        """Tell `watcher` of every change from now on."""

    def stored(self, key: str) -> str | None:
        """Return what this tab keeps under `key` across reloads; None if nothing, or no storage."""

    def store(self, key: str, value: str) -> None:
        """Keep `value` under `key` for this tab. Does nothing where storage is denied or full."""

    def remembered(self, key: str) -> str | None:
        """Return what all tabs keep under `key`, also when all are closed; None if nothing."""

    def remember(self, key: str, value: str | None) -> None:
        """Keep `value` there, or with None forget it. Does nothing where storage is denied."""

    @property
    def title(self) -> str:
        """The page's title; in a worker, none."""

    def watch_title(self, changed: Callback) -> Cancel:
        """Tell of every change of the title from now on."""

    @property
    def can_share(self) -> bool:
        """Whether there are both channels and locks, so that tabs can act as one."""

    def open_channel(self, name: str, received: Callable[[str | None], None]) -> Channel | None:
        """Open an end of the channel `name`, or return None where there are no channels.

        `received` gets what other ends post as JSON text, or None for what cannot be JSON:
        anybody's page of this origin may post anything. It is not told what this end posts.
        """

    def hold_lock(
        self,
        name: str,
        *,
        acquired: Callback,
        lost: Callback = lambda: None,
        shared: bool = False,
        steal: bool = False,
    ) -> Cancel:
        """Wait for the lock `name` among all tabs of this origin; return what lets it go.

        `acquired` is called once it is held, never before this returns; `lost` if somebody
        steals it, or if there are no locks. It is let go with the page, however that ends.
        `shared` locks exclude only those that are not; `steal` takes it from whoever has it.
        """

    async def held_locks(self) -> list[str]:
        """Return the names of the locks that a tab of this origin holds now, without sharing."""

    async def token_in_vault(self) -> str | None:
        """Return what `put_token_in_vault` put last, in any tab; None if nothing, or no vault.

        The vault is memory that the origin's tabs share, gone with the last of them. No other
        origin, no storage and no channel ever sees what is in it.
        """

    async def put_token_in_vault(self, text: str | None) -> None:
        """Put `text` into the vault, or with None empty it. Does nothing where there is none."""

    @property
    def processors(self) -> int:
        """How many things the machine can do at once, at least 1."""

    def open_worker(self, listener: WorkerListener) -> Worker:
        """Start a worker with ``workers/start.py``. `listener` is never called before this returns.

        Raises ConfigurationError where there is no PyScript that can.
        """

    async def open_replica(self, listener: ReplicaListener) -> Replica:
        """Make an empty replica of a document. `listener` is never called before this returns.

        Raises ConfigurationError if the page lacks ``runtime/documents.js``.
        """

    async def open_document_store(
        self, name: str, failed: Callable[[StorageFailed], None]
    ) -> DocumentStore:
        """Open what this browser keeps of the document `name`; `failed` as DocumentStore says.

        Raises StorageFailed where storage is denied or broken.
        """

    def mark(self, name: str) -> None:
        """Note this moment in the browser's timeline (User Timing, `performance.mark`)."""

    def report(self, error: BaseException) -> None:
        """Show an exception nobody caught, with its traceback, in the console."""


def default_platform() -> Platform:
    """Return the browser this runs in. Raises ConfigurationError where there is none."""
    try:
        from .browser import BrowserPlatform
    except ImportError as error:
        raise ConfigurationError(
            f"platform: expected one to be passed outside a browser, came none ({error})"
        ) from error
    return BrowserPlatform()
