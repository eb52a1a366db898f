from __future__ import annotations

import asyncio
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.auth_sync import AuthSync
from services.errors import ConnectionFailed, InvalidAnswer
from services.session import User
from services.tab_messages import TabMessage
from tests.support.fake_origin import FakeOrigin
from tests.support.fake_platform import settle
from tests.support.session_tabs import ADA, BOB, FakeGateway, SessionTab, calm

pytestmark = pytest.mark.anyio

TYPES = ("auth-login", "auth-logout", "auth-token-refresh")


class FakeAuth:
    """An AuthService that notes what is asked of it."""

    def __init__(self):
        self.calls = []
        self.handlers = {}
        self.is_adopting = False
        self.failure = None

    def on(self, event, handler):
        self.handlers[event] = handler
        return lambda: self.handlers.pop(event)

    def report(self, error):
        raise AssertionError from error

    def emit(self, event, payload):
        self.handlers[event](payload)

    def signed_out_elsewhere(self, reason):
        self.calls.append(f"out {reason}")
        self.emit("logout", {"reason": reason})

    async def adopt(self):
        self.calls.append("adopt")
        if self.failure:
            raise self.failure

    async def adopt_refresh(self):
        self.calls.append("adopt refresh")


class FakeTabs:
    """A TabSync without other tabs."""

    tab_id = "tab-1"

    def __init__(self):
        self.sent = []
        self.handlers = {}
        self.errors = []

    def broadcast(self, type, payload=None):
        self.sent.append((type, json.loads(json.dumps(payload))))

    def on(self, type, handler):
        self.handlers[type] = handler
        return lambda: self.handlers.pop(type)

    def misheard(self, error):
        self.errors.append(error)

    async def hear(self, type, payload=None):
        self.handlers[type](payload, "tab-2")
        await settle()


@pytest.fixture
def auth():
    return FakeAuth()


@pytest.fixture
def tabs():
    return FakeTabs()


@pytest.fixture
def sync(auth, tabs):
    return AuthSync(auth, tabs)


async def test_what_happens_here_is_told(auth, tabs, sync):
    auth.emit("login", {"user": ADA})
    auth.emit("refresh", {})
    auth.emit("logout", {"reason": "signed-out"})
    assert tabs.sent == [
        ("auth-login", ADA),
        ("auth-token-refresh", {}),
        ("auth-logout", {"reason": "signed-out"}),
    ]


async def test_what_another_tab_told_is_not_told_again(auth, tabs, sync):
    await tabs.hear("auth-logout", {"reason": "signed-out"})
    auth.is_adopting = True
    auth.emit("login", {"user": ADA})
    auth.emit("refresh", {})
    assert tabs.sent == []
    auth.is_adopting = False
    auth.emit("logout", {"reason": "signed-out"})
    assert [type_ for type_, _ in tabs.sent] == ["auth-logout"]


async def test_it_does_what_it_is_told(auth, tabs, sync):
    await tabs.hear("auth-logout", {"reason": "signed-out"})
    await tabs.hear("auth-login", ADA)
    await tabs.hear("auth-token-refresh")
    assert auth.calls == ["out logout-other-tab", "adopt", "adopt refresh"]


async def test_it_says_that_the_session_ended_whichever_tab_heard_of_it(auth, tabs, sync):
    await tabs.hear("auth-logout", {"reason": "session-ended"})
    assert auth.calls == ["out session-ended"]


async def test_the_methods_tell_only_who_it_is(tabs, sync):
    sync.broadcast_login(ADA | {"token": "secret", "password": "secret"})
    sync.broadcast_logout()
    sync.broadcast_token_refresh()
    assert tabs.sent == [("auth-login", ADA), ("auth-logout", {}), ("auth-token-refresh", {})]


