"""A recording of two authors who wrote at the same time, as two pages can play it."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pycrdt import Doc, Text

from services.y_messages import read_vector

TRACE = Path(__file__).resolve().parents[1] / "data" / "friendsforever.json.gz"


@dataclass
class Run:
    """What one author wrote without news of the other."""

    author: int
    #: How much the author had seen of the other's changes.
    known: int
    edits: list[list[Any]]
    #: How many changes of the author's own came before.
    begin: int
    #: What the author saw then, and how many characters of the other's had come, also deleted ones.
    text: str = ""
    clock: int = 0

    @property
    def end(self) -> int:
        return self.begin + len(self.edits)


def recording() -> tuple[list[Run], str]:
    """Return the runs in an order in which they may be played, and the text in the end."""
    trace = json.loads(gzip.decompress(TRACE.read_bytes()))
    known: list[list[int]] = []
    places: list[int] = []
    written = [0, 0]
    runs: list[Run] = []
    for txn in trace["txns"]:
        author = txn["agent"]
        seen = [0, 0]
        for parent in txn["parents"]:
            seen = [max(pair) for pair in zip(seen, known[parent], strict=True)]
            other = trace["txns"][parent]["agent"]
            seen[other] = max(seen[other], places[parent] + 1)
        assert seen[author] == written[author], "an author knows all that is their own"
        known.append(seen)
        places.append(written[author])
        last = runs[-1] if runs else None
        if last is None or (last.author, last.known) != (author, seen[1 - author]):
            runs.append(Run(author, seen[1 - author], [], written[author]))
        (patch,) = txn["patches"]
        runs[-1].edits.append(patch)
        written[author] += 1
    _add_texts(runs)
    return runs, trace["endContent"]


def _add_texts(runs: list[Run]) -> None:
    """Find out what the authors saw, with another implementation of the same CRDT."""
    docs: list[Doc[Text]] = [Doc(client_id=client) for client in (1, 2)]
    texts = [doc.get("content", type=Text) for doc in docs]
    updates: list[list[bytes]] = [[], []]
    for doc, made in zip(docs, updates, strict=True):
        doc.observe(lambda event, made=made: made.append(event.update))
    own: list[list[bytes]] = [[], []]
    seen = [0, 0]
    for run in runs:
        author, text = run.author, texts[run.author]
        for update in own[1 - author][seen[author] : run.known]:
            docs[author].apply_update(update)
        seen[author] = max(seen[author], run.known)
        run.text = str(text)
        run.clock = read_vector(docs[author].get_state()).get(2 - author, 0)
        updates[author].clear()
        for position, deleted, inserted in run.edits:
            with docs[author].transaction():
                if deleted:
                    del text[position : position + deleted]
                if inserted:
                    text.insert(position, inserted)
        own[author] += updates[author]
