from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.actions import Answered, Attempted, Close, Emit, Finished, OpenSocket, Send
from services.errors import ConnectTimeout, InvalidTransition
from services.messages import Message, decode
from services.websocket_options import WebSocketOptions
from services.websocket_protocol import State, WebSocketProtocol


def protocol_of(*, rnd=lambda: 1.0, authenticates=False, **options):
    numbers = itertools.count()
    return WebSocketProtocol(
        WebSocketOptions(**options),
        authenticates=authenticates,
        random=rnd,
        time_ms=lambda: 0,
        new_id=lambda: f"id-{next(numbers)}",
    )


def opened(now=0.0, **options):
    protocol = protocol_of(**options)
    protocol.connect(now)
    protocol.opened(now)
    return protocol


def emitted(actions):
    return [action.type for action in actions if isinstance(action, Emit)]


def sent(actions):
    return [decode(action.text).type for action in actions if isinstance(action, Send)]


PONG = '{"type": "pong"}'


# Illegal transitions


@pytest.mark.parametrize(
    ("event", "arguments", "expected"),
    [
        ("opened", (0.0,), "connecting"),
        ("received", (0.0, "x"), "open"),
        ("closed", (0.0, 1006, ""), "connecting or open"),
        ("token_received", (0.0, "t"), "authorizing"),
    ],
)
def test_an_event_the_state_cannot_have_says_what_was_expected(event, arguments, expected):
    with pytest.raises(InvalidTransition, match=f"{event}: expected state {expected}, .* closed"):
        getattr(protocol_of(), event)(*arguments)


# Heartbeat


def test_a_ping_each_interval_while_answers_come():
    protocol = opened()
    for now in (30.0, 60.0, 90.0):
        assert protocol.deadline == now
        assert sent(protocol.timer(now)) == ["ping"]
        assert protocol.deadline == now + 10
        protocol.received(now + 0.1, PONG)
    assert protocol.state is State.OPEN


def test_any_frame_is_a_sign_of_life():
    protocol = opened()
    protocol.timer(30.0)
    protocol.received(31.0, "not even JSON")
    assert protocol.timer(40.0) == []
    assert protocol.deadline == 60.0


def test_an_unanswered_ping_closes_and_reconnects():
    protocol = opened()
    protocol.timer(30.0)
    actions = protocol.timer(40.0)
    assert actions[0] == Close(4000, "heartbeat timeout")
    assert emitted(actions) == ["disconnected"]
    assert protocol.last_close == (4000, "heartbeat timeout")
    assert protocol.state is State.WAITING


def test_after_a_sleep_the_socket_gets_one_second_chance():
    protocol = opened()
    protocol.timer(30.0)
    assert sent(protocol.timer(4000.0, late=3960.0)) == ["ping"]
    assert protocol.state is State.OPEN
    assert protocol.deadline == 4010.0
    # Not for ever: a throttled page's timers are always late.
    protocol.timer(4070.0, late=60.0)
    assert protocol.state is State.WAITING


def test_without_a_heartbeat_there_is_no_deadline():
    assert opened(heartbeat_interval=None).deadline is None


@pytest.mark.parametrize("event", ["online", "visible"])
def test_a_network_or_a_page_that_comes_back_is_a_reason_to_ask(event):
    protocol = opened()
    assert sent(getattr(protocol, event)(5.0)) == ["ping"]
    assert sent(getattr(protocol, event)(6.0)) == []
    assert protocol.deadline == 15.0


# Retrying


def fail(protocol, now):
    protocol.timer(now)
    return protocol.closed(now, 1006, "")


def test_delays_grow_to_the_cap():
    protocol = protocol_of(max_reconnect_attempts=None)
    protocol.connect(0.0)
    now, delays = 0.0, []
    protocol.closed(now, 1006, "")
    for _ in range(8):
        delays.append(protocol.deadline - now)
        now = protocol.deadline
        fail(protocol, now)
    assert delays == [1, 2, 4, 8, 16, 30, 30, 30]


