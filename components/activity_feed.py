"""`<activity-feed>`: what people did, as it comes over Server-Sent Events."""

from functools import partial
from string.templatelib import Template
from typing import Any

from components.element import Element, reactive
from components.template import repeat
from components.timing import every
from components.words import explain
from services.errors import RealtimeError
from services.feed_items import Activity, shorten
from services.gateway_api import GatewayAPI
from services.platform import Platform
from services.sse_client import SSEClient
from services.times import relative_time

KEPT = 100
LOADED_AT_FIRST = 20
CLOCK_INTERVAL = 20.0
TEXT_LIMIT = 200


class ActivityFeed(Element):
    """Newest first, 100 at most; begins with the last 20."""

    tag = "activity-feed"

    activities = reactive[tuple[Activity, ...]](())
    live = reactive(False)
    loading = reactive(False)
    problem = reactive("")

    def __init__(self, events: SSEClient, api: GatewayAPI, platform: Platform) -> None:
        self._events = events
        self._api = api
        self._platform = platform
        self._joined = False
        self._stale = False
        self._streamed: tuple[Activity, ...] = ()

    def connected(self) -> None:
        """Subscribe, connect the stream and load what was before."""
        subscribe = self._events.on
        self.lifetime.callback(subscribe("activity", self._add))
        self.lifetime.callback(subscribe("connected", self._opened))
        self.lifetime.callback(subscribe("disconnected", self._closed))
        self.lifetime.callback(subscribe("reset", self._reset))
        self.lifetime.callback(every(self._platform, CLOCK_INTERVAL, self.request_update))
        self.live = self._joined = self._events.is_connected
        self._events.connect()
        self._load()

    def disconnected(self) -> None:
        """A load under way ends with the element's time in the page."""
        self.loading = False

    def render(self) -> Template:
        """Show the stream's state and the activities."""
        status = "live" if self.live else "offline"
        now = self._platform.time_ms()
        items = repeat(
            self.activities,
            key=lambda activity: activity.id,
            render=partial(self._item, now),
            depends=lambda activity: (activity, relative_time(activity.timestamp, now)),
        )
        return t"""<section class="panel activity-feed" aria-labelledby="heading">
            <header class="panel-header feed-header">
                <h2 id="heading">Activity</h2>
                <span class="status {status}" role="status">{"● Live" if self.live else "○ Offline"}</span>
            </header>
            <div class="activities" role="log" tabindex={"0" if self.activities else None} aria-labelledby="heading" aria-relevant="additions" aria-busy={self.loading}>{items}</div>
            {self._notice()}
        </section>"""

    def _notice(self) -> Template | None:
        if self.loading and not self.activities:
            return t'<p class="loading">Loading recent activity …</p>'
        if self.problem:
            return t"""<div class="problem" role="alert">
                <p>Recent activity could not be loaded: {self.problem}</p>
                <button type="button" @click={self._load}>Try again</button>
            </div>"""
        return None if self.activities else t'<p class="empty">No recent activity</p>'

    def _item(self, now: float, activity: Activity) -> Template:
        name = shorten(activity.user_name, TEXT_LIMIT)
        return t"""<article class="activity-item" data-id={activity.id}>
            <div class="activity-avatar" aria-hidden="true">{name[:1].upper()}</div>
            <div class="activity-content">
                <div class="activity-text">
                    <strong><bdi>{name}</bdi></strong>
                    <bdi>{shorten(activity.action, TEXT_LIMIT)}</bdi>
                    <em><bdi>{shorten(activity.target, TEXT_LIMIT)}</bdi></em>
                </div>
                <div class="activity-time">{relative_time(activity.timestamp, now)}</div>
            </div>
        </article>"""

    def _opened(self, _: Any) -> None:
        self.live = True
        # What happened between the first loading and the stream's beginning is in neither.
        if not self._joined or self.problem:
            self._joined = True
            self._load()

    def _closed(self, _: Any) -> None:
        self.live = False

    def _add(self, payload: Any) -> None:
        activity = Activity.from_payload(payload, self._platform.time_ms())
        self._streamed = merge((activity,), self._streamed)
        self.activities = merge((activity,), self.activities)

    def _reset(self, _: Any) -> None:
        # What is shown may be of another log, or have a gap after it.
        self.activities = ()
        self._load()

    def _load(self, _: Any = None) -> None:
        self._stale = True
        if not self.loading:
            self.loading = True
            self.start(self._fetch())

    async def _fetch(self) -> None:
        while self._stale:
            self._stale = False
            self._streamed = ()
            try:
                payloads = await self._api.recent_activities(LOADED_AT_FIRST)
            except RealtimeError as error:
                self.problem = explain(error)
                continue
            now = self._platform.time_ms()
            loaded = tuple(Activity.from_payload(payload, now) for payload in payloads)
            # What came on the stream meanwhile is newer than the list, all else older.
            self.activities = merge(self._streamed, loaded, self.activities)
            self.problem = ""
        self.loading = False

    styles = """
    .status { font-size: 0.8125rem; }
    .status.live { color: var(--success); }
    .status.offline { color: var(--text-quiet); }

    .activities { max-height: min(32rem, 80vh); overflow-y: auto; }

    .activity-item {
      display: flex;
      gap: 0.875rem;
      padding: 0.75rem 1rem;
      border-bottom: 1px solid var(--line);
      animation: arrive 0.25s ease-out;
    }

    .activity-item:last-child { border-bottom: none; }

    .activity-avatar {
      display: grid;
      place-items: center;
      flex: none;
      width: 2.5rem;
      height: 2.5rem;
      border-radius: 50%;
      background: var(--accent);
      color: var(--on-accent);
      font-weight: 600;
    }

    .activity-content { flex: 1; min-width: 0; }
    .activity-time { color: var(--text-quiet); font-size: 0.8125rem; }

    @keyframes arrive { from { opacity: 0; transform: translateY(-0.5rem); } }
    @media (prefers-reduced-motion: reduce) { .activity-item { animation: none; } }
    """


def merge(*newest_first: tuple[Activity, ...]) -> tuple[Activity, ...]:
    """Join lists, newest first; a repeated id is the same activity, seen twice."""
    merged: dict[str, Activity] = {}
    for activities in newest_first:
        for activity in activities:
            merged.setdefault(activity.id, activity)
    return tuple(merged.values())[:KEPT]
