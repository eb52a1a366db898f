"""`<connection-inspector>`: how the connections are, what they carry, and buttons to try them."""

from collections.abc import Mapping
from functools import partial
from string.templatelib import Template
from typing import Any

from pyodide.ffi import JsProxy
from pyscript.js_modules import chart  # defines <line-chart>

from components.close_words import close_words
from components.element import Element, reactive
from components.gauge import INTERVAL, SPAN, Gauge
from components.template import repeat
from components.timing import every
from components.watching import Onlooker
from components.words import explain
from services.close_codes import NORMAL_CLOSURE
from services.connection_stats import ConnectionStats
from services.errors import Disconnected, RealtimeError
from services.feed_items import shorten
from services.platform import Cancel, Platform
from services.sse_client import SSEClient
from services.websocket_client import WebSocketClient

type Client = WebSocketClient | SSEClient

PING_INTERVAL = 5.0
"""Seconds between pings while somebody looks; a client's own heartbeat is slower."""

REASON_LIMIT = 100

LIFECYCLE = ("connected", "disconnected", "error", "reconnect-failed")

TRYING = frozenset({"authorizing", "connecting"})
AT_REST = frozenset({"closed", "failed", "refused", "ended"})

STATES = {
    "closed": "closed",
    "authorizing": "asking for an address or a token",
    "connecting": "connecting",
    "open": "open",
    "waiting": "waiting to try again",
    "failed": "given up until the network or the page comes back",
    "refused": "refused: it is not tried again",
    "ended": "ended: it is not tried again",
}


