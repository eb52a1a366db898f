from __future__ import annotations

import pytest

from services.errors import ConfigurationError
from services.sse_client import SSEClient
from tests.support.fake_platform import FakePlatform, settle

pytestmark = pytest.mark.anyio


def client_of(platform, **options):
    client = SSEClient("./api/events", platform=platform, **options)
    events = []
    for name in ("connected", "disconnected", "error", "reset"):
        client.on(name, lambda payload, name=name: events.append(name))
    return client, events


def test_connected_and_disconnected_tell_the_truth(platform):
    client, events = client_of(platform)
    client.connect()
    client.connect()
    assert platform.stream.url == "https://page.example/app/api/events"
    assert (events, client.is_connected, client.state) == ([], False, "connecting")
    platform.stream.accept()
    assert (events, client.is_connected) == (["connected"], True)
    platform.stream.drop()
    assert (events, client.is_connected) == (["connected", "disconnected"], False)
    platform.advance(1)
    platform.stream.drop(503, "busy")
    assert events == ["connected", "disconnected", "error"]
    client.disconnect()
    assert events == ["connected", "disconnected", "error"]
    assert (platform.open_streams, platform.timers, platform.watchers) == (0, 0, 0)


@pytest.mark.parametrize("rubbish", ['"a\\nb"', '"\\u0000"', "{", "[]"])
def test_rubbish_in_the_storage_is_no_position(platform, rubbish):
    platform.storage["realtime:last-id:https://page.example/app/api/events"] = rubbish
    client, _ = client_of(platform)
    client.connect()
    assert platform.stream.last_event_id == ""


def test_a_reloaded_page_resumes(platform):
    client, _ = client_of(platform)
    client.connect()
    platform.stream.accept()
    platform.stream.deliver("activity", "{}", "7")
    again, _ = client_of(platform)
    again.connect()
    assert platform.stream.last_event_id == "7"
    other, _ = client_of(platform, resume_after_reload=False)
    other.connect()
    assert platform.stream.last_event_id == ""


def test_handlers_survive_every_new_stream(platform):
    client, _ = client_of(platform)
    got = []
    client.on("activity", got.append)
    client.connect()
    client.on("message", got.append)
    for n in range(3):
        platform.stream.accept()
        platform.stream.deliver("activity", f'{{"n": {n}}}', str(n))
        platform.stream.deliver("message", "text", str(n))
        platform.stream.drop()
        platform.advance(30)
        assert platform.stream.last_event_id == client.last_event_id == str(n)
    assert got == [{"n": 0}, "text", {"n": 1}, "text", {"n": 2}, "text"]
    assert len(platform.streams) == 4


def test_late_news_of_a_closed_stream_is_ignored(platform):
    client, events = client_of(platform)
    client.connect()
    client.disconnect()
    stream = platform.stream
    stream.accept()
    stream.comment()
    stream.deliver("message", "1")
    stream.drop()
    assert events == []
    assert client.state == "closed"


def test_comments_keep_a_stream_alive(platform):
    client, events = client_of(platform, stall_timeout=20)
    client.connect()
    platform.stream.accept()
    for _ in range(10):
        platform.advance(15)
        platform.stream.comment()
    assert len(platform.streams) == 1
    platform.advance(21)
    assert events == ["connected", "disconnected"]
    assert platform.streams[0].gone


async def test_the_token_is_asked_for_at_each_attempt(platform):
    tokens = iter("abc")
    client, _ = client_of(platform, token=lambda: next(tokens))
    client.connect()
    await settle()
    assert platform.stream.token == "a"
    platform.stream.drop(401, "unauthorized")
    await settle()
    assert platform.stream.token == "b"
    platform.stream.drop(401, "unauthorized")
    await settle()
    assert client.state == "ended"


def test_with_credentials_reaches_the_stream(platform):
    client, _ = client_of(platform, with_credentials=False)
    client.connect()
    assert platform.stream.with_credentials is False


def test_a_missing_module_is_told(platform):
    def missing(*_, **__):
        raise ConfigurationError("pyscript.toml: expected event_stream, came none")

    platform.open_event_stream = missing
    client, _ = client_of(platform)
    texts = []
    client.on("error", lambda payload: texts.append(payload["error"]))
    client.connect()
    assert "expected event_stream" in texts[0]


@pytest.mark.parametrize(
    "options", [{"stall_timeout": 0}, {"reconnect_interval_max": "x"}, {"token": []}]
)
def test_wrong_options_say_what_was_expected_and_what_came(options):
    with pytest.raises(ConfigurationError, match=r"expected .*came "):
        SSEClient("./api/events", platform=FakePlatform(), **options)
