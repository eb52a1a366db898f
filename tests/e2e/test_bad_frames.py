"""Whatever a server sends, the page shows what is good and lives on."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import expect

CARD = "notification-feed .notification"


def frame(payload, **more):
    return json.dumps({"type": "notification", "payload": payload, "timestamp": 0, **more})


NO_FRAMES = {
    "text": "hello",
    "cut": '{"type": "notif',
    "array": "[1, 2]",
    "no type": '{"payload": 1}',
    "typed wrongly": '{"type": 7, "payload": {}}',
    "binary": b"\x00\xff",
    "five megabytes": "x" * 5_000_000,
    "deep": "[" * 100_000,
    "not a number": '{"type": "notification", "payload": NaN}',
    "forged": '{"type": "disconnected", "payload": {"code": 1, "reason": "forged"}}',
}

ODD_PAYLOADS = {
    "empty": {},
    "wrong types": {"id": [], "type": {}, "title": 7, "message": None, "timestamp": "soon"},
    "unknown kind": {"id": "k", "type": "catastrophe", "title": "Kind"},
    "future": {"id": "f", "title": "Future", "timestamp": 99999999999999},
    "extra": {"id": "e", "title": "Extra", "constructor": {"prototype": 1}, "__proto__": 2},
    "surrogate": {"id": "s", "title": "half \ud83e"},
}


@pytest.fixture
def served(page, gateway):
    """The page, and its WebSocket's server end in our hands."""
    servers = []
    page.route_web_socket("**/ws", lambda server: servers.append(server))
    page.goto(gateway.url)
    page.wait_for_selector("notification-feed .connection-status.connected")
    return page, servers[0]


@pytest.mark.parametrize("bad", NO_FRAMES.values(), ids=NO_FRAMES)
def test_what_is_no_frame_is_reported_once_and_skipped(served, bad):
    page, server = served
    reports = []
    page.on("console", lambda message: reports.append(message.text))
    server.send(bad)
    server.send(frame({"id": "good", "title": "Good"}))
    expect(page.locator(CARD)).to_have_count(1)
    expect(page.locator(CARD)).to_have_attribute("data-id", "good")
    expect(page.locator("notification-feed .connection-status.connected")).to_be_visible()
    assert len(reports) == 1
    assert reports[0].startswith("WebSocket: ")
    assert "expected" in reports[0]
    assert len(reports[0]) < 500


@pytest.mark.parametrize("payload", ODD_PAYLOADS.values(), ids=ODD_PAYLOADS)
def test_an_odd_payload_is_shown_as_well_as_can_be(served, payload):
    page, server = served
    server.send(frame(payload))
    server.send(frame({"id": "good", "title": "Good"}))
    expect(page.locator(CARD)).to_have_count(2)
    odd = page.locator(CARD).last
    expect(odd).to_have_class("notification info")
    expect(odd.locator(".notification-time")).to_have_text("Just now")
    expect(odd.get_by_role("button")).to_be_visible()


@pytest.mark.parametrize("payload", [None, 7, "text", []])
def test_a_payload_that_is_no_object_is_reported_once(served, payload, complaints):
    page, server = served
    server.send(frame(payload))
    server.send(frame({"id": "good", "title": "Good"}))
    expect(page.locator(CARD)).to_have_attribute("data-id", "good")
    assert len(complaints) == 1
    assert "expected an object" in complaints[0]
    complaints.clear()


def test_an_id_that_comes_twice_is_one_card(served):
    page, server = served
    server.send(frame({"id": "a", "title": "First"}))
    server.send(frame({"id": "b", "title": "Other"}))
    server.send(frame({"id": "a", "title": "Second"}))
    expect(page.locator(CARD)).to_have_count(2)
    expect(page.locator(CARD).first).to_contain_text("Second")


def test_a_frame_seen_before_is_dropped(served):
    page, server = served
    server.send(frame({"id": "a", "title": "First"}, id="1"))
    server.send(frame({"id": "a", "title": "Again"}, id="1"))
    server.send(frame({"id": "b", "title": "Last"}, id="2"))
    expect(page.locator(CARD)).to_have_count(2)
    expect(page.locator(CARD).last).to_contain_text("First")


def test_works_with_a_server_that_knows_only_the_chapter(served):
    page, server = served
    server.send('{"type": "pong", "payload": {}, "timestamp": 1}')
    server.send(frame({"id": "a", "type": "warning", "title": "Plain", "message": "m"}))
    expect(page.locator(f"{CARD}.warning")).to_contain_text("Plain")
