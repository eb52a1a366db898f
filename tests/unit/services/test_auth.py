from __future__ import annotations

import asyncio
import json

import pytest

from services.auth import EARLIEST, LATEST, LOCK, MARGIN, PROFILE, AuthService
from services.errors import ConnectionFailed, HTTPFailed, InvalidAnswer, RequestFailed
from services.platform import HTTPAnswer
from tests.support.fake_origin import FakeOrigin
from tests.support.fake_platform import FakePlatform, settle
from tests.support.session_tabs import ADA, BOB, FakeGateway, SessionTab, calm

pytestmark = pytest.mark.anyio


@pytest.fixture
def gateway():
    return FakeGateway()


@pytest.fixture
def origin():
    return FakeOrigin()


@pytest.fixture
async def tabs(anyio_backend, gateway, origin):
    opened = [SessionTab(gateway, origin, seed) for seed in range(5)]
    yield opened
    await calm()
    for tab in opened:
        tab.close()
        assert tab.platform.reported == []


async def test_a_guest_asks_nobody(tabs, gateway):
    assert await tabs[0].auth.initialize() is None
    assert await tabs[0].auth.access_token() is None
    assert gateway.asked == []


async def test_a_login_reaches_all_tabs_without_another_request(tabs, gateway):
    assert await tabs[0].auth.login("ada", "secret") == ADA
    await calm()
    assert [tab.auth.user for tab in tabs] == [ADA] * 5
    assert [await tab.auth.access_token() for tab in tabs] == ["token-1"] * 5
    assert gateway.asked == ["login"]
    assert [tab.told for tab in tabs] == [[("login", {"user": ADA})]] * 5


async def test_a_wrong_password_is_told_and_changes_nothing(tabs, gateway):
    with pytest.raises(HTTPFailed, match="Wrong name") as failed:
        await tabs[0].auth.login("ada", "guess")
    assert failed.value.status == 401
    assert not tabs[0].auth.is_authenticated
    assert tabs[0].told == []


async def test_five_tabs_that_refresh_at_once_make_one_request(tabs, gateway):
    await tabs[0].auth.login("ada", "secret")
    await calm()
    work = [tab.auth._tasks.spawn(tab.auth.refresh()) for tab in tabs]
    await calm()
    assert all(task.done() and not task.exception() for task in work)
    assert gateway.asked == ["login", "refresh"]
    assert [await tab.auth.access_token() for tab in tabs] == ["token-2"] * 5


async def test_a_logout_signs_all_out_and_says_why(tabs, gateway, origin):
    await tabs[0].auth.login("ada", "secret")
    await calm()
    await tabs[3].auth.logout()
    await calm()
    assert [tab.auth.user for tab in tabs] == [None] * 5
    assert [tab.auth.reason for tab in tabs] == [
        "logout-other-tab",
        "logout-other-tab",
        "logout-other-tab",
        "signed-out",
        "logout-other-tab",
    ]
    assert gateway.asked == ["login", "logout"]
    assert origin.vault is None
    assert origin.storage == {}
    assert [await tab.auth.access_token() for tab in tabs] == [None] * 5


async def test_no_secret_crosses_or_is_stored_or_shown(tabs, origin):
    await tabs[0].auth.login("ada", "secret")
    await calm()
    await tabs[1].auth.refresh()
    await calm()
    crossed = json.dumps(origin.posted)
    for secret in ("token-1", "token-2", "secret"):
        assert secret not in crossed
        assert secret not in json.dumps(origin.storage)
        assert secret not in repr(tabs[0].auth.__dict__)
        assert secret not in json.dumps(tabs[0].told)


async def test_a_logout_has_the_last_word_over_a_refresh(tabs, gateway, origin):
    await tabs[0].auth.login("ada", "secret")
    refresh = tabs[0].auth._tasks.spawn(tabs[0].auth.refresh())
    await settle()
    await tabs[0].auth.logout()
    await calm()
    assert refresh.done()
    assert tabs[0].auth.user is None
    assert origin.vault is None
    assert not gateway.session


