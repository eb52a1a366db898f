from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.actions import AskProviders, Close, DeliverEvents, Emit, OpenStream
from services.backoff import Backoff
from services.errors import ConnectionFailed, InvalidTransition
from services.platform import StreamEvent
from services.sse_protocol import SSEProtocol, State


def protocol_of(*, rnd=lambda: 1.0, asks=False):
    return SSEProtocol(Backoff(1, 30, rnd), stall_timeout=45, asks=asks)


def opened(now=0.0):
    protocol = protocol_of()
    protocol.connect(now)
    protocol.opened(now)
    return protocol


def test_the_watchdog_wakes_45_seconds_after_the_last_byte():
    protocol = opened()
    protocol.alive(30.0)
    assert protocol.deadline == 45.0
    assert protocol.timer(45.0) == []
    assert protocol.deadline == 75.0
    actions = protocol.timer(75.0)
    assert isinstance(actions[0], Close)
    assert actions[1] == Emit("disconnected", {"reason": "nothing came for 45 s"})
    assert protocol.state is State.WAITING


def test_a_stream_that_never_opens_is_dropped_too():
    protocol = protocol_of()
    protocol.connect(0.0)
    actions = protocol.timer(45.0)
    assert isinstance(actions[0], Close)
    assert actions[1].type == "error"


@pytest.mark.parametrize("status", [None, 200, 301, 408, 429, 500, 502, 503, 504])
def test_what_another_attempt_may_mend(status):
    protocol = protocol_of()
    protocol.connect(0.0)
    (error,) = protocol.closed(0.0, status, "why")
    assert error == Emit("error", {"error": "connection failed: why", "status": status})
    assert protocol.timer(1.0) == [OpenStream("", None)]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 422])
def test_refusals_that_end_it(status):
    protocol = protocol_of()
    protocol.connect(0.0)
    (error,) = protocol.closed(0.0, status, "no")
    assert error.payload["status"] == status
    assert (protocol.state, protocol.deadline) == (State.ENDED, None)
    assert protocol.online(1.0) == protocol.visible(1.0) == []
    assert protocol.connect(2.0) == [OpenStream("", None)]


def test_204_ends_it_without_an_error():
    protocol = protocol_of()
    protocol.connect(0.0)
    assert protocol.closed(0.0, 204, "no content") == []
    assert protocol.state is State.ENDED


def test_retry_after_is_honoured():
    protocol = protocol_of()
    protocol.connect(0.0)
    protocol.closed(0.0, 503, "busy", 120.0)
    # And the jitter on top, lest all come back in one moment.
    assert protocol.deadline == 121.0


def test_the_servers_reconnection_time_is_honoured():
    protocol = opened()
    protocol.retry_in(1.0, 5.0)
    protocol.closed(10.0, None, "cut")
    assert protocol.deadline == 16.0
    protocol.timer(16.0)
    protocol.closed(16.0, 503, "busy", 7.0)
    assert protocol.deadline == 16.0 + 7.0 + 2.0


def test_an_id_without_an_event_counts():
    protocol = opened()
    protocol.positioned(1.0, "7")
    protocol.closed(2.0, None, "cut")
    assert protocol.timer(9.0) == [OpenStream("7", None)]


def test_a_hidden_page_takes_a_minute_to_reconnect():
    protocol = opened()
    protocol.closed(1.0, None, "cut")
    protocol.hidden(1.5)
    assert protocol.deadline == 61.5
    assert protocol.visible(2.0) == [OpenStream("", None)]


def test_a_pause_lets_go_and_resumes():
    protocol = opened()
    protocol.received(1.0, [StreamEvent("message", "1", "7")])
    assert protocol.pause(2.0, "why") == [
        Close(1000, "why"),
        Emit("disconnected", {"reason": "why"}),
    ]
    assert (protocol.state, protocol.deadline) == (State.WAITING, None)
    assert protocol.online(3.0) == protocol.connect(3.0) == []
    assert protocol.unpause(4.0) == [OpenStream("7", None)]


def test_a_batch_is_delivered_in_order_around_what_is_not_the_applications():
    protocol = opened()
    events = [
        StreamEvent("a", "1", "1"),
        StreamEvent("b", "2", "2"),
        StreamEvent("error", "forged", "3"),
        StreamEvent("a", "3", "4"),
    ]
    first, error, second = protocol.received(1.0, events)
    assert first == DeliverEvents([("a", 1, "1"), ("b", 2, "2")])
    assert error.type == "error"
    assert second == DeliverEvents([("a", 3, "4")])
    assert (protocol.last_event_id, protocol.received_count) == ("4", 3)


def test_401_asks_for_another_token_once():
    protocol = protocol_of(asks=True)
    assert protocol.connect(0.0) == [AskProviders()]
    assert protocol.provided(0.0, "old") == [OpenStream("", "old")]
    assert protocol.closed(0.0, 401, "")[-1] == AskProviders()
    protocol.provided(0.0, "new")
    protocol.closed(0.0, 401, "")
    assert protocol.state is State.ENDED