@pytest.mark.parametrize("user", [None, {}, {"id": "1"}, {"id": 1, "name": "ada"}, "ada"])
async def test_nobody_cannot_be_told(tabs, sync, user):
    with pytest.raises(InvalidAnswer):
        sync.broadcast_login(user)
    assert tabs.sent == []


async def test_a_gateway_that_is_away_is_nobodys_fault(auth, tabs, sync):
    auth.failure = ConnectionFailed("away")
    await tabs.hear("auth-login", ADA)
    assert tabs.errors == []


async def test_a_forged_login_signs_in_nobody_and_a_forged_refresh_neither():
    gateway, origin = FakeGateway(), FakeOrigin()
    tab = SessionTab(gateway, origin)
    for type_ in TYPES:
        message = TabMessage(type_, BOB, 1, "tab-forged")
        origin.post("app-sync", json.loads(message.encode()))
        await calm()
    assert tab.auth.user is None
    assert tab.told == []
    assert gateway.asked == []
    tab.close()


async def test_close_ends_it(auth, tabs, sync):
    sync.close()
    assert auth.handlers == tabs.handlers == {}


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "name", "reason", "token"]), inner)
    ),
    max_leaves=6,
)


@given(st.lists(st.tuples(st.sampled_from(TYPES), ANYTHING), max_size=10))
def test_rubbish_raises_nothing_and_says_nothing(messages):
    async def hear():
        auth, tabs = FakeAuth(), FakeTabs()
        AuthSync(auth, tabs)
        adopted = 0
        for type_, payload in messages:
            await tabs.hear(type_, payload)
            if type_ == "auth-login":
                try:
                    User.from_value(payload)
                    adopted += 1
                except InvalidAnswer:
                    pass
        assert auth.calls.count("adopt") == adopted
        logins = sum(type_ == "auth-login" for type_, _ in messages)
        assert len(tabs.errors) == logins - adopted
        assert tabs.sent == []

    asyncio.run(hear())


# With real services

KINDS = ["login", "logout", "refresh", "forged login", "forged token-refresh", "open"]
STEP = st.tuples(st.sampled_from(KINDS), st.integers(0, 3))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(STEP, st.integers(0, 40)), max_size=8))
def test_all_tabs_agree_in_the_end_whatever_crosses(steps):
    async def run():
        gateway, origin = FakeGateway(), FakeOrigin()
        tabs = [SessionTab(gateway, origin, seed) for seed in range(4)]
        await calm()
        work = []
        for number, ((step, tab), rounds) in enumerate(steps):
            auth = tabs[tab].auth
            if step == "login":
                work.append(auth.login("bob" if number % 2 else "ada", "secret"))
            elif step == "logout":
                work.append(auth.logout())
            elif step == "refresh" and auth.is_authenticated:
                work.append(auth.refresh())
            elif step == "open":
                # What a page that is closed has begun, the others learn at their next refresh.
                await asyncio.gather(*work, return_exceptions=True)
                tabs[tab].close()
                tabs[tab] = SessionTab(gateway, origin, number)
                work.append(tabs[tab].auth.initialize())
            elif step.startswith("forged"):
                message = TabMessage(f"auth-{step[7:]}", BOB, 1, "tab-forged")
                origin.post("app-sync", json.loads(message.encode()))
            work = [asyncio.ensure_future(each) for each in work]
            for _ in range(rounds):
                await asyncio.sleep(0)
        await asyncio.gather(*work, return_exceptions=True)
        await calm()
        assert gateway.at_most <= 1
        # A tab may have been signed out by a logout that crossed a login: its next page is right.
        users = [tab.auth.user for tab in tabs if tab.auth.user is not None]
        assert all(user == gateway.session for user in users)
        if gateway.session is None:
            assert origin.vault is None
            assert origin.storage == {}
        crossed = json.dumps(origin.posted)
        assert "token-1" not in crossed
        assert "secret" not in crossed
        for tab in tabs:
            assert tab.platform.reported == []
            tab.close()
        await calm()

    asyncio.run(run())
