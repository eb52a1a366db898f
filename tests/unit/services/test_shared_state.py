from __future__ import annotations

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.errors import ConfigurationError, InvalidFrame, NotCloneable
from services.shared_state import CLOCK_LEAP, LARGEST, MOST_NAMES, SharedState


class Tabs:
    """Shared states whose writes arrive when the test says so, in any order between tabs."""

    def __init__(self, count: int) -> None:
        self.reported: list[BaseException] = []
        self.waiting: list[tuple[int, object]] = []
        self.states = [
            SharedState(f"tab-{n}", lambda writes, n=n: self.post(n, writes), self.reported.append)
            for n in range(count)
        ]

    def post(self, sender: int, writes: object) -> None:
        text = json.dumps(writes)
        self.waiting += [(n, json.loads(text)) for n in range(len(self.states)) if n != sender]

    def arrive(self, place: int) -> None:
        receiver, writes = self.waiting.pop(place % len(self.waiting))
        self.states[receiver].merge(writes)

    def settle(self) -> None:
        while self.waiting:
            self.arrive(0)


@pytest.fixture
def tabs():
    return Tabs(3)


def values(tabs: Tabs, name: str = "theme") -> list[object]:
    return [state.shared(name, "light").value for state in tabs.states]


def test_the_default_stands_until_somebody_writes(tabs):
    assert values(tabs) == ["light"] * 3
    tabs.states[1].shared("theme", "light").value = "dark"
    tabs.settle()
    assert values(tabs) == ["dark"] * 3


def test_handlers_hear_of_every_change_whichever_tab_made_it(tabs):
    heard: list[object] = []
    value = tabs.states[0].shared("theme", "light")
    off = value.on(heard.append)
    value.value = "dark"
    value.value = "dark"
    tabs.states[1].shared("theme", "light").value = "blue"
    tabs.settle()
    tabs.states[1].shared("theme", "light").value = "green"
    tabs.settle()
    off()
    value.value = "red"
    assert heard == ["dark", "green"] or heard == ["dark", "blue", "green"]


def test_a_late_comer_gets_what_was_written_before_it_asked(tabs):
    tabs.states[0].shared("theme", "light").value = {"name": "dark"}
    late = SharedState("tab-9", lambda writes: None, tabs.reported.append)
    late.merge(tabs.states[0].snapshot())
    assert late.shared("theme", "light").value == {"name": "dark"}


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5)), max_size=20), st.integers())
def test_concurrent_writes_settle_the_same_way_everywhere(steps, seed):
    tabs = Tabs(3)
    chance = random.Random(seed)
    for number, (writer, arrivals) in enumerate(steps):
        tabs.states[writer].shared("theme", None).value = number
        for _ in range(arrivals):
            if tabs.waiting:
                tabs.arrive(chance.randrange(len(tabs.waiting)))
    while tabs.waiting:
        tabs.arrive(chance.randrange(len(tabs.waiting)))
    assert len({json.dumps(state.snapshot(), sort_keys=True) for state in tabs.states}) == 1


def test_what_was_written_cannot_be_changed_in_place(tabs):
    colours = ["red"]
    tabs.states[0].shared("theme", None).value = colours
    colours.append("green")
    assert tabs.states[0].shared("theme", None).value == ["red"]


@pytest.mark.parametrize(
    "payload",
    [
        None,
        [],
        {"theme": "dark"},
        {"theme": [1, "tab-1"]},
        {"theme": [0, "tab-1", "dark"]},
        {"theme": [True, "tab-1", "dark"]},
        {"theme": [1.5, "tab-1", "dark"]},
        {"theme": [CLOCK_LEAP + 1, "tab-1", "dark"]},
        {"theme": [1, "", "dark"]},
        {"theme": [1, 7, "dark"]},
        {"theme": [1, "tab-1", "x" * LARGEST]},
        {"": [1, "tab-1", "dark"]},
        {"other": [1, "tab-1", "dark"], "theme": "wrong"},
        {str(n): [1, "tab-1", n] for n in range(MOST_NAMES + 1)},
    ],
    ids=lambda payload: repr(payload)[:40],
)
def test_what_is_wrong_changes_nothing(tabs, payload):
    with pytest.raises(InvalidFrame, match="expected"):
        tabs.states[0].merge(payload)
    assert tabs.states[0].snapshot() == {}


@pytest.mark.parametrize("value", [object(), float("nan"), b"x", "\ud800", "x" * LARGEST])
def test_a_value_that_cannot_be_shared_is_refused(tabs, value):
    with pytest.raises(NotCloneable, match="expected"):
        tabs.states[0].shared("theme", "light").value = value
    assert values(tabs) == ["light"] * 3
    assert tabs.waiting == []


def test_there_is_an_end_to_names(tabs):
    for n in range(MOST_NAMES):
        tabs.states[0].shared(str(n), None).value = n
    with pytest.raises(NotCloneable, match="shared values"):
        tabs.states[0].shared("one more", None).value = 1
    with pytest.raises(ConfigurationError, match="name"):
        tabs.states[0].shared("", None)