async def test_a_logout_while_the_gateway_is_away_is_told_later(tabs, gateway):
    await tabs[0].auth.login("ada", "secret")
    gateway.away = True
    await tabs[0].auth.logout()
    assert tabs[0].auth.user is None
    gateway.away = False
    for _ in range(5):
        tabs[0].platform.advance(60)
        await calm()
    assert not gateway.session
    assert gateway.asked[-1] == "logout"


async def test_it_is_refreshed_ahead_of_its_end(tabs, gateway):
    await tabs[0].auth.login("ada", "secret")
    tabs[0].platform.advance(300 * 0.59)
    await calm()
    assert gateway.asked == ["login"]
    tabs[0].platform.advance(300 * 0.22)
    await calm()
    assert gateway.asked == ["login", "refresh"]


async def test_a_session_that_ended_signs_out(tabs, gateway):
    await tabs[0].auth.login("ada", "secret")
    await calm()
    gateway.session = None
    await tabs[0].auth.refresh()
    await calm()
    assert [tab.told[-1] for tab in tabs] == [("logout", {"reason": "session-ended"})] * 5
    assert [tab.auth.user for tab in tabs] == [None] * 5


async def test_a_reloaded_page_goes_on_with_the_session(tabs, gateway, origin):
    await tabs[0].auth.login("ada", "secret")
    await calm()
    origin.vault = None
    late = SessionTab(gateway, origin, 9)
    assert await late.auth.initialize() == ADA
    assert gateway.asked == ["login", "refresh"]


async def test_a_gateway_that_is_away_keeps_the_session(tabs, gateway, origin):
    await tabs[0].auth.login("ada", "secret")
    origin.vault = None
    late = SessionTab(gateway, origin, 9)
    gateway.away = True
    with pytest.raises(ConnectionFailed):
        await late.auth.initialize()
    gateway.away = False
    late.platform.advance(61)
    await calm()
    assert late.auth.user == ADA


async def test_a_refused_token_is_replaced(tabs, gateway):
    await tabs[0].auth.login("ada", "secret")
    assert await tabs[0].auth() == "token-1"
    tabs[0].auth.refused("token-0")
    assert await tabs[0].auth() == "token-1"
    tabs[0].auth.refused("token-1")
    assert await tabs[0].auth() == "token-2"
    assert await tabs[0].auth() == "token-2"


async def test_a_forged_login_leaves_a_guest_a_guest(tabs, gateway, origin):
    for payload in (ADA, {"id": 1}, None, "ada", [], {"id": "1", "name": ""}):
        tabs[0].tabs.broadcast("auth-login", payload)
        tabs[0].tabs.broadcast("auth-token-refresh", payload)
    await calm()
    assert [tab.auth.user for tab in tabs] == [None] * 5
    assert gateway.asked == []


@pytest.mark.parametrize("junk", ["", "{}", "[]", "null", '{"id": 1, "name": "x"}', "[" * 2000])
async def test_storage_and_vault_may_hold_anything(tabs, gateway, origin, junk):
    origin.storage[PROFILE] = junk
    origin.vault = junk
    assert await tabs[0].auth.initialize() is None
    await tabs[0].auth.login("ada", "secret")
    origin.vault = junk
    await tabs[0].auth.refresh()
    assert await tabs[0].auth.access_token() == "token-2"


@pytest.mark.parametrize(
    "change",
    [
        {"accessToken": 7},
        {"accessToken": "a b"},
        {"expiresIn": 0},
        {"expiresIn": "300"},
        {"user": None},
        {"user": {"id": "1"}},
    ],
)
async def test_an_answer_of_another_shape_is_refused(origin, change):
    platform = FakePlatform(0, origin)
    answer = {"accessToken": "token", "expiresIn": 300, "user": ADA} | change
    platform.answers = [HTTPAnswer(200, json.dumps(answer))]
    auth = AuthService(platform=platform)
    with pytest.raises(InvalidAnswer, match="expected"):
        await auth.login("ada", "secret")
    assert not auth.is_authenticated


