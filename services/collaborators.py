"""Who else is at a document, as far as what strangers say of themselves can be used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from .replica import Person

LONGEST_NAME = 60
"""Characters of a name that are shown."""

ANONYMOUS = "Anonymous"


class Collaborator(NamedTuple):
    """Somebody else: one editor on one page. A person with two tabs is two of them."""

    client_id: int
    """The Yjs client's id."""
    user_id: str
    """Whom they say they are, or the client's id."""
    name: str
    hue: int
    """Which of eight colours is theirs, 0–7."""

    @classmethod
    def from_person(cls, person: Person) -> Collaborator:
        """Take what can be used of what they say, which may be anything."""
        name, user_id = person.user.get("name"), person.user.get("id")
        return cls(
            person.client_id,
            user_id[:200] if isinstance(user_id, str) and user_id else str(person.client_id),
            _shortened(name) if isinstance(name, str) else ANONYMOUS,
            person.hue,
        )

    def as_payload(self) -> dict[str, Any]:
        """Return what the handlers of ``collaborator-joined`` and ``collaborator-left`` get."""
        return {
            "userId": self.user_id,
            "name": self.name,
            "clientId": self.client_id,
            "hue": self.hue,
        }


class Collaborators:
    """The others, in the order in which they came."""

    def __init__(self) -> None:
        self._present: dict[int, Collaborator] = {}

    @property
    def present(self) -> list[Collaborator]:
        """Return who is there now."""
        return list(self._present.values())

    def update(self, people: Sequence[Person]) -> tuple[list[Collaborator], list[Collaborator]]:
        """Take who is there now; return who has joined, and who has left.

        Whoever is another user now has left and joined.
        """
        now = {person.client_id: Collaborator.from_person(person) for person in people}
        before = self._present
        left = [
            other
            for client, other in before.items()
            if client not in now or now[client].user_id != other.user_id
        ]
        kept = {client: now[client] for client in before if client in now}
        self._present = {**kept, **now}
        joined = [
            other
            for client, other in self._present.items()
            if client not in before or before[client].user_id != other.user_id
        ]
        return joined, left


def _shortened(name: str) -> str:
    # What is invisible would make a badge nobody can read, or turn the line's direction.
    visible = "".join(c if c.isprintable() else " " for c in name[: 4 * LONGEST_NAME])
    words = " ".join(visible.split())
    return words[: LONGEST_NAME - 1] + "…" if len(words) > LONGEST_NAME else words or ANONYMOUS