def test_a_server_that_accepts_and_drops_is_given_up():
    protocol = protocol_of(max_reconnect_attempts=3)
    protocol.connect(0.0)
    for _ in range(3):
        now = protocol.deadline
        protocol.opened(now)
        protocol.closed(now + 4.9, 1012, "")
        protocol.timer(protocol.deadline)
    now = protocol.deadline
    protocol.opened(now)
    actions = protocol.closed(now, 1012, "")
    assert emitted(actions) == ["disconnected", "reconnect-failed"]
    assert (protocol.state, protocol.deadline) == (State.FAILED, None)


def test_five_healthy_seconds_count_from_zero():
    protocol = protocol_of()
    protocol.connect(0.0)
    protocol.closed(0.0, 1006, "")
    now = protocol.deadline
    protocol.timer(now)
    protocol.opened(now)
    assert protocol.attempts == 1
    protocol.closed(now + 5, 1006, "")
    assert protocol.attempts == 1
    assert protocol.deadline == now + 6


@pytest.mark.parametrize("event", ["online", "visible", "connect"])
def test_after_giving_up_it_starts_again(event):
    protocol = protocol_of(max_reconnect_attempts=0)
    protocol.connect(0.0)
    assert emitted(protocol.closed(1.0, 1006, "")) == ["error", "reconnect-failed"]
    assert getattr(protocol, event)(100.0) == [OpenSocket()]


def test_offline_burns_no_attempts():
    protocol = protocol_of()
    protocol.connect(0.0)
    protocol.offline(1.0)
    protocol.closed(2.0, 1006, "")
    assert (protocol.state, protocol.deadline, protocol.attempts) == (State.WAITING, None, 0)
    assert protocol.visible(3.0) == []
    assert protocol.online(4.0) == [OpenSocket()]


def test_offline_while_waiting_stops_the_wait():
    protocol = protocol_of()
    protocol.connect(0.0)
    protocol.closed(0.0, 1006, "")
    protocol.offline(0.1)
    assert protocol.deadline is None


def test_an_open_connection_proves_the_browser_wrong():
    protocol = protocol_of()
    protocol.offline(0.0)
    protocol.connect(0.0)
    protocol.offline(0.0)
    protocol.opened(1.0)
    protocol.closed(2.0, 1006, "")
    assert protocol.deadline is not None


@pytest.mark.parametrize("code", [1001, 1005, 1006, 1009, 1011, 1012, 1013, 3000, 4000, 4500])
def test_codes_that_reconnect(code):
    protocol = opened()
    protocol.closed(1.0, code, "")
    assert protocol.state is State.WAITING


@pytest.mark.parametrize(
    ("code", "state"),
    [(1000, State.CLOSED), (4400, State.REFUSED), (4401, State.REFUSED), (4499, State.REFUSED)],
)
def test_codes_that_end_it(code, state):
    protocol = opened()
    protocol.send(Message("a", 1, 0, "request"), deadline=99.0)
    actions = protocol.closed(1.0, code, "why")
    assert (protocol.state, protocol.deadline) == (state, None)
    assert [type(action) for action in actions] == [Emit, Attempted, Answered, Finished]
    assert protocol.online(2.0) == protocol.visible(2.0) == []


def test_a_token_refused_long_ago_does_not_count():
    protocol = protocol_of(authenticates=True)
    protocol.connect(0.0)
    for start in (0.0, 100.0):
        protocol.token_received(start, "t")
        protocol.opened(start)
        protocol.closed(start + 50, 4401, "")
        assert protocol.state is State.AUTHORIZING


def test_connect_timeout_covers_the_token():
    protocol = protocol_of(authenticates=True, connect_timeout=7)
    protocol.connect(0.0)
    protocol.token_received(6.0, "t")
    assert protocol.deadline == 7.0
    close, *_, attempted = protocol.timer(7.0)
    assert isinstance(close, Close)
    assert isinstance(attempted.error, ConnectTimeout)