async def test_a_tab_that_is_frozen_while_it_refreshes_holds_up_the_others_for_a_while(
    tabs, gateway, origin
):
    await tabs[0].auth.login("ada", "secret")
    await calm()
    tabs[0].platform.hold_lock(LOCK, acquired=lambda: None)
    await calm()
    origin.freeze(tabs[0].platform)
    work = tabs[1].auth._tasks.spawn(tabs[1].auth.refresh())
    await calm()
    assert not work.done()
    tabs[1].platform.advance(30)
    await calm()
    assert work.done()
    assert await tabs[1].auth.access_token() == "token-2"


async def test_nothing_is_left_after_close(tabs, origin):
    await tabs[0].auth.login("ada", "secret")
    await calm()
    for tab in tabs:
        tab.close()
    await calm()
    assert [tab.platform.timers for tab in tabs] == [0] * 5
    assert origin.holders() == []
    assert origin.channels == []


# Who has the last word


async def test_a_logout_has_the_last_word_over_a_login(tabs, gateway, origin):
    login = asyncio.ensure_future(tabs[0].auth.login("ada", "secret"))
    await settle()
    await tabs[0].auth.logout()
    with pytest.raises(RequestFailed, match="came a logout"):
        await login
    await calm()
    assert [tab.auth.user for tab in tabs] == [None] * 5
    assert gateway.asked == ["login", "logout"]
    assert (gateway.session, origin.vault, origin.storage) == (None, None, {})


async def test_a_login_has_the_last_word_over_a_refresh(tabs, gateway):
    await tabs[0].auth.login("ada", "secret")
    refresh = asyncio.ensure_future(tabs[0].auth.refresh())
    await settle()
    assert await tabs[0].auth.login("bob", "secret") == BOB
    await refresh
    await calm()
    assert [tab.auth.user for tab in tabs] == [BOB] * 5
    assert [await tab.auth.access_token() for tab in tabs] == ["token-3"] * 5


async def test_a_login_that_waits_outlives_the_end_of_the_last_session(tabs, gateway):
    await tabs[0].auth.login("ada", "secret")
    await calm()
    gateway.session = None
    refresh = asyncio.ensure_future(tabs[0].auth.refresh())
    await settle()
    await tabs[0].auth.login("bob", "secret")
    await refresh
    await calm()
    assert [tab.auth.user for tab in tabs] == [BOB] * 5
    assert [await tab.auth.access_token() for tab in tabs] == ["token-2"] * 5


@pytest.mark.parametrize("rounds", range(0, 30, 3))
async def test_a_logout_has_the_last_word_over_a_refresh_in_any_tab(tabs, gateway, origin, rounds):
    await tabs[0].auth.login("ada", "secret")
    await calm()
    late = SessionTab(gateway, origin, 9)
    begun = [
        asyncio.ensure_future(work)
        for work in (tabs[1].auth.refresh(), late.auth.initialize(), tabs[2].auth.adopt())
    ]
    for _ in range(rounds):
        await asyncio.sleep(0)
    await tabs[3].auth.logout()
    await asyncio.gather(*begun)
    await calm()
    assert [tab.auth.user for tab in (*tabs, late)] == [None] * 6
    assert [await tab.auth.access_token() for tab in (*tabs, late)] == [None] * 6
    assert (gateway.session, origin.vault, origin.storage) == (None, None, {})
    late.close()