class ConnectionInspector(Element):
    """One part for each connection, by name. Samples them once a second while the page is seen.

    What it looks at are counters that the clients keep anyway: a message costs nothing more.
    """

    tag = "connection-inspector"

    samples = reactive(0)

    def __init__(self, connections: Mapping[str, Client], platform: Platform) -> None:
        self._connections = [Connection(name, client) for name, client in connections.items()]
        self._platform = platform
        self._end_sampling: Cancel | None = None

    def connected(self) -> None:
        """Hear of every change of state, and sample while somebody looks."""
        for connection in self._connections:
            for event in LIFECYCLE:
                self.lifetime.callback(connection.client.on(event, self._changed))
        self.lifetime.callback(self._platform.watch(Onlooker(self._begin, self._end)))
        self.lifetime.callback(self._end)
        if self._platform.is_visible:
            self._begin()

    def disconnected(self) -> None:
        """Nobody is left who could end what is simulated here."""
        for connection in self._connections:
            connection.simulate_offline(False)

    def render(self) -> Template:
        """Show every connection."""
        parts = repeat(self._connections, key=lambda each: each.name, render=self._part)
        return t"""<section class="panel connection-inspector" aria-labelledby="heading">
            <header class="panel-header">
                <h2 id="heading">Connections</h2>
                {self._connections and t'<span class="span">the last {SPAN} seconds</span>'}
            </header>
            <div class="connections">{parts}</div>
            {not self._connections and t'<p class="empty">No connections</p>'}
        </section>"""

    def _part(self, connection: Connection) -> Template:
        name, now = connection.name, self._platform.now()
        stats = connection.look()
        kind, mark, words = status(stats, connection.is_offline)
        trip = connection.round_trip
        return t"""<article class="connection" data-id={name} aria-label={name}>
            <header class="connection-header">
                <h3><bdi>{name}</bdi></h3>
                <div class="connection-status {kind}" role="status">
                    <span class="mark" aria-hidden="true">{mark}</span><span class="visually-hidden">{name}: </span>{words}
                </div>
            </header>
            <div class="gauges">
                {self._chart(connection.rate, now)}
                {self._chart(trip, now) if trip else t'<p class="one-way">Events only come in: there is no round trip to measure.</p>'}
            </div>
            <dl class="figures">{[t"<div class={kind}><dt>{term}</dt><dd>{what}</dd></div>" for kind, term, what in figures(connection, stats)]}</dl>
            <p class="trouble" role="alert">{connection.trouble}</p>
            {self._buttons(connection, stats)}
        </article>"""

    def _chart(self, gauge: Gauge, now: float) -> Template:
        times, values = gauge.points(now)
        return t"""<figure class="gauge {gauge.kind}">
            <figcaption>{gauge.label} <strong class="latest">{gauge.latest}</strong></figcaption>
            <line-chart span={SPAN} ?steps={gauge.holds} role="img" aria-label={gauge.description} .series={[times, values]}></line-chart>
            <p class="summary">{gauge.summary}</p>
        </figure>"""

    def _buttons(self, connection: Connection, stats: ConnectionStats) -> Template:
        name = t'<span class="visually-hidden"> {connection.name}</span>'
        rests, offline = stats.state in AT_REST, connection.is_offline
        return t"""<div class="buttons" role="group" aria-label={connection.name}>
            <button type="button" class="toggle" @click={partial(self._toggle, connection)}>{"Connect" if rests else "Disconnect"}{name}</button>
            <button type="button" class="reconnect" aria-disabled={rests or offline} @click={partial(self._reconnect, connection)}>Reconnect{name}</button>
            <button type="button" class="offline" aria-disabled={rests and not offline} aria-pressed={offline} @click={partial(self._simulate, connection)}>Simulate offline{name}</button>
        </div>"""

    # What the buttons do. One that makes no sense keeps the focus, and does nothing.

    def _toggle(self, connection: Connection, event: JsProxy) -> None:
        connection.trouble = ""
        if connection.look().state in AT_REST:
            self.start(self._connect(connection))
        else:
            connection.client.disconnect()
        self.request_update()

    async def _connect(self, connection: Connection) -> None:
        try:
            attempt = connection.client.connect()
            if attempt is not None:
                await attempt
        except Disconnected as error:
            # 1000 is a person's wish.
            if error.code != NORMAL_CLOSURE:
                connection.trouble = f"Not connected: {close_words(error.code, error.reason)}"
        except RealtimeError as error:
            connection.trouble = f"Not connected: {explain(error)}"
        self.request_update()

    def _reconnect(self, connection: Connection, event: JsProxy) -> None:
        if connection.look().state in AT_REST or connection.is_offline:
            return
        connection.trouble = ""
        # Not `disconnect`, which forgets what waits to be sent.
        connection.client.pause("reconnect")
        connection.client.unpause()
        self.request_update()

    def _simulate(self, connection: Connection, event: JsProxy) -> None:
        if connection.look().state in AT_REST and not connection.is_offline:
            return
        connection.trouble = ""
        connection.simulate_offline(not connection.is_offline)
        self.request_update()

    # When it looks

    def _changed(self, _: Any) -> None:
        self.request_update()

    def _begin(self) -> None:
        if self._end_sampling is None:
            for connection in self._connections:
                connection.begin()
            self._end_sampling = every(self._platform, INTERVAL, self._sample)
            self._sample()

    def _end(self) -> None:
        if self._end_sampling is not None:
            self._end_sampling()
            self._end_sampling = None

    def _sample(self) -> None:
        for connection in self._connections:
            connection.sample(self._platform.now())
        self.samples += 1

    styles = (
        chart.css
        + """
    .span { color: var(--text-quiet); font-size: 0.8125rem; }

    .connections {
      display: grid;
      grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr));
      gap: 1px;
      background: var(--line);
    }
    .connections:empty { display: none; }

    .connection {
      display: flex;
      flex-direction: column;
      gap: 0.875rem;
      min-width: 0;
      padding: 0.875rem 1rem 1rem;
      background: var(--surface);
    }

    .connection-header { display: flex; flex-wrap: wrap; align-items: baseline; justify-content: space-between; gap: 0 1rem; }
    h3 { margin: 0; font-size: 0.9375rem; font-weight: 600; }

    .connection-status { font-size: 0.8125rem; }
    .connection-status.connected { color: var(--success); }
    .connection-status.disconnected { color: var(--text-quiet); }
    .connection-status.refused { color: var(--error); }
    .mark { margin-inline-end: 0.35em; }

    .gauges { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 11rem), 1fr)); gap: 1rem; }

    .gauge { margin: 0; min-width: 0; }
    .gauge figcaption { display: flex; flex-wrap: wrap; align-items: baseline; justify-content: space-between; gap: 0 0.5rem; color: var(--text-quiet); font-size: 0.8125rem; }
    .latest { color: var(--text); font-weight: 600; font-variant-numeric: tabular-nums; }
    .summary { color: var(--text-quiet); font-size: 0.75rem; font-variant-numeric: tabular-nums; }

    line-chart {
      --chart-line: var(--accent);
      --chart-fill: color-mix(in srgb, var(--accent) 14%, transparent);
      --chart-grid: var(--line);
      --chart-text: var(--text-quiet);
      display: block;
      height: 4.75rem;
      margin-block: 0.25rem;
      overflow: hidden;
    }

    @media (forced-colors: active) {
      line-chart { --chart-line: CanvasText; --chart-fill: transparent; --chart-grid: GrayText; --chart-text: CanvasText; }
    }

    .one-way { align-self: center; color: var(--text-quiet); font-size: 0.8125rem; }

    .figures {
      display: grid;
      grid-template-columns: repeat(auto-fill, minmax(7.5rem, 1fr));
      gap: 0.5rem 1rem;
      margin: 0;
    }
    .figures > .wide { grid-column: 1 / -1; display: grid; grid-template-columns: 5rem minmax(0, 1fr); align-items: baseline; }
    .figures > .wide + .wide { margin-top: -0.25rem; }
    dt { color: var(--text-quiet); font-size: 0.75rem; }
    dd { margin: 0; font-size: 0.875rem; font-variant-numeric: tabular-nums; }
    .reason { color: var(--text-quiet); }
    summary.reason { cursor: pointer; }

    .trouble { color: var(--error); font-size: 0.875rem; }
    .trouble:empty { display: none; }

    .buttons { display: flex; flex-wrap: wrap; gap: 0.5rem; margin-top: auto; }
    .buttons button { padding: 0.375rem 0.75rem; font-size: 0.875rem; }
    .buttons button[aria-disabled="true"] { cursor: default; border-color: var(--line); }
    .buttons button[aria-pressed="true"] { border-color: var(--accent); background: var(--accent); color: var(--on-accent); }
    """
    )