def test_the_last_event_id_outlives_the_stream():
    protocol = opened()
    protocol.received(1.0, [StreamEvent("message", "1", "7")])
    protocol.closed(2.0, None, "cut")
    assert protocol.timer(3.0) == [OpenStream("7", None)]
    protocol.opened(3.0)
    # The new stream has carried no id yet.
    protocol.received(4.0, [StreamEvent("message", "1", "")])
    assert protocol.last_event_id == "7"
    protocol.received(4.0, [StreamEvent("message", "1", "8")])
    # HTML §9.2.6: an empty id field resets it.
    protocol.received(5.0, [StreamEvent("message", "1", "")])
    assert protocol.last_event_id == ""


def test_a_stream_lost_before_its_first_event_resumes_from_its_beginning():
    protocol = opened()
    protocol.closed(2.0, None, "cut")
    protocol.timer(3.0)
    protocol.opened(3.0, "41")
    protocol.closed(4.0, None, "cut")
    assert protocol.timer(40.0) == [OpenStream("41", None)]
    protocol.opened(40.0, "99")
    assert protocol.last_event_id == "41"


def test_reset_starts_again_from_where_the_server_says():
    protocol = opened()
    protocol.received(1.0, [StreamEvent("message", "1", "7")])
    protocol.closed(2.0, None, "cut")
    protocol.timer(3.0)
    protocol.opened(3.0)
    assert protocol.received(4.0, [StreamEvent("reset", '{"reason": "too old"}', "")]) == [
        Emit("reset", {"reason": "too old"})
    ]
    assert protocol.last_event_id == ""
    protocol.received(4.0, [StreamEvent("reset", "plain text", "90")])
    assert protocol.last_event_id == "90"


@pytest.mark.parametrize("event", ["connected", "disconnected", "error", "reconnect-failed"])
def test_a_server_cannot_forge_lifecycle_events(event):
    (error,) = opened().received(1.0, [StreamEvent(event, '{"forged": 1}', "")])
    assert error.type == "error"
    assert "forged" not in str(error)


@pytest.mark.parametrize(
    ("data", "value"),
    [
        ('{"a": 1}', {"a": 1}),
        ("[1]", [1]),
        ("7", 7),
        ("null", None),
        ("plain text", "plain text"),
        ("", ""),
        ("NaN", "NaN"),
        ("{", "{"),
        ("[" * 100_000, "[" * 100_000),
    ],
    ids=lambda value: repr(value)[:12],
)
def test_data_is_json_where_it_is_json(data, value):
    assert opened().received(1.0, [StreamEvent("message", data, "")]) == [
        DeliverEvents([("message", value, "")])
    ]


def test_offline_waits_for_the_network():
    protocol = opened()
    protocol.offline(1.0)
    protocol.closed(2.0, None, "cut")
    assert protocol.deadline is None
    assert protocol.visible(3.0) == []
    assert protocol.online(4.0) == [OpenStream("", None)]


def test_an_event_the_state_cannot_have_says_what_was_expected():
    with pytest.raises(InvalidTransition, match="opened: expected state connecting, came in state"):
        protocol_of().opened(0.0)


EVENTS = st.sampled_from(
    [
        "connect",
        "disconnect",
        "token",
        "no-token",
        "opened",
        "alive",
        "received",
        "closed",
        "timer",
        "online",
        "offline",
        "visible",
        "hidden",
        "pause",
        "unpause",
        "positioned",
        "retry_in",
    ]
)


@settings(max_examples=400, deadline=None)
@given(
    st.lists(st.tuples(EVENTS, st.floats(0, 60), st.integers(0, 6)), max_size=80),
    st.booleans(),
    st.integers(0, 2**32),
)
def test_any_order_of_events_keeps_the_invariants(steps, asks, seed):
    protocol = protocol_of(rnd=random.Random(seed).random, asks=asks)
    now, streams, connected, hidden = 0.0, 0, False, False
    for event, elapsed, choice in steps:
        now += elapsed
        before, attempts = protocol.state, protocol.attempts
        arguments = {
            "received": ([StreamEvent("message", "1", "7"), StreamEvent("reset", "", "")],),
            "positioned": ("8",),
            "retry_in": (2.0,),
            "pause": ("why",),
            "closed": ((None, 200, 204, 401, 404, 500, 503)[choice], "why", 3.0),
        }.get(event, ())
        if event in ("hidden", "visible"):
            hidden = event == "hidden"
        try:
            match event:
                case "token":
                    actions = protocol.provided(now, "t")
                case "no-token":
                    actions = protocol.provider_failed(now, ConnectionFailed("provider"))
                case _:
                    actions = getattr(protocol, event)(now, *arguments)
        except InvalidTransition:
            assert protocol.state is before
            continue
        if event == "closed":
            streams = 0
        for action in actions:
            match action:
                case OpenStream():
                    streams += 1
                case Close():
                    streams = 0
                case Emit("connected"):
                    assert not connected
                    connected = True
                case Emit("disconnected"):
                    assert connected
                    connected = False
        state = protocol.state
        assert connected == (state is State.OPEN)
        assert streams == (state in (State.CONNECTING, State.OPEN))
        if state in (State.CLOSED, State.ENDED):
            assert protocol.deadline is None
        if state is State.WAITING and before is not State.WAITING and protocol.deadline:
            wait = 3.0 + min(30, 2.0**attempts)
            assert protocol.deadline - now <= (60 if hidden else wait) + 1e-9
        if event == "timer" and protocol.deadline is not None:
            assert protocol.deadline > now
