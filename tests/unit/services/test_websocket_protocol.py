from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.actions import (
    Answered,
    Attempted,
    Close,
    Emit,
    Finished,
    Measure,
    OpenSocket,
    Send,
)
from services.errors import ConnectTimeout, InvalidTransition
from services.messages import Message, decode
from services.websocket_options import WebSocketOptions
from services.websocket_protocol import State, WebSocketProtocol


def protocol_of(*, rnd=lambda: 1.0, asks=False, **options):
    numbers = itertools.count()
    return WebSocketProtocol(
        WebSocketOptions(**options),
        asks=asks,
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
    return [decode(action.frame).type for action in actions if isinstance(action, Send)]


PONG = '{"type": "pong"}'


# Illegal transitions


@pytest.mark.parametrize(
    ("event", "arguments", "expected"),
    [
        ("opened", (0.0,), "connecting"),
        ("received", (0.0, ["x"]), "open"),
        ("closed", (0.0, 1006, ""), "connecting or open"),
        ("provided", (0.0, "t"), "authorizing"),
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
        protocol.received(now + 0.1, [PONG])
    assert protocol.state is State.OPEN


def test_any_frame_is_a_sign_of_life():
    protocol = opened()
    protocol.timer(30.0)
    protocol.received(31.0, ["not even JSON"])
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
    protocol = protocol_of(asks=True)
    protocol.connect(0.0)
    for start in (0.0, 100.0):
        protocol.provided(start, "t")
        protocol.opened(start)
        protocol.closed(start + 50, 4401, "")
        assert protocol.state is State.AUTHORIZING


def test_connect_timeout_covers_the_token():
    protocol = protocol_of(asks=True, connect_timeout=7)
    protocol.connect(0.0)
    protocol.provided(6.0, "t")
    assert protocol.deadline == 7.0
    close, *_, attempted = protocol.timer(7.0)
    assert isinstance(close, Close)
    assert isinstance(attempted.error, ConnectTimeout)


def test_no_text_form_of_an_action_holds_the_token():
    protocol = protocol_of(asks=True)
    protocol.connect(0.0)
    protocol.provided(0.0, "secret")
    actions = protocol.opened(0.0)
    assert "secret" in actions[0].frame
    assert "secret" not in repr(actions) + repr(vars(protocol))


def test_a_server_that_answers_has_to_go_on_answering():
    protocol = opened(heartbeat_interval=30, heartbeat_timeout=10)
    protocol.timer(30.0)
    protocol.received(31.0, [PONG])
    protocol.timer(60.0)
    assert protocol.deadline == 70.0
    # Events show that the way here works, not that the way there does.
    protocol.received(65.0, ['{"type": "a"}'])
    assert protocol.deadline == 75.0
    protocol.received(74.0, ['{"type": "a"}'])
    protocol.received(83.0, ['{"type": "a"}'])
    protocol.timer(90.0)
    protocol.received(92.0, ['{"type": "a"}'])
    assert protocol.deadline == 100.0
    close, *_ = protocol.timer(100.0)
    assert close == Close(4000, "heartbeat timeout")


def test_an_acknowledgement_answers_a_ping_as_well():
    protocol = opened()
    protocol.timer(30.0)
    protocol.received(30.5, [PONG])
    protocol.timer(60.0)
    protocol.received(61.0, ['{"type": "ack", "payload": {"id": "none of mine"}}'])
    assert protocol.deadline == 90.0


# Circumstances


def waiting(**options):
    protocol = opened(**options)
    protocol.closed(1.0, 1006, "")
    assert protocol.deadline == 2.0
    return protocol


def test_a_hidden_page_takes_a_minute_to_reconnect():
    protocol = opened()
    assert protocol.hidden(0.5) == []
    assert protocol.state is State.OPEN
    protocol.closed(1.0, 1006, "")
    assert protocol.deadline == 61.0
    assert protocol.timer(61.0) == [OpenSocket()]
    protocol.closed(62.0, 1006, "")
    assert protocol.deadline == 122.0
    assert protocol.visible(63.0) == [OpenSocket()]


def test_a_page_that_is_hidden_while_it_waits_takes_a_minute_too():
    protocol = waiting()
    protocol.hidden(1.5)
    assert protocol.deadline == 61.5
    protocol.offline(2.0)
    assert protocol.deadline is None
    assert protocol.visible(3.0) == []
    assert protocol.online(4.0) == [OpenSocket()]


def test_connect_does_not_wait_for_somebody_to_look():
    protocol = protocol_of()
    protocol.hidden(0.0)
    assert protocol.connect(0.0) == [OpenSocket()]


def test_a_pause_lets_go_and_keeps_what_waits():
    protocol = opened()
    protocol.send(Message("request", 1, 0, "1"), deadline=None)
    close, gone = protocol.pause(1.0, "why")
    assert close == Close(1000, "why")
    assert gone == Emit("disconnected", {"code": 1000, "reason": "why"})
    assert (protocol.state, protocol.deadline) == (State.WAITING, None)
    assert protocol.online(2.0) == protocol.visible(2.0) == protocol.connect(2.0) == []
    assert protocol.unpause(3.0) == [OpenSocket()]
    assert sent(protocol.opened(3.0)) == ["resume", "request"]


def test_a_pause_outlasts_disconnect_and_connect():
    protocol = protocol_of()
    protocol.pause(0.0, "why")
    assert protocol.unpause(1.0) == []
    protocol.pause(2.0, "why")
    assert protocol.connect(3.0) == []
    assert protocol.unpause(4.0) == [OpenSocket()]


# A socket that holds back


def texts(actions):
    return [decode(action.frame).payload for action in actions if isinstance(action, Send)]


def test_past_the_high_water_mark_messages_wait():
    protocol = opened(high_water=100)
    actions = protocol.send(Message("a", "x" * 100, 0))
    assert (texts(actions), actions[-1]) == (["x" * 100], Measure())
    assert texts(protocol.send(Message("a", "second", 0))) == []
    assert protocol.send_volatile(Message("a", "volatile", 0)) == []
    assert protocol.buffered(1.0, 140) == []
    assert protocol.deadline == 1.05
    assert protocol.timer(1.05) == [Measure()]
    # More than half of the mark: not yet.
    assert protocol.buffered(1.05, 51) == []
    assert protocol.timer(1.1) == [Measure()]
    assert texts(protocol.buffered(1.1, 50)) == ["second"]
    assert protocol.timer(1.2) == []


def test_what_a_measurement_shows_to_be_gone_makes_room_at_once():
    protocol = opened(high_water=100)
    assert protocol.send(Message("a", "x" * 100, 0))[-1] == Measure()
    assert protocol.buffered(1.0, 0) == []
    assert texts(protocol.send(Message("a", "second", 0))) == ["second"]


def test_what_is_sent_again_is_held_back_too():
    protocol = opened(high_water=280)
    for n in range(4):
        protocol.send(Message("a", "x" * 100, 0, f"r{n}"))
        protocol.buffered(0.0, 0)
    protocol.closed(1.0, 1006, "")
    protocol.timer(2.0)
    actions = protocol.opened(2.0)
    assert sent(actions) == ["resume", "a", "a"]
    assert Measure() in actions
    assert sent(protocol.buffered(2.0, 0)) == ["a", "a"]


# Round trips


def test_a_round_trip_is_measured_by_ping():
    protocol = opened()
    assert sent(protocol.ping(1.0)) == ["ping"]
    assert protocol.ping(1.5) == []
    protocol.received(3.0, [PONG])
    assert protocol.session.round_trip == 2.0
    protocol.received(9.0, [PONG])
    assert protocol.session.round_trip == 2.0
    protocol.closed(10.0, 1006, "")
    assert protocol.ping(10.0) == []


# A refused token


def refused(protocol, now=1.0):
    return protocol.closed(now, 4401, "token expired")


def test_what_followed_a_refused_token_is_sent_again():
    protocol = protocol_of(asks=True)
    protocol.send(Message("queued", 1, 0))
    protocol.connect(0.0)
    protocol.provided(0.0, "stale")
    assert sent(protocol.opened(0.0)) == ["auth", "resume", "queued"]
    assert sent(protocol.send(Message("new", 1, 0))) == ["new"]
    refused(protocol)
    protocol.provided(1.0, "fresh")
    assert sent(protocol.opened(1.0)) == ["auth", "resume", "queued", "new"]
    protocol.received(1.0, ['{"type": "auth-ok"}'])
    refused(protocol, 9.0)
    protocol.provided(9.0, "newer")
    assert sent(protocol.opened(9.0)) == ["auth", "resume"]


def test_a_live_message_does_not_mean_that_the_token_was_accepted():
    protocol = protocol_of(asks=True)
    protocol.connect(0.0)
    protocol.provided(0.0, "stale")
    protocol.opened(0.0)
    protocol.send(Message("plain", 1, 0))
    protocol.send_volatile(Message("volatile", 1, 0))
    protocol.send(Message("reliable", 1, 0, "1"))
    protocol.received(0.5, ['{"type": "a", "id": 1}'])
    refused(protocol)
    protocol.provided(1.0, "fresh")
    assert sent(protocol.opened(1.0)) == ["auth", "resume", "plain", "reliable"]


def test_a_token_that_was_accepted_may_run_out_again_and_again():
    protocol = protocol_of(asks=True)
    protocol.connect(0.0)
    now = 0.0
    for attempt in range(4):
        protocol.provided(now, "t")
        protocol.opened(now)
        protocol.received(now, ['{"type": "auth-ok"}'])
        refused(protocol, now + 1)
        if attempt == 0:
            assert protocol.state is State.AUTHORIZING  # at once, the first time
        else:
            assert protocol.state is State.WAITING
            now = protocol.deadline
            protocol.timer(now)


def test_4403_ends_it_with_a_clear_state():
    protocol = protocol_of(asks=True)
    protocol.connect(0.0)
    protocol.provided(0.0, "t")
    protocol.opened(0.0)
    protocol.closed(1.0, 4403, "not for you")
    assert (protocol.state, protocol.deadline) == (State.REFUSED, None)
    assert protocol.last_close == (4403, "not for you")


# Batches


def test_a_batch_is_delivered_in_order_around_what_is_not_the_applications():
    protocol = opened()
    frames = [
        '{"type": "a", "id": 1}',
        '{"type": "b", "id": 2}',
        "[",
        '{"type": "a", "id": 2}',
        PONG,
        '{"type": "c", "id": 3}',
        '{"type": "reset", "payload": {"reason": "expired", "after": "9"}}',
    ]
    first, error, second, reset = protocol.received(1.0, frames)
    assert [message.type for message in first.messages] == ["a", "b"]
    assert error.type == "error"
    assert [message.type for message in second.messages] == ["c"]
    assert reset == Emit("reset", {"reason": "expired"})
    assert protocol.session.history.last == "9"
    assert protocol.session.received_count == 3


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
        "hidden",
        "pause",
        "unpause",
        "ping",
        "send",
        "volatile",
        "request",
        "buffered",
        "ack",
        "pong",
        "withdraw",
    ]
)
STEPS = st.lists(st.tuples(EVENTS, st.floats(0, 60), st.integers(0, 5)), max_size=80)


@settings(max_examples=400, deadline=None)
@given(STEPS, st.booleans(), st.integers(0, 3), st.integers(0, 2**32))
def test_any_order_of_events_keeps_the_invariants(steps, asks, limit, seed):
    protocol = protocol_of(
        rnd=random.Random(seed).random,
        asks=asks,
        max_reconnect_attempts=limit,
        queue_limit=4,
        high_water=200,
    )
    now = 0.0
    sockets = 0
    connected = hidden = paused = False
    pending: set[str] = set()
    numbers = itertools.count()
    for event, elapsed, choice in steps:
        now += elapsed
        before, attempts = protocol.state, protocol.attempts
        if event in ("hidden", "visible"):
            hidden = event == "hidden"
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
        if event in ("pause", "unpause"):
            paused = event == "pause"
        assert not (paused and sockets)
        assert connected == (state is State.OPEN)
        assert sockets == (state in (State.CONNECTING, State.OPEN))
        assert protocol.attempts <= limit
        if state in (State.CLOSED, State.REFUSED):
            assert protocol.is_active is False
            assert pending == set() or before is state
        if state is State.WAITING and before is not State.WAITING and protocol.deadline:
            wait = protocol.deadline - now
            assert wait <= (60 if hidden else min(30, 2.0**attempts)) + 1e-9 or pending
        if event in ("timer", "late") and protocol.deadline is not None:
            assert protocol.deadline > now


def perform(protocol, event, now, choice, numbers, pending):
    match event:
        case "token":
            return protocol.provided(now, "t")
        case "no-token":
            return protocol.provider_failed(now, ConnectTimeout("provider"))
        case "open":
            return protocol.opened(now)
        case "frame":
            frames = ['{"type":"a","id":1}', "[", b"", '{"type":"error"}', '{"type":"reset"}', "{}"]
            return protocol.received(now, [frames[choice]])
        case "pong":
            return protocol.received(now, [PONG])
        case "ack":
            message_id = min(pending, default="none")
            type_ = ("ack", "nack")[choice % 2]
            frame = Message(type_, {"id": message_id}).encode()
            return protocol.received(now, [frame])
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
        case "volatile":
            return protocol.send_volatile(Message("a", 1, 0))
        case "buffered":
            return protocol.buffered(now, choice * 50)
        case "pause":
            return protocol.pause(now, "why")
        case "withdraw":
            if pending:
                protocol.withdraw(pending.pop())
            return []
        case _:
            return getattr(protocol, event)(now)
