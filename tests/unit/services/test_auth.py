from __future__ import annotations

import json

import pytest

from services.auth import LOCK, PROFILE, AuthService
from services.auth_sync import AuthSync
from services.errors import ConnectionFailed, HTTPFailed, InvalidAnswer
from services.platform import HTTPAnswer
from services.tab_sync import TabSync
from tests.support.fake_origin import FakeOrigin
from tests.support.fake_platform import FakePlatform, settle

pytestmark = pytest.mark.anyio

ADA = {"id": "1", "name": "ada"}


class FakeGateway:
    """Answers as the gateway does, for all tabs of one browser."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.tokens = 0
        self.session = False
        self.away = False
        self.life = 300

    async def answer(self, method: str, url: str, body: str | None) -> HTTPAnswer:
        route = url.rpartition("/")[2]
        self.asked.append(route)
        await settle()
        if self.away:
            raise ConnectionFailed("away")
        if route == "logout":
            self.session = False
            return HTTPAnswer(204, "")
        if route == "login":
            if json.loads(body or "")["password"] != "secret":
                return HTTPAnswer(401, '{"error": {"message": "Wrong name or password"}}')
            self.session = True
        if not self.session:
            return HTTPAnswer(401, '{"error": {"message": "no session"}}')
        self.tokens += 1
        value = {"accessToken": f"token-{self.tokens}", "expiresIn": self.life, "user": ADA}
        return HTTPAnswer(200, json.dumps(value))


class Tab:
    def __init__(self, gateway: FakeGateway, origin: FakeOrigin, seed: int = 0) -> None:
        self.platform = FakePlatform(seed, origin)

        async def fetch(method, url, *, body=None, **_):
            return await gateway.answer(method, url, body)

        self.platform.fetch = fetch
        self.tabs = TabSync(platform=self.platform)
        self.auth = AuthService(platform=self.platform)
        self.sync = AuthSync(self.auth, self.tabs)
        self.told: list[tuple[str, dict]] = []
        for event in ("login", "logout", "refresh"):
            self.auth.on(event, lambda payload, event=event: self.told.append((event, payload)))


@pytest.fixture
def gateway():
    return FakeGateway()


@pytest.fixture
def origin():
    return FakeOrigin()


@pytest.fixture
async def tabs(anyio_backend, gateway, origin):
    opened = [Tab(gateway, origin, seed) for seed in range(5)]
    yield opened
    await calm()
    for tab in opened:
        tab.sync.close()
        tab.auth.close()
        tab.tabs.close()


async def calm() -> None:
    for _ in range(20):
        await settle()


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
    gateway.session = False
    await tabs[0].auth.refresh()
    await calm()
    assert [tab.told[-1] for tab in tabs] == [("logout", {"reason": "session-ended"})] * 5
    assert [tab.auth.user for tab in tabs] == [None] * 5


async def test_a_reloaded_page_goes_on_with_the_session(tabs, gateway, origin):
    await tabs[0].auth.login("ada", "secret")
    await calm()
    origin.vault = None
    late = Tab(gateway, origin, 9)
    assert await late.auth.initialize() == ADA
    assert gateway.asked == ["login", "refresh"]


async def test_a_gateway_that_is_away_keeps_the_session(tabs, gateway, origin):
    await tabs[0].auth.login("ada", "secret")
    origin.vault = None
    late = Tab(gateway, origin, 9)
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
        tab.sync.close()
        tab.auth.close()
        tab.tabs.close()
    await calm()
    assert [tab.platform.timers for tab in tabs] == [0] * 5
    assert origin.holders() == []
    assert origin.channels == []
