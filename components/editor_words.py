"""What a document's session is up to, in one line."""

from dataclasses import dataclass
from typing import Any

from components.close_words import close_words
from components.words import counted

KEPT = "kept in this browser"
NOT_KEPT = "NOT kept: this browser gives no storage"


@dataclass(frozen=True, slots=True)
class Status:
    """`kind` is its class on the page; `words` and `details` are shown, one behind the other."""

    kind: str
    words: str
    details: str = ""
    can_retry: bool = False


@dataclass(frozen=True, slots=True)
class Course:
    """What the session went through, as far as it bears on what is said now."""

    was_synced: bool = False
    """Whether it has been in step with the server before."""
    was_lost: bool = False
    """Whether an attempt to connect has failed since it was last connected."""
    is_slow: bool = False
    """Whether changes have been under way for so long that one should know."""


LOADING = Status("opening", "Opening …")
SAVED = Status("saved", "Saved")
SAVING = Status("saving", "Saving …")
CONNECTING = Status("connecting", "Connecting …")


def status_of(session: Any, course: Course) -> Status:
    """Return what to say of a session that has been joined."""
    match session.state:
        case "open":
            return _online(session, course)
        case "refused":
            return _ended("refused", "Refused", session)
        case "failed" | "closed" if course.was_synced and session.last_close is not None:
            return _ended("failed", "Not connected", session)
        case "failed":
            return _alone(session, course, can_retry=True)
        case "waiting":
            return _alone(session, course)
    return _alone(session, course) if course.was_lost else CONNECTING


def _online(session: Any, course: Course) -> Status:
    if session.read_only:
        many = session.unsynced_changes
        details = f"{counted(many, 'change')} of yours, {_kept(session)}" if many else ""
        return Status("read-only", "Read-only", details)
    if not session.synced and not course.was_synced:
        return CONNECTING
    return SAVING if course.is_slow else SAVED


def _ended(kind: str, words: str, session: Any) -> Status:
    reasons = [close_words(*session.last_close)] if session.last_close else []
    if session.unsynced_changes:
        reasons.append(_unsent(session))
    return Status(kind, words, " · ".join(reasons), can_retry=True)


def _alone(session: Any, course: Course, *, can_retry: bool = False) -> Status:
    if course.was_synced:
        details = _unsent(session) if session.unsynced_changes else _changes(session)
        return Status("offline", "Offline", details, can_retry)
    # A page on a static host never meets a server, and there is nothing wrong with that.
    details = _changes(session)
    if session.is_kept:
        details += " and shared between its tabs"
    return Status("local", "No server in reach", details, can_retry)


def _unsent(session: Any) -> str:
    return f"{counted(session.unsynced_changes, 'unsent change')}, {_kept(session)}"


def _changes(session: Any) -> str:
    return f"changes are {_kept(session)}"


def _kept(session: Any) -> str:
    return KEPT if session.is_kept else NOT_KEPT