class Connection:
    """A client, what was measured of it, and what was done to it here."""

    def __init__(self, name: str, client: Client) -> None:
        self.name = name
        self.client = client
        self.trouble = ""
        self.is_offline = False
        self.goes_both_ways = hasattr(client, "ping")
        self.rate = Gauge("rate", "Receiving", "/s", " per second")
        self.round_trip = None
        if self.goes_both_ways:
            self.round_trip = Gauge("round-trip", "Round trip", " ms", " milliseconds", holds=True)
        self.begin()

    def look(self) -> ConnectionStats:
        """Return the client's figures of this moment."""
        stats = self.client.stats
        if stats.state in TRYING or stats.state == "open":
            # Somebody else has ended the pause: a page that came back, for one.
            self.is_offline = False
        if stats.state == "open":
            self.trouble = ""
        return stats

    def simulate_offline(self, wanted: bool) -> None:
        """Let the client behave as if there were no network, or no longer so."""
        if wanted and not self.is_offline:
            self.is_offline = True
            self.client.pause("simulated offline")
        elif self.is_offline and not wanted:
            self.is_offline = False
            self.client.unpause()

    def begin(self) -> None:
        """Begin to sample: what came before is no measure of the next second."""
        self._before: tuple[float, int] | None = None
        self._was_open = False
        self._ping_at = 0.0

    def sample(self, now: float) -> None:
        """Take one sample of each figure."""
        stats = self.look()
        is_open = stats.state == "open"
        before, self._before = self._before, (now, stats.received)
        rate = None
        if before is not None and now > before[0]:
            received = max(0, stats.received - before[1])
            if is_open or received:
                rate = received / (now - before[0])
        self.rate.add(now, rate)
        if self.round_trip is not None:
            # The last of a former connection says nothing of this one.
            known = is_open and self._was_open and stats.round_trip is not None
            self.round_trip.add(now, stats.round_trip * 1000 if known else None)
            if is_open and (not self._was_open or now >= self._ping_at):
                self._ping_at = now + PING_INTERVAL - INTERVAL / 2
                self.client.ping()
        self._was_open = is_open


def status(stats: ConnectionStats, is_offline: bool) -> tuple[str, str, str]:
    """Return class, mark and words for a connection's state.

    Each attempt to reconnect passes through several states, and the words, which are
    announced, are the same in all of them.
    """
    state = stats.state
    match state:
        case "open":
            return "connected", "●", "Connected"
        case "closed":
            return "disconnected", "○", "Disconnected"
        case "failed":
            return "disconnected refused", "✕", "Disconnected: too many attempts have failed"
        case "refused" | "ended":
            return "disconnected refused", "✕", "Disconnected: the server refuses"
    if is_offline:
        return "disconnected", "○", "Disconnected: simulated offline"
    if state in TRYING and not stats.attempts:
        return "disconnected", "◌", "Connecting …"
    return "disconnected", "◌", "Disconnected, trying again …"


def figures(connection: Connection, stats: ConnectionStats) -> list[tuple[str, str, Any]]:
    """Return class, term and value of what is shown as text alone."""
    paused = "paused: simulated offline"
    state = paused if connection.is_offline else STATES.get(stats.state, stats.state)
    found: list[tuple[str, str, Any]] = [
        ("state wide", "State", state),
        ("last-close wide", "Last close", last_close(*stats.last_close or (None, "none yet"))),
        ("attempts", "Attempts", f"{stats.attempts:,}"),
        ("received", "Received", f"{stats.received:,}"),
    ]
    if connection.goes_both_ways:
        found += [
            ("sent", "Sent", f"{stats.sent:,}"),
            ("queued", "Queued", f"{stats.queued:,}"),
            ("unacknowledged", "Unacknowledged", f"{stats.unacknowledged:,}"),
            ("dropped", "Dropped", f"{stats.dropped:,}"),
            ("buffered", "Held by the browser", f"{stats.buffered:,} B"),
        ]
    return found


def last_close(code: int | None, reason: str) -> str | Template:
    """Say why a connection ended last; a long reason is folded up."""
    words, reason = close_words(code, reason), reason.strip()
    # Without a number the words are the reason, or better; and a status alone is no reason.
    if code is None or not reason or reason.endswith(f"HTTP {code}"):
        return words
    if len(reason) <= REASON_LIMIT:
        return t'{words} <bdi class="reason">“{reason}”</bdi>'
    return t"""{words}
        <details>
            <summary class="reason"><bdi>“{shorten(reason, REASON_LIMIT)}”</bdi></summary>
            <bdi>{reason}</bdi>
        </details>"""
