from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.document_frames import Presence
from server.lib0 import MalformedError
from server.presence import MAX_CLIENTS, TIMEOUT, States

ADA, BOB = object(), object()


def say(states: States, who: object, id: int, clock: int, state: object, now: float = 0) -> bool:
    text = state if isinstance(state, str) else json.dumps(state)
    return id in states.hear(who, [Presence(id, clock, text)], now)


def test_a_higher_clock_is_news_and_nothing_else() -> None:
    states = States()
    assert say(states, ADA, 1, 1, {"n": 1})
    assert not say(states, ADA, 1, 1, {"n": 2})
    assert not say(states, ADA, 1, 0, {"n": 2})
    assert say(states, ADA, 1, 2, {"n": 2})
    assert list(states.tell([1, 5])) == [Presence(1, 2, '{"n": 2}')]


def test_who_is_gone_with_its_connection() -> None:
    states = States()
    say(states, ADA, 1, 3, {})
    say(states, BOB, 2, 1, {})
    assert states.leave(ADA) == {1}
    assert list(states.tell([1])) == [Presence(1, 3, "null")]
    assert states.present() == [2]
    assert states.leave(ADA) == set()


def test_echoes_bring_nobody_back_and_send_nobody_away() -> None:
    states = States()
    say(states, ADA, 1, 3, {})
    say(states, BOB, 2, 1, {})
    assert not say(states, BOB, 1, 3, {})
    assert not say(states, BOB, 1, 3, "null")
    states.leave(ADA)
    assert not say(states, BOB, 1, 3, {})
    assert states.leave(BOB) == {2}


def test_who_comes_back_is_heard() -> None:
    states = States()
    say(states, ADA, 1, 3, {})
    states.leave(ADA)
    assert say(states, object(), 1, 3, {})
    assert states.present() == [1]


def test_two_connections_that_speak_for_one() -> None:
    states = States()
    say(states, ADA, 1, 1, {})
    say(states, BOB, 1, 2, {})
    assert states.leave(ADA) == set()
    assert states.leave(BOB) == {1}


def test_a_farewell() -> None:
    states = States()
    say(states, ADA, 1, 1, {})
    assert say(states, ADA, 1, 1, "null")
    assert not say(states, ADA, 1, 1, "null")
    assert states.present() == []
    assert not say(states, ADA, 9, 1, "null")


def test_who_is_not_heard_of_is_gone_and_then_forgotten() -> None:
    states = States()
    say(states, ADA, 1, 1, {}, now=0)
    say(states, ADA, 2, 1, {}, now=10)
    assert states.expire(TIMEOUT - 1) == set()
    assert states.expire(TIMEOUT) == {1}
    assert say(states, ADA, 1, 2, {}, now=TIMEOUT + 1)
    states.leave(ADA)
    states.expire(10 * TIMEOUT)
    assert list(states.tell([1, 2])) == []


def test_a_connection_speaks_for_few() -> None:
    states = States()
    heard = states.hear(ADA, [Presence(n, 1, "{}") for n in range(100)], 0)
    assert len(heard) == len(states.present()) == MAX_CLIENTS
    assert say(states, ADA, 0, 2, {})


@pytest.mark.parametrize(
    "state", ["", "{", "5", "[]", '"x"', "true", "NaN", '{"a":Infinity}', "[" * 5000, "é" * 5000]
)
def test_no_state(state: str) -> None:
    with pytest.raises(MalformedError):
        say(States(), ADA, 1, 1, state)


@given(
    st.lists(
        st.tuples(
            st.sampled_from("hhhhle"), st.integers(0, 2), st.integers(0, 3), st.integers(0, 4)
        )
    )
)
def test_nobody_is_there_without_a_connection(steps: list[tuple[str, int, int, int]]) -> None:
    states = States()
    speakers: list[object] = [object() for _ in range(3)]
    for now, (step, speaker, id, clock) in enumerate(steps):
        if step == "h":
            say(states, speakers[speaker], id, clock, {} if now % 4 else "null", now)
        elif step == "l":
            states.leave(speakers[speaker])
        else:
            states.expire(now + 10 * clock)
    for speaker in speakers:
        states.leave(speaker)
    assert states.present() == []
    for _ in range(3):
        states.expire(1e6)
    assert list(states.tell(range(5))) == []
