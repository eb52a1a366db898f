"""`<collaborative-editor document-id="…">`: a text that several people edit at once."""

import asyncio
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import replace
from string.templatelib import Template
from typing import Any

from js import window
from pyodide.ffi import JsProxy, create_proxy
from pyscript.js_modules import editor  # noqa: F401 - defines <text-editor>

from components.collaborators import Announcer, Badge, badges_of, show_badges
from components.editor_words import LOADING, Course, Status, status_of
from components.element import Element, drawn, reactive
from components.words import explain
from services.auth import AuthService
from services.errors import RealtimeError
from services.feed_items import shorten
from services.platform import Cancel, Platform

HEADING_LIMIT = 120

PATIENCE = 0.3
"""Seconds that changes may be under way before one is told."""

HEAD_START = 1.0
"""Seconds that the page has to draw itself before the document is loaded."""

#: Spoken when they begin. That something is saved goes without saying, unless it could not be.
SPOKEN = frozenset({"offline", "local", "refused", "failed", "read-only"})


class CollaborativeEditor(Element):
    """The document with the id in the attribute `document-id`; `heading` names it.

    `open_document` makes a session of an id, not joined yet: one for each time the element enters
    a page, gets another id, or somebody logs in or out.
    """

    tag = "collaborative-editor"
    observed = ("document-id", "heading")

    replica = reactive[int | None](None)
    read_only = reactive(False)
    status = reactive(LOADING)
    badges = reactive[tuple[Badge, ...]](())
    problem = reactive("")
    can_retry = reactive(False)
    announcement = reactive("")

    def __init__(
        self,
        open_document: Callable[[str], Any],
        platform: Platform,
        auth: AuthService | None = None,
    ) -> None:
        self._open_document = open_document
        self._platform = platform
        self._auth = auth
        self._announcer = Announcer(platform, self._announce)
        self._session: Any = None
        self._joined = False
        self._course = Course()
        self._cancel_waiting: Cancel | None = None
        self._cancel_guard: Cancel | None = None

    def connected(self) -> None:
        """Open the document."""
        if self._auth is not None:
            for event in ("login", "logout"):
                self.lifetime.callback(self._auth.on(event, self._open))
        self._open()

    def disconnected(self) -> None:
        """Leave the document."""
        self._close()

    def attribute_changed(self, name: str, old: str | None, new: str | None) -> None:
        """Open another document; or call it by another name."""
        if name == "document-id" and old != new:
            self._open()
        else:
            self.request_update()

    def render(self) -> Template:
        """Show the document, or why there is none."""
        is_loading = self.replica is None and not self.problem
        return t"""<section class="panel collaborative-editor" aria-labelledby="heading" aria-busy={is_loading}>
            <header class="panel-header editor-header">
                <h2 id="heading" tabindex="-1"><bdi>{self._heading}</bdi></h2>
                {self._status()}
                {show_badges(self.badges)}
            </header>
            <div class="editor-body">{self._body()}</div>
            <p class="visually-hidden announcement" role="status">{self.announcement}</p>
        </section>"""

    @property
    def _heading(self) -> str:
        name = self.attribute("heading").strip() or self.attribute("document-id").strip()
        return shorten(name, HEADING_LIMIT) or "Document"

    def _status(self) -> Template | None:
        # What a screen reader hears of it is in the announcement: this line changes too often.
        if self.problem:
            return None
        status = self.status
        details = status.details and t' <span class="details">· {status.details}</span>'
        retry = None
        if status.can_retry:
            retry = t' <button type="button" class="retry" @click={self._retry}>Try again</button>'
        return t'<p class="status {status.kind}"><span class="words">{status.words}</span>{details}{retry}</p>'

    def _body(self) -> Template:
        if self.problem:
            return t"""<div class="problem" role="alert">
                <p>{self.problem}</p>
                {self.can_retry and t'<button type="button" class="retry" @click={self._retry}>Try again</button>'}
            </div>"""
        if self.replica is None:
            return t'<p class="loading">Loading the document …</p>'
        return t"""<text-editor replica={self.replica} ?read-only={self.read_only} label={self._heading}></text-editor>"""

    # Opening and closing

    def _open(self, _: Any = None) -> None:
        self._close()
        document_id = self.attribute("document-id")
        if not document_id.strip():
            self._fail_with("Which document? This element has no document-id.")
            return
        try:
            self._session = session = self._open_document(document_id)
        except RealtimeError as error:
            self._fail_with(f"The document cannot be opened: {explain(error)}.", can_retry=True)
            return
        self._lasting.callback(session.on("status", lambda _: self._look()))
        for event in ("collaborator-joined", "collaborator-left"):
            self._lasting.callback(session.on(event, self._heard(event)))
        self.start(self._join(session))

    def _close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            self._lasting.close()
            session.leave()
        self._lasting = ExitStack()
        self._joined = False
        self._course = Course()
        self._stop_waiting()
        self._let_go()
        self._announcer.stop()
        self.problem, self.can_retry, self.announcement = "", False, ""
        self.replica, self.badges, self.status = None, (), LOADING

    async def _join(self, session: Any) -> None:
        # The page comes first; but one that nobody sees has no frames.
        with suppress(TimeoutError):
            await asyncio.wait_for(drawn(), HEAD_START)
        if session is not self._session:
            return
        try:
            await session.join()
        except asyncio.CancelledError:
            raise
        except Exception as error:
            if session is not self._session:
                return  # of a document that nobody looks at any more
            self._close()
            if not isinstance(error, RealtimeError):
                raise
            self._fail_with(f"The document cannot be opened: {explain(error)}.", can_retry=True)
            return
        if session is self._session:
            self._joined = True
            self._look()

    def _fail_with(self, problem: str, *, can_retry: bool = False) -> None:
        self.problem, self.can_retry = problem, can_retry

    def _retry(self, event: JsProxy) -> None:
        # The button goes, and the focus would go with it.
        self.root.querySelector("h2").focus()
        if self._session is None:
            self._open()
        else:
            self._course = replace(self._course, was_lost=False)
            self._session.connect()
            self._look()

    # What the session tells

    def _look(self) -> None:
        session = self._session
        if session is None or not self._joined:
            return
        self.replica = session.replica_number
        self.read_only = session.read_only
        self.badges = badges_of(session.collaborators)
        self._follow(session)
        before, self.status = self.status, status_of(session, self._course)
        self._speak(before, self.status)
        if session.unsynced_changes and not session.is_kept:
            self._guard()
        else:
            self._let_go()

    def _follow(self, session: Any) -> None:
        course = self._course
        if session.state == "open":
            course = replace(course, was_lost=False, was_synced=course.was_synced or session.synced)
        elif session.state in ("waiting", "failed"):
            course = replace(course, was_lost=True)
        is_settled = session.state != "open" or (session.synced and not session.unsynced_changes)
        if is_settled:
            self._stop_waiting()
            course = replace(course, is_slow=False)
        elif self._cancel_waiting is None:
            self._cancel_waiting = self._platform.call_later(PATIENCE, self._grow_impatient)
        self._course = course

    def _grow_impatient(self) -> None:
        self._course = replace(self._course, is_slow=True)
        self._look()

    def _stop_waiting(self) -> None:
        if self._cancel_waiting is not None:
            self._cancel_waiting()
            self._cancel_waiting = None

    def _heard(self, event: str) -> Callable[[dict[str, Any]], None]:
        tell = self._announcer.joined if event == "collaborator-joined" else self._announcer.left

        def hear(person: dict[str, Any]) -> None:
            self._look()
            tell(str(person.get("name") or ""))

        return hear

    def _speak(self, before: Status, now: Status) -> None:
        if now.kind == before.kind:
            return
        if now.kind in SPOKEN:
            self._announcer.status(f"{self._heading}: {now.words} {now.details}".rstrip())
        elif now.kind == "saved" and before.kind in SPOKEN:
            self._announcer.status(f"{self._heading}: {now.words}")

    def _announce(self, text: str) -> None:
        self.announcement = text

    # Leaving the page

    def _guard(self) -> None:
        # Only as long as something would be lost: a page with such a listener is not kept for "back".
        if self._cancel_guard is not None:
            return
        proxy = create_proxy(ask_first)
        window.addEventListener("beforeunload", proxy)

        def cancel() -> None:
            window.removeEventListener("beforeunload", proxy)
            proxy.destroy()

        self._cancel_guard = cancel

    def _let_go(self) -> None:
        if self._cancel_guard is not None:
            self._cancel_guard()
            self._cancel_guard = None

    styles = """
    .collaborative-editor { height: 100%; container-type: inline-size; }

    .editor-header {
      display: grid;
      grid-template-columns: fit-content(60%) minmax(0, 1fr) auto;
      grid-template-areas: "heading status people";
      gap: 0.25rem 0.75rem;
    }
    h2 { grid-area: heading; }
    h2:focus { outline: none; }
    .status { grid-area: status; color: var(--text-quiet); font-size: 0.8125rem; }
    .collaborators { grid-area: people; }
    .status .words { white-space: nowrap; }
    .status.refused .words, .status.failed .words { color: var(--error); }
    .status.offline .words { color: var(--warning); }
    .status .retry { margin-inline-start: 0.5rem; padding: 0 0.625rem; color: var(--text); }

    @container (max-width: 36rem) {
      .editor-header {
        grid-template-columns: minmax(0, 1fr) auto;
        grid-template-areas: "heading people" "status status";
      }
    }

    .collaborators { display: flex; flex-wrap: wrap; justify-content: end; gap: 0.25rem; min-height: 1.75rem; margin-block: -0.15rem; }
    .collaborator-badge, .collaborator-more {
      display: grid;
      place-items: center;
      min-width: 1.75rem;
      height: 1.75rem;
      overflow: hidden;
      border: 1px solid transparent;
      border-radius: 0.875rem;
      font-size: 0.75rem;
      font-weight: 600;
      line-height: 1;
      white-space: nowrap;
      cursor: default;
    }
    .collaborator-badge { width: 1.75rem; background: var(--hue); color: var(--on-hue); animation: arrive 0.25s ease-out; }
    .collaborator-more { padding: 0 0.375rem; border-color: var(--control-line); }

    .editor-body {
      flex: auto;
      display: grid;
      block-size: var(--editor-height, 20rem);
      min-block-size: 8rem;
      overflow: hidden;
      resize: vertical;
    }
    text-editor { display: block; min-width: 0; min-height: 0; }
    .loading, .problem { align-self: center; }

    @keyframes arrive { from { opacity: 0; scale: 0.5; } }
    @media (prefers-reduced-motion: reduce) { .collaborator-badge { animation: none; } }
    """


def ask_first(event: JsProxy) -> None:
    """Let the browser ask whether the page may really be left."""
    event.preventDefault()
    event.returnValue = True
