"""`<notification-feed>` on the page."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import wait_until_live
from tests.e2e.recorder import record_notifications, seen, wait_for_last

CARD = "notification-feed .notification"


def test_shows_a_notification_in_every_tab(live, new_tab, gateway):
    other = new_tab()
    other.goto(gateway.url)
    wait_until_live(other)
    event_id = gateway.post_notification("Built", message="in 42 s", type="success")
    for tab in (live, other):
        card = tab.locator(f"{CARD}.success[data-id='{event_id}']")
        expect(card).to_contain_text("Built")
        expect(card).to_contain_text("in 42 s")
        expect(card).to_contain_text("Just now")


def test_newest_first_and_fifty_at_most(live, gateway):
    ids = [gateway.post_notification("n0")]
    live.locator(CARD).hover()  # nothing leaves by itself now
    ids += [gateway.post_notification(f"n{n}") for n in range(1, 60)]
    expect(live.locator(CARD).first).to_have_attribute("data-id", ids[-1])
    expect(live.locator(CARD)).to_have_count(50)
    expect(live.locator(CARD).last).to_have_attribute("data-id", ids[10])


def test_is_dismissed_by_hand(live, gateway):
    expect(live.locator("notification-feed .empty")).to_be_visible()
    gateway.post_notification("One")
    live.locator(CARD).get_by_role("button", name="Dismiss One").evaluate(
        "button => { button.click(); button.click(); }"
    )
    expect(live.locator(CARD)).to_have_count(0)
    expect(live.locator("notification-feed .empty")).to_be_visible()


def test_the_keyboard_dismisses_one_after_another(live, gateway):
    for name in ("Two", "One"):
        gateway.post_notification(name)
    live.get_by_role("button", name="Dismiss One").focus()
    live.keyboard.press("Enter")
    expect(live.get_by_role("button", name="Dismiss Two")).to_be_focused()
    live.keyboard.press("Enter")
    expect(live.locator(CARD)).to_have_count(0)
    expect(live.get_by_role("heading", name="Notifications", exact=True)).to_be_focused()


def test_a_key_that_dismissed_the_last_does_not_hold_the_next(clocked, gateway):
    gateway.post_notification("One")
    clocked.get_by_role("button", name="Dismiss One").press("Enter")
    expect(clocked.locator(CARD)).to_have_count(0)
    gateway.post_notification("Next")
    expect(clocked.locator(CARD)).to_have_count(1)
    clocked.clock.run_for(6000)
    expect(clocked.locator(CARD)).to_have_count(0)


@pytest.fixture
def clocked(page, gateway):
    """The page, with a clock that the test moves on."""
    page.clock.install()
    page.goto(gateway.url)
    wait_until_live(page)
    return page


def test_leaves_after_five_seconds(clocked, gateway):
    gateway.post_notification("Short")
    expect(clocked.locator(CARD)).to_have_count(1)
    clocked.clock.run_for(6000)
    expect(clocked.locator(CARD)).to_have_count(0)


@pytest.mark.parametrize("look", ["pointer", "focus"])
def test_stays_while_looked_at(clocked, gateway, look):
    gateway.post_notification("Long")
    if look == "pointer":
        clocked.locator(CARD).hover()
    else:
        clocked.get_by_role("button", name="Dismiss Long").focus()
    clocked.clock.run_for(90_000)
    wait_until_live(clocked)
    expect(clocked.locator(CARD)).to_contain_text("1m ago")
    if look == "pointer":
        clocked.mouse.move(0, 0)
    else:
        clocked.locator("notification-form input[name=title]").focus()
    clocked.clock.run_for(6000)
    expect(clocked.locator(CARD)).to_have_count(0)


def test_a_click_that_dismisses_one_does_not_hold_the_others(clocked, gateway):
    for name in ("Two", "One"):
        gateway.post_notification(name)
    clocked.get_by_role("button", name="Dismiss One").click()
    expect(clocked.locator(CARD)).to_have_count(1)
    clocked.mouse.move(0, 0)
    clocked.clock.run_for(6000)
    expect(clocked.locator(CARD)).to_have_count(0)


def test_ten_minutes_go_by(clocked, gateway):
    for _ in range(20):
        clocked.clock.run_for(30_000)
        wait_until_live(clocked)
    gateway.post_notification("Still here")
    expect(clocked.locator(CARD)).to_contain_text("Still here")
    expect(clocked.locator("notification-feed .connection-status")).to_have_text("● Connected")


def test_a_killed_gateway_loses_and_repeats_nothing(live, gateway):
    record_notifications(live)
    ids = [gateway.post_notification(f"n{n}") for n in range(3)]
    gateway.kill()
    expect(live.locator("notification-feed .connection-status.disconnected")).to_be_visible()
    gateway.start()
    ids += [gateway.post_notification(f"n{n}") for n in range(3, 7)]
    gateway.kill()
    gateway.start()
    ids += [gateway.post_notification(f"n{n}") for n in range(7, 10)]
    wait_for_last(live, ids[-1])
    assert seen(live) == ids


def test_what_came_before_the_first_message_is_not_lost_either(live, gateway):
    record_notifications(live)
    gateway.kill()
    gateway.start()
    ids = [gateway.post_notification(f"n{n}") for n in range(3)]
    wait_for_last(live, ids[-1])
    assert seen(live) == ids


def test_hostile_text_stays_text(live, gateway):
    title = (
        '<img src=x onerror="document.title=\'hacked\'"><script>document.title="hacked"</script>'
    )
    message = "\"quotes\" & 'more' 🦊 \u202eמפתיע\u202c مفاجأة \x00\x07"
    gateway.post_notification(title, message=message)
    card = live.locator(CARD)
    expect(card.locator("strong")).to_contain_text("<img src=x onerror=")
    expect(card.locator("img, script")).to_have_count(0)
    assert live.title() == "Realtime"


def test_a_hundred_kilobytes_are_shortened(live, gateway):
    gateway.post_notification("t" * 100_000, message="m" * 100_000)
    expect(live.locator(f"{CARD} strong")).to_have_text(re.compile("tttt…$"))
    assert len(live.locator(CARD).inner_text()) < 3000
