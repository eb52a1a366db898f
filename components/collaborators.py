"""Who else is at a document: badges, and what a screen reader is told as people come and go."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from string.templatelib import Template
from typing import Any

import js

from components.template import repeat
from services.feed_items import shorten
from services.platform import Cancel, Platform

BADGES = 6
NAMES = 30
NAME_LIMIT = 60

QUIET = 2.0
"""Seconds over which what is to be announced is gathered."""


@dataclass(frozen=True, slots=True)
class Badge:
    """A person, in however many tabs."""

    key: str
    name: str
    hue: int


def badges_of(collaborators: Iterable[Any]) -> tuple[Badge, ...]:
    """Return one badge for each person, in the order they came in.

    What people say of themselves is data of strangers: who bears the same id and another name is
    somebody else.
    """
    found: dict[tuple[str, str], Badge] = {}
    for person in collaborators:
        name = shorten(person.name.strip(), NAME_LIMIT) or "Somebody"
        who = (person.user_id or f"client {person.client_id}", name)
        found.setdefault(who, Badge(str(person.client_id), name, person.hue % 8))
    return tuple(found.values())


def show_badges(badges: Sequence[Badge]) -> Template:
    """Show the first of them, and how many more there are."""
    shown = badges if len(badges) <= BADGES else badges[: BADGES - 1]
    more = [badge.name for badge in badges[len(shown) :]]
    label = f"{len(badges)} here besides you" if badges else None
    items = repeat(shown, key=lambda badge: badge.key, render=_badge, depends=lambda badge: badge)
    rest = None
    if more:
        names = listed(more, NAMES)
        rest = t'<div class="collaborator-more" role="img" title={names} aria-label={names}>+{len(more):,}</div>'
    return t'<div class="collaborators" role="group" aria-label={label}>{items}{rest}</div>'


def _badge(badge: Badge) -> Template:
    return t"""<div class="collaborator-badge hue-{badge.hue}" role="img" title={badge.name} aria-label={badge.name} data-id={badge.key}>{initials(badge.name)}</div>"""


def initials(name: str) -> str:
    """Return the first letters of a name's first and last word."""
    words = name.split()
    return "".join(first_letter(word) for word in words[:: max(1, len(words) - 1)][:2])


def first_letter(word: str) -> str:
    """Return what a reader takes for a word's first letter, as a capital."""
    segmenter = _segmenter()
    if segmenter is None:
        return word[:1].upper()
    return segmenter.segment(word[:32]).containing(0).segment.upper()


@cache
def _segmenter() -> Any:
    return js.Intl.Segmenter.new() if hasattr(js.Intl, "Segmenter") else None


def listed(names: Sequence[str], most: int) -> str:
    """Return names in a sentence's words: Ada, Bo and 3 others."""
    shown = list(names[:most])
    if rest := len(names) - len(shown):
        shown.append("1 other" if rest == 1 else f"{rest:,} others")
    return " and ".join(filter(None, [", ".join(shown[:-1]), shown[-1]]))


class Announcer:
    """Gathers what a screen reader is to be told, so that many events are one sentence.

    Who comes and goes within that time is not mentioned.
    """

    def __init__(self, platform: Platform, say: Callable[[str], None]) -> None:
        self._platform = platform
        self._say = say
        self._cancel: Cancel | None = None
        self._status = ""
        self._moves: dict[str, str] = {}

    def status(self, words: str) -> None:
        """Tell of the connection; the last word counts."""
        self._status = words
        self._soon()

    def joined(self, name: str) -> None:
        """Tell of somebody who has come."""
        self._moved(name, "joined")

    def left(self, name: str) -> None:
        """Tell of somebody who has gone."""
        self._moved(name, "left")

    def stop(self) -> None:
        """Say nothing more of what was gathered."""
        if self._cancel is not None:
            self._cancel()
        self._cancel, self._status, self._moves = None, "", {}

    def _moved(self, name: str, how: str) -> None:
        name = shorten(name.strip(), NAME_LIMIT) or "Somebody"
        if self._moves.get(name, how) != how:
            del self._moves[name]
        else:
            self._moves[name] = how
        self._soon()

    def _soon(self) -> None:
        if self._cancel is None:
            self._say("")  # so that the same words are news again
            self._cancel = self._platform.call_later(QUIET, self._speak)

    def _speak(self) -> None:
        parts = [self._status] if self._status else []
        for how in ("joined", "left"):
            names = [name for name, what in self._moves.items() if what == how]
            if names:
                parts.append(f"{listed(names, 3)} {how}")
        self.stop()
        self._say(". ".join(parts))