async def test_a_logout_that_is_told_later_does_not_end_the_next_session(tabs, gateway):
    await tabs[0].auth.login("ada", "secret")
    await calm()
    gateway.away = True
    await tabs[0].auth.logout()
    gateway.away = False
    await tabs[1].auth.login("bob", "secret")
    await calm()
    for _ in range(5):
        tabs[0].platform.advance(60)
        await calm()
    assert gateway.session == BOB
    assert tabs[0].auth.user == BOB
    assert gateway.asked.count("logout") == 1


async def test_nor_does_it_where_tabs_do_not_hear_of_each_other(gateway, origin):
    first, second = (SessionTab(gateway, origin, seed, sync=False) for seed in range(2))
    await first.auth.login("ada", "secret")
    gateway.away = True
    await first.auth.logout()
    gateway.away = False
    await second.auth.login("bob", "secret")
    first.platform.advance(60)
    await calm()
    assert gateway.session == BOB
    assert first.auth.user is None
    first.close()
    second.close()


async def test_a_logout_goes_on_where_whoever_asked_for_it_does_not(tabs, gateway):
    await tabs[0].auth.login("ada", "secret")
    refresh = asyncio.ensure_future(tabs[0].auth.refresh())
    await settle()
    logout = asyncio.ensure_future(tabs[0].auth.logout())
    await asyncio.sleep(0)
    logout.cancel()
    await calm()
    assert refresh.done()
    assert gateway.session is None


async def test_a_logout_ends_with_the_service(tabs, gateway):
    await tabs[0].auth.login("ada", "secret")
    logout = asyncio.ensure_future(tabs[0].auth.logout())
    await asyncio.sleep(0)
    tabs[0].auth.close()
    await logout


# Together


async def test_all_who_ask_in_a_tab_share_one_refresh(tabs, gateway):
    await tabs[0].auth.login("ada", "secret")
    await calm()
    tabs[0].platform.time += 300
    assert await asyncio.gather(*(tabs[0].auth.access_token() for _ in range(9))) == ["token-2"] * 9
    assert gateway.asked == ["login", "refresh"]


async def test_five_tabs_that_are_opened_at_once_make_one_request(tabs, gateway, origin):
    await tabs[0].auth.login("ada", "secret")
    await calm()
    origin.vault = None
    opened = [SessionTab(gateway, origin, seed) for seed in range(10, 15)]
    await asyncio.gather(*(tab.auth.initialize() for tab in opened))
    assert gateway.asked == ["login", "refresh"]
    assert [await tab.auth.access_token() for tab in opened] == ["token-2"] * 5
    await calm()
    for tab in opened:
        tab.close()


async def test_without_a_vault_each_tab_refreshes_one_after_another(tabs, gateway, origin):
    for tab in tabs:
        tab.platform.put_token_in_vault = lambda _text: asyncio.sleep(0)
    await tabs[0].auth.login("ada", "secret")
    await calm()
    assert [tab.auth.user for tab in tabs] == [ADA] * 5
    await asyncio.gather(*(tab.auth.refresh() for tab in tabs))
    assert gateway.at_most == 1
    await tabs[0].auth.login("bob", "secret")
    await calm()
    assert [tab.auth.user for tab in tabs] == [BOB] * 5


async def test_without_locks_a_tab_still_refreshes_once_at_a_time(gateway, origin):
    alone = SessionTab(gateway, origin)
    alone.platform.can_share = False
    await alone.auth.login("ada", "secret")
    await asyncio.gather(*(alone.auth.refresh() for _ in range(3)), alone.auth.refresh())
    await alone.auth.logout()
    assert gateway.asked == ["login", "refresh", "logout"]
    assert gateway.at_most == 1
    alone.close()


# Time


async def test_tabs_renew_at_different_times_well_before_the_end(gateway):
    due = set()
    for seed in range(20):
        tab = SessionTab(gateway, FakeOrigin(), seed, sync=False)
        await tab.auth.login("ada", "secret")
        start, asked = tab.platform.time, len(gateway.asked)
        while len(gateway.asked) == asked:
            tab.platform.advance(1)
            await settle()
        due.add(tab.platform.time - start)
        await calm()
        tab.close()
    assert len(due) > 10
    assert min(due) >= 300 * EARLIEST
    assert max(due) <= 300 * LATEST + 1