def test_no_text_form_of_an_action_holds_the_token():
    protocol = protocol_of(authenticates=True)
    protocol.connect(0.0)
    protocol.token_received(0.0, "secret")
    actions = protocol.opened(0.0)
    assert "secret" in actions[0].text
    assert "secret" not in repr(actions) + repr(vars(protocol))


# Any order of events

EVENTS = st.sampled_from(
    [
        "connect",
        "disconnect",
        "token",
        "no-token",
        "open",
        "frame",
        "close",
        "timer",
        "late",
        "online",
        "offline",
        "visible",
        "send",
        "request",
        "ack",
        "pong",
        "withdraw",
    ]
)
STEPS = st.lists(st.tuples(EVENTS, st.floats(0, 60), st.integers(0, 5)), max_size=80)


@settings(max_examples=400, deadline=None)
@given(STEPS, st.booleans(), st.integers(0, 3), st.integers(0, 2**32))
def test_any_order_of_events_keeps_the_invariants(steps, authenticates, limit, seed):
    protocol = protocol_of(
        rnd=random.Random(seed).random,
        authenticates=authenticates,
        max_reconnect_attempts=limit,
        queue_limit=4,
    )
    now = 0.0
    sockets = 0
    connected = False
    pending: set[str] = set()
    numbers = itertools.count()
    for event, elapsed, choice in steps:
        now += elapsed
        before, attempts = protocol.state, protocol.attempts
        try:
            actions = perform(protocol, event, now, choice, numbers, pending)
        except InvalidTransition:
            assert protocol.state is before
            continue
        if event == "close":
            sockets = 0
        for action in actions:
            match action:
                case OpenSocket():
                    sockets += 1
                case Close():
                    sockets = 0
                case Send():
                    assert sockets == 1
                case Emit("connected"):
                    assert not connected
                    connected = True
                case Emit("disconnected"):
                    assert connected
                    connected = False
                case Answered(message_id):
                    pending.remove(message_id)
        state = protocol.state
        assert connected == (state is State.OPEN)
        assert sockets == (state in (State.CONNECTING, State.OPEN))
        assert protocol.attempts <= limit
        if state in (State.CLOSED, State.REFUSED):
            assert protocol.is_active is False
            assert pending == set() or before is state
        if state is State.WAITING and before is not State.WAITING and protocol.deadline:
            wait = protocol.deadline - now
            assert wait <= min(30, 2.0**attempts) + 1e-9 or pending
        if event in ("timer", "late") and protocol.deadline is not None:
            assert protocol.deadline > now


def perform(protocol, event, now, choice, numbers, pending):
    match event:
        case "token":
            return protocol.token_received(now, "t")
        case "no-token":
            return protocol.token_failed(now, ConnectTimeout("provider"))
        case "open":
            return protocol.opened(now)
        case "frame":
            frames = ['{"type":"a","id":1}', "[", b"", '{"type":"error"}', '{"type":"reset"}', "{}"]
            return protocol.received(now, frames[choice])
        case "pong":
            return protocol.received(now, PONG)
        case "ack":
            message_id = min(pending, default="none")
            type_ = ("ack", "nack")[choice % 2]
            frame = Message(type_, {"id": message_id}).encode()
            return protocol.received(now, frame)
        case "close":
            return protocol.closed(now, (1000, 1006, 1012, 4401, 4403, 4000)[choice], "")
        case "late":
            return protocol.timer(now, late=100.0)
        case "send" | "request":
            message_id = f"r{next(numbers)}" if event == "request" else None
            try:
                actions = protocol.send(Message("a", 1, 0, message_id), deadline=now + choice)
            except Exception:
                return []
            if message_id:
                pending.add(message_id)
            return actions
        case "withdraw":
            if pending:
                protocol.withdraw(pending.pop())
            return []
        case _:
            return getattr(protocol, event)(now)
