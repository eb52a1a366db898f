"""`<activity-feed>` on the page."""

from __future__ import annotations

import shutil

from playwright.sync_api import expect

from tests.e2e.conftest import wait_until_live
from tests.e2e.recorder import record_activities, seen, wait_for_last

ITEM = "activity-feed .activity-item"


def test_begins_with_the_last_twenty(page, gateway):
    ids = [gateway.post_activity(target=f"note {n}") for n in range(25)]
    page.goto(gateway.url)
    wait_until_live(page)
    expect(page.locator(ITEM)).to_have_count(20)
    expect(page.locator(ITEM).first).to_have_attribute("data-id", ids[-1])
    expect(page.locator(ITEM).last).to_have_attribute("data-id", ids[5])


def test_says_so_while_there_is_none(live):
    expect(live.locator("activity-feed .empty")).to_have_text("No recent activity")


def test_shows_what_happens_as_it_happens(live, gateway):
    event_id = gateway.post_activity("Grace Hopper", "commented on", "the roadmap")
    item = live.locator(f"{ITEM}[data-id='{event_id}']")
    expect(item).to_contain_text("Grace Hopper commented on the roadmap")
    expect(item.locator(".activity-avatar")).to_have_text("G")


def test_says_that_it_loads(page, gateway):
    held = []
    page.route("**/api/activities?limit=20", lambda route: held.append(route))
    page.goto(gateway.url)
    expect(page.locator("activity-feed .loading")).to_be_visible()
    held[0].continue_()


def test_a_feed_that_is_moved_while_it_loads_loads_all_the_same(page, gateway):
    gateway.post_activity("Ada")
    held = []
    page.route("**/api/activities?limit=20", lambda route: held.append(route))
    page.goto(gateway.url)
    expect(page.locator("activity-feed .loading")).to_be_visible()
    page.unroute_all()
    page.locator("activity-feed").evaluate("feed => feed.parentElement.append(feed)")
    expect(page.locator(ITEM)).to_have_count(1)


def test_after_a_reset_only_what_the_server_has_is_shown(live, gateway):
    old = [gateway.post_activity("Old") for _ in range(2)]
    expect(live.locator(ITEM)).to_have_count(2)
    gateway.kill()
    shutil.rmtree(gateway.data_dir)
    gateway.start()
    # Not an id of the old log, nor one that could be taken for the next.
    assert int(gateway.post_activity("New")) > int(old[-1]) + 1
    expect(live.locator(ITEM).first).to_contain_text("New", timeout=20_000)
    expect(live.locator(ITEM)).to_have_count(1)


def test_a_list_that_cannot_be_loaded_is_asked_for_again(page, gateway):
    gateway.post_activity("Ada")
    page.route("**/api/activities?limit=20", lambda route: route.fulfill(status=503, body="no"))
    page.goto(gateway.url)
    problem = page.locator("activity-feed .problem")
    expect(problem).to_contain_text(
        "Recent activity could not be loaded: the server has a problem (HTTP 503)"
    )
    page.unroute_all()
    problem.get_by_role("button", name="Try again").click()
    expect(page.locator(ITEM)).to_have_count(1)
    expect(problem).to_have_count(0)


def test_a_killed_gateway_loses_and_repeats_nothing(live, gateway):
    record_activities(live)
    ids = [gateway.post_activity(target=f"{n}") for n in range(3)]
    gateway.kill()
    expect(live.locator("activity-feed .status.offline")).to_be_visible()
    gateway.start()
    ids += [gateway.post_activity(target=f"{n}") for n in range(3, 10)]
    wait_for_last(live, ids[-1], "activity-feed")
    assert seen(live, "activity-feed") == ids


def test_hostile_text_stays_text(live, gateway):
    gateway.post_activity("<b>Eve</b>", '<img src=x onerror="document.title=1">', "🦊 مفاجأة")
    expect(live.locator(ITEM)).to_contain_text("<b>Eve</b> <img src=x")
    expect(live.locator(f"{ITEM} img")).to_have_count(0)