@pytest.mark.parametrize("monotonic", [True, False])
async def test_a_token_that_ended_in_the_machines_sleep_is_not_handed_out(tabs, gateway, monotonic):
    await tabs[0].auth.login("ada", "secret")
    await calm()
    tabs[0].platform.sleep(300 - MARGIN + 0.1, monotonic=monotonic)
    assert await tabs[0].auth.access_token() == "token-2"


async def test_a_token_of_a_second_does_not_make_it_refresh_without_end(tabs, gateway):
    gateway.life = 1
    await tabs[0].auth.login("ada", "secret")
    for _ in range(20):
        tabs[0].platform.advance(0.5)
        await calm()
    # The login; each other tab once, as so short a token is of no use to it; and one a second.
    assert len(gateway.asked) <= 1 + 4 + 10


async def test_a_refresh_that_fails_is_tried_again_with_growing_pauses(tabs, gateway):
    await tabs[0].auth.login("ada", "secret")
    await calm()
    tabs[0].platform.advance(240)
    await calm()
    gateway.away = True
    gateway.asked.clear()
    tabs[0].platform.advance(300)
    await calm()
    for _ in range(600):
        tabs[0].platform.advance(1)
        await settle()
    assert 10 < len(gateway.asked) < 60
    with pytest.raises(ConnectionFailed):
        await tabs[0].auth.access_token()
    assert tabs[0].auth.user == ADA
    gateway.away = False
    assert await tabs[0].auth.access_token() == "token-3"


async def test_a_slow_gateway_is_not_asked_by_two_tabs_at_once(tabs, gateway, origin):
    await tabs[0].auth.login("ada", "secret")
    await calm()
    gateway.hold()
    work = [asyncio.ensure_future(tab.auth.refresh()) for tab in tabs]
    await calm()
    for _ in range(5):
        # Each waits longer than its patience, but for one tab after another.
        for _ in range(9):
            for tab in tabs:
                tab.platform.advance(1)
            await calm()
        gateway.fail_one()
        await calm()
    failures = await asyncio.gather(*work, return_exceptions=True)
    assert [type(failure) for failure in failures] == [ConnectionFailed] * 5
    assert gateway.at_most == 1


# Hearing of it late, or not at all


async def test_a_tab_that_hears_late_of_a_logout_leaves_the_next_session_alone(
    tabs, gateway, origin
):
    await tabs[0].auth.login("ada", "secret")
    await calm()
    origin.freeze(tabs[4].platform)
    await tabs[0].auth.logout()
    await tabs[0].auth.login("bob", "secret")
    await calm()
    kept = dict(origin.storage)
    seen = []
    tabs[4].auth.on("logout", lambda _: seen.append(dict(origin.storage)))
    origin.thaw(tabs[4].platform)
    await calm()
    assert seen == [kept]
    assert [tab.auth.user for tab in tabs] == [BOB] * 5
    assert gateway.asked == ["login", "logout", "login"]


async def test_who_was_signed_out_here_stays_so_until_told_otherwise(tabs, gateway, origin):
    await tabs[0].auth.login("ada", "secret")
    await calm()
    tabs[0].auth.signed_out_elsewhere("logout-other-tab")
    assert await tabs[0].auth.access_token() is None
    assert tabs[0].auth.reason == "logout-other-tab"
    assert await tabs[0].auth.initialize() == ADA
    assert gateway.asked == ["login"]


@pytest.mark.parametrize("junk", ["", "{}", "[]", "null", '{"id": 1, "name": "x"}'])
async def test_a_profile_that_is_none_asks_nobody(tabs, gateway, origin, junk):
    origin.storage[PROFILE] = junk
    assert await tabs[0].auth.access_token() is None
    assert gateway.asked == []
