"""`<tab-list>`: the tabs of this application as they come and go, and notes among them."""

import itertools
from dataclasses import dataclass
from functools import partial
from string.templatelib import Template
from typing import Any

from pyodide.ffi import JsProxy

from components.element import Element, reactive
from components.template import repeat
from components.timing import every
from components.words import counted, explain
from services.errors import RealtimeError
from services.feed_items import shorten
from services.platform import Platform
from services.tab_sync import Tab, TabSync
from services.times import relative_time

NOTE = "note"
KEPT = 20
NOTE_LIMIT = 500
TITLE_LIMIT = 200
CLOCK_INTERVAL = 20.0

SHORT_ID = 12
"""Characters of a sender's id that a note shows: enough to find it in the list."""

LIFECYCLE = ("tabs-changed", "tab-connected", "tab-disconnected", "leader-changed")


@dataclass(frozen=True, slots=True)
class Note:
    """What somebody wrote in another tab; `title` is what that was called then."""

    id: str
    text: str
    tab_id: str
    title: str
    timestamp: float


class TabList(Element):
    """Oldest first. Below, a note can be sent to all others, and those that came are kept, 20 at most."""

    tag = "tab-list"

    tabs = reactive[tuple[Tab, ...]](())
    notes = reactive[tuple[Note, ...]](())
    outcome = reactive("")
    failed = reactive(False)

    def __init__(self, tabs: TabSync, platform: Platform) -> None:
        self._sync = tabs
        self._platform = platform
        self._numbers = itertools.count(1)

    def connected(self) -> None:
        """Follow the tabs, and hear what comes from them."""
        for event in LIFECYCLE:
            self.lifetime.callback(self._sync.on(event, self._look))
        self.lifetime.callback(self._sync.on(NOTE, self._add))
        self.lifetime.callback(every(self._platform, CLOCK_INTERVAL, self.request_update))
        self._look()

    def render(self) -> Template:
        """Show the tabs and, where they can reach each other, the form and the notes."""
        now = self._platform.time_ms()
        tabs = repeat(
            self.tabs,
            key=lambda tab: tab.id,
            render=partial(self._tab, now),
            depends=lambda tab: (tab, opened(tab.since, now)),
        )
        return t"""<section class="panel tab-list" aria-labelledby="heading">
            <header class="panel-header">
                <h2 id="heading">Tabs</h2>
                <span class="count" role="status">{counted(len(self.tabs), "tab")}</span>
            </header>
            <ol class="tabs" role="list" tabindex={"0" if len(self.tabs) > 1 else None} aria-labelledby="heading">{tabs}</ol>
            {self._alone()}
            {self._sync.can_share and self._talk(now)}
        </section>"""

    def _tab(self, now: float, tab: Tab) -> Template:
        since = opened(tab.since, now)
        kinds = "tab" + " self" * tab.is_self + " leader" * tab.leader
        return t"""<li class={kinds} data-id={tab.id}>
            <div class="name">
                <strong class="title"><bdi>{name(tab.title)}</bdi></strong>
                {tab.is_self and t'<span class="badge">This tab</span>'}
                {tab.leader and t'<span class="badge leads">Leader</span>'}
            </div>
            <div class="about">
                <span>
                    <span class="view">{"In view" if tab.visible else "In the background"}</span>
                    {since and t'· <span class="since">{since}</span>'}
                </span>
                <code class="id">{tab.id}</code>
            </div>
        </li>"""

    def _alone(self) -> Template | None:
        if not self._sync.can_share:
            return t'<p class="alone">This browser does not let tabs find each other.</p>'
        if len(self.tabs) > 1:
            return None
        return t"""<p class="alone">This is the only one.
            <a href="" target="_blank" rel="noopener">Open another</a> to see it here.</p>"""

    def _talk(self, now: float) -> Template:
        notes = repeat(
            self.notes,
            key=lambda note: note.id,
            render=partial(self._note, now),
            depends=lambda note: (note, self._sender(note), relative_time(note.timestamp, now)),
        )
        return t"""<form @submit={self._send}>
                <label for="note">A note to the other tabs</label>
                <input id="note" name="note" maxlength={NOTE_LIMIT} autocomplete="off" @input={self._writing} />
                <button class="send" type="submit">Send</button>
                <output class="outcome {"problem" if self.failed else "done"}" role="status">{self.outcome}</output>
            </form>
            <header class="notes-header">
                <h3 id="notes-heading">Notes from other tabs</h3>
                <button class="clear" type="button" aria-disabled={not self.notes} @click={self._clear}>Clear<span class="visually-hidden"> notes</span></button>
            </header>
            <div class="notes" role="log" tabindex={"0" if self.notes else None} aria-labelledby="notes-heading" aria-relevant="additions">{notes}</div>
            {not self.notes and t'<p class="none">No notes yet</p>'}"""

    def _note(self, now: float, note: Note) -> Template:
        return t"""<article class="note" data-id={note.id}>
            <p class="text" dir="auto">{note.text}</p>
            <p class="about">
                <span><bdi class="sender">{self._sender(note)}</bdi> · <span class="when">{relative_time(note.timestamp, now)}</span></span>
                <code class="id" aria-hidden="true" title={note.tab_id}>{shorten(note.tab_id, SHORT_ID)}</code>
            </p>
        </article>"""

    def _sender(self, note: Note) -> str:
        for tab in self.tabs:
            if tab.id == note.tab_id:
                return name(tab.title)
        return f"{name(note.title)}, a tab that has gone" if note.title else "A tab that has gone"

    # What comes

    def _look(self, *_: Any) -> None:
        self.tabs = tuple(self._sync.tabs)

    def _add(self, payload: Any, tab_id: str) -> None:
        # Any page of this origin may say anything.
        text = payload.get("text") if isinstance(payload, dict) else None
        if not isinstance(text, str) or not text.strip():
            return
        note = Note(
            id=f"note-{next(self._numbers)}",
            text=shorten(text.strip(), NOTE_LIMIT),
            tab_id=tab_id,
            title=next((tab.title for tab in self._sync.tabs if tab.id == tab_id), ""),
            timestamp=self._platform.time_ms(),
        )
        self.notes = (note, *self.notes)[:KEPT]

    # What the form and the buttons do

    def _send(self, event: JsProxy) -> None:
        event.preventDefault()
        field = self.root.querySelector("#note")
        self.outcome, self.failed = self._broadcast(field.value.strip())
        if self.failed:
            field.focus()
        else:
            field.value = ""

    def _broadcast(self, text: str) -> tuple[str, bool]:
        """Return what became of a note, and whether that is a failure."""
        others = sum(not tab.is_self for tab in self._sync.tabs)
        if not text:
            return "Write something first", True
        if not others:
            return "Not sent: this is the only tab", True
        try:
            self._sync.broadcast(NOTE, {"text": shorten(text, NOTE_LIMIT)})
        except RealtimeError as error:
            return f"Not sent: {explain(error)}", True
        except TypeError as error:
            return f"Not sent: {error}", True
        return f"Sent to {counted(others, 'other tab')}", False

    def _writing(self, event: JsProxy) -> None:
        # It was said of another note; and the same words are announced only when they come anew.
        self.outcome = ""

    def _clear(self, event: JsProxy) -> None:
        # The button stays, with the focus; without notes it does nothing.
        self.notes = ()

    styles = """
    .count, .about, .alone, .none { color: var(--text-quiet); font-size: 0.8125rem; }

    .tabs { max-height: min(17rem, 60vh); border-bottom: 1px solid var(--line); overflow-y: auto; list-style: none; }

    .tab { padding: 0.625rem 1rem; animation: arrive 0.25s ease-out; }
    .tab + .tab { border-top: 1px solid var(--line); }
    .tab.self { box-shadow: inset 3px 0 var(--accent); }

    .name { display: flex; flex-wrap: wrap; align-items: center; gap: 0.125rem 0.5rem; }
    .title { font-weight: 600; }

    .badge {
      padding: 0 0.5rem;
      border: 1px solid var(--control-line);
      border-radius: 1rem;
      font-size: 0.75rem;
      line-height: 1.25rem;
      white-space: nowrap;
    }
    .badge.leads { border-color: var(--accent); background: var(--accent); color: var(--on-accent); }

    .about { display: flex; flex-wrap: wrap; align-items: baseline; gap: 0 0.5rem; }
    .id { margin-inline-start: auto; font: 0.6875rem/1.6 ui-monospace, "DejaVu Sans Mono", monospace; }

    .alone { padding: 0.75rem 1rem 0; }
    .alone:last-child { padding-bottom: 0.75rem; }
    a { color: var(--accent); }

    form { display: grid; grid-template-columns: minmax(0, 1fr) auto; gap: 0.25rem 0.5rem; padding: 0.75rem 1rem; }
    label, .outcome { grid-column: 1 / -1; }
    label { color: var(--text-quiet); font-size: 0.8125rem; }

    input {
      width: 100%;
      min-height: 2.375rem;
      padding: 0.375rem 0.625rem;
      border: 1px solid var(--control-line);
      border-radius: 0.5rem;
      background: var(--surface);
      color: var(--text);
      font-size: 0.9375rem;
    }

    .send { border-color: var(--accent); background: var(--accent); color: var(--on-accent); font-weight: 600; }

    .outcome { padding: 0; text-align: start; font-size: 0.875rem; }
    .outcome.done { color: var(--success); }

    .notes-header {
      display: flex;
      align-items: center;
      justify-content: space-between;
      gap: 0.5rem 1rem;
      padding: 0.5rem 1rem;
      border-top: 1px solid var(--line);
    }
    h3 { margin: 0; font-size: 0.875rem; font-weight: 600; }
    .clear { padding: 0.125rem 0.625rem; font-size: 0.8125rem; }
    .clear[aria-disabled="true"] { cursor: default; border-color: var(--line); }

    .notes { max-height: min(17rem, 60vh); overflow-y: auto; }
    .none { padding: 0 1rem 0.75rem; }

    .note { padding: 0.5rem 1rem; border-top: 1px solid var(--line); animation: arrive 0.25s ease-out; }
    .text { white-space: pre-line; }

    @keyframes arrive { from { opacity: 0; transform: translateY(-0.5rem); } }
    @media (prefers-reduced-motion: reduce) { .tab, .note { animation: none; } }
    """


def name(title: str) -> str:
    """Return what to call a tab."""
    return shorten(title.strip(), TITLE_LIMIT) or "Untitled"


def opened(since: float | None, now: float) -> str:
    """Say how long a tab has been open, or nothing while that is not known."""
    if since is None:
        return ""
    words = relative_time(since, now)
    return f"Opened {words[0].lower()}{words[1:]}"
