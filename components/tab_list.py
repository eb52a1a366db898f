"""`<tab-list>`: the tabs of this application, live, and notes from one to the others."""

from collections import deque
from dataclasses import dataclass
from itertools import count
from string.templatelib import Template
from typing import Any

from pyodide.ffi import JsProxy

from components.element import Element, reactive
from components.template import repeat
from components.timing import every
from components.words import explain
from services.errors import RealtimeError
from services.feed_items import shorten
from services.platform import Platform
from services.tab_sync import Tab, TabSync
from services.times import relative_time

NOTE = "note"
KEPT = 20
TEXT_LIMIT = 500
TITLE_LIMIT = 80
CLOCK_INTERVAL = 20.0


@dataclass(frozen=True, slots=True)
class Note:
    """What somebody in another tab wrote."""

    id: str
    text: str
    sender: str
    timestamp: float


class TabList(Element):
    """Who is there comes from `TabSync`; this shows it, and lets a person talk to the others."""

    tag = "tab-list"

    tabs = reactive[tuple[Tab, ...]](())
    notes = reactive[tuple[Note, ...]](())
    outcome = reactive("")
    failed = reactive(False)

    def __init__(self, tabs: TabSync, platform: Platform) -> None:
        self._sync = tabs
        self._platform = platform
        self._notes: deque[Note] = deque(maxlen=KEPT)
        self._numbers = count(1)

    def connected(self) -> None:
        """Follow the other tabs."""
        self.lifetime.callback(self._sync.on("tabs-changed", self._show))
        self.lifetime.callback(self._sync.on(NOTE, self._take))
        self.lifetime.callback(every(self._platform, CLOCK_INTERVAL, self.request_update))
        self._show()

    def render(self) -> Template:
        """Show the tabs, the form and the notes."""
        now = self._platform.time_ms()
        many = len(self.tabs)
        tabs = repeat(self.tabs, key=lambda tab: tab.id, render=lambda tab: self._tab(tab, now))
        notes = repeat(
            self.notes, key=lambda note: note.id, render=lambda note: self._note(note, now)
        )
        return t"""<section class="panel tab-list" aria-labelledby="heading">
            <header class="panel-header">
                <h2 id="heading">Tabs</h2>
                <span class="count" role="status">{f"{many} tabs" if many != 1 else "1 tab"}</span>
            </header>
            <ol class="tabs" role="list" aria-labelledby="heading">{tabs}</ol>
            {not self._sync.can_share and t'<p class="alone">This browser does not let tabs find one another here.</p>'}
            <form class="broadcast" aria-label="A note to the other tabs" @submit={self._send}>
                <label class="visually-hidden" for="note">Note to the other tabs</label>
                <input id="note" name="note" maxlength={TEXT_LIMIT} autocomplete="off" placeholder="A note to the other tabs" />
                <button class="send" type="submit">Broadcast</button>
                <output class="outcome {"problem" if self.failed else "done"}" role="status">{self.outcome}</output>
            </form>
            <div class="notes" role="log" aria-label="Notes from other tabs">{notes}</div>
            {self.notes and t'<div class="last"><button class="clear" type="button" @click={self._clear}>Clear notes</button></div>'}
        </section>"""

    def _tab(self, tab: Tab, now: float) -> Template:
        kinds = "tab" + " self" * tab.is_self + " leader" * tab.leader
        where = "in view" if tab.visible else "in the background"
        return t"""<li class={kinds} data-id={tab.id} title={tab.id}>
            <span class="title"><bdi>{shorten(tab.title, TITLE_LIMIT) or "Untitled"}</bdi></span>
            <span class="marks">
                {tab.is_self and t'<span class="mark">This tab</span>'}
                {tab.leader and t'<span class="mark lead">Leader</span>'}
            </span>
            <span class="about">{where}{opened(tab.since, now)}</span>
        </li>"""

    def _note(self, note: Note, now: float) -> Template:
        return t"""<article class="note" data-id={note.id}>
            <p class="text" dir="auto">{note.text}</p>
            <p class="about"><bdi>{note.sender}</bdi>, {relative_time(note.timestamp, now)}</p>
        </article>"""

    def _show(self, *_: Any) -> None:
        self.tabs = tuple(self._sync.tabs)

    def _take(self, payload: Any, tab_id: str) -> None:
        text = payload.get("text") if isinstance(payload, dict) else None
        if not isinstance(text, str) or not text.strip():
            return
        title = next((tab.title for tab in self._sync.tabs if tab.id == tab_id), None)
        sender = (
            "a tab that is gone"
            if title is None
            else shorten(title, TITLE_LIMIT) or "an untitled tab"
        )
        note = Note(
            str(next(self._numbers)), shorten(text, TEXT_LIMIT), sender, self._platform.time_ms()
        )
        self._notes.appendleft(note)
        self.notes = tuple(self._notes)

    def _clear(self, event: JsProxy) -> None:
        self._notes.clear()
        self.notes = ()
        # The button goes, and the focus with it.
        self.root.querySelector("input").focus()

    def _send(self, event: JsProxy) -> None:
        event.preventDefault()
        field = event.target.elements.note
        text = field.value.strip()
        others = len(self.tabs) - 1
        if not text:
            self.outcome, self.failed = "Write a note first.", True
            return
        if not others and self._sync.can_share:
            self.outcome, self.failed = "There is no other tab. Open one to try it.", True
            return
        try:
            self._sync.broadcast(NOTE, {"text": text})
        except RealtimeError as error:
            self.outcome, self.failed = f"Not sent: {explain(error)}", True
            return
        field.value = ""
        where = f"{others} other tabs" if others != 1 else "1 other tab"
        self.outcome, self.failed = f"Sent to {where}" if self._sync.can_share else "Sent", False

    styles = """
    .count, .about { color: var(--text-quiet); font-size: 0.8125rem; }
    .tabs { max-height: 15rem; margin: 0; padding: 0; overflow-y: auto; list-style: none; }
    .tab {
      display: grid;
      grid-template-columns: minmax(0, 1fr) auto;
      gap: 0 0.75rem;
      padding: 0.5rem 1rem;
      border-bottom: 1px solid var(--line);
    }
    .tab .about { grid-column: 1 / -1; }
    .self .title { font-weight: 600; }
    .marks { display: flex; flex-wrap: wrap; gap: 0.375rem; }
    .mark {
      padding: 0 0.5rem;
      border: 1px solid var(--line);
      border-radius: 1rem;
      background: var(--surface-raised);
      font-size: 0.75rem;
      line-height: 1.375rem;
      white-space: nowrap;
    }
    .mark.lead { border-color: var(--accent); background: var(--accent); color: var(--on-accent); }
    .alone { padding: 0.75rem 1rem 0; color: var(--text-quiet); font-size: 0.875rem; }
    .broadcast { display: flex; flex-wrap: wrap; gap: 0.5rem; padding: 0.75rem 1rem; }
    .broadcast input {
      flex: 1 1 10rem;
      min-width: 0;
      min-height: 2.375rem;
      padding: 0.375rem 0.625rem;
      border: 1px solid var(--control-line);
      border-radius: 0.5rem;
      background: var(--surface);
      color: var(--text);
    }
    ::placeholder { color: var(--text-quiet); opacity: 1; }
    .send { border-color: var(--accent); background: var(--accent); color: var(--on-accent); font-weight: 600; }
    .outcome { flex-basis: 100%; padding: 0; text-align: start; font-size: 0.875rem; }
    .outcome:empty { display: none; }
    .outcome.done { color: var(--success); }
    .notes { max-height: 15rem; overflow-y: auto; }
    .note { margin: 0 1rem 0.75rem; padding: 0.5rem 0.75rem; border: 1px solid var(--line); border-radius: 0.5rem; }
    .note .text { white-space: pre-line; }
    .last { padding: 0 1rem 0.75rem; }
    """


def opened(since: float | None, now: float) -> str:
    """Say since when a tab is open."""
    if since is None:
        return ""
    words = relative_time(since, now)
    return f", opened {words[0].lower()}{words[1:]}"
