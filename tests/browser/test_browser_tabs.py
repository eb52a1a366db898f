"""services/browser_tabs.py: channels, locks and the vault of a real browser."""

import asyncio

import js
import pytest

from services import browser
from services.browser import BrowserPlatform


@pytest.fixture
def platform():
    return BrowserPlatform()


@pytest.fixture(params=["scripted", "plain"])
def without_script(request, monkeypatch):
    """Both kinds of channel."""
    if request.param == "plain":
        monkeypatch.setattr(browser, "_module", lambda name: None)


async def test_a_channel_carries_json_and_tells_of_what_is_none(
    platform, until, proxies, without_script
):
    heard = []
    one = platform.open_channel("channel-test", heard.append)
    two = platform.open_channel("channel-test", lambda text: None)
    raw = js.BroadcastChannel.new("channel-test")
    two.post('{"a": [1, "é", null]}')
    raw.postMessage(js.eval("10n ** 30n"))
    raw.postMessage(js.eval("const cycle = {}; cycle.self = cycle; cycle"))
    raw.postMessage(js.undefined)
    raw.postMessage("text")
    await until(lambda: len(heard) == 5)
    assert heard == ['{"a":[1,"é",null]}', None, None, None, '"text"']
    one.close()
    one.close()
    two.post("{}")
    two.close()
    two.post("{}")
    raw.close()
    await proxies.settled()


async def test_a_lock_is_held_by_one_and_passed_on(platform, until, proxies):
    held = []
    first = platform.hold_lock("lock-test", acquired=lambda: held.append("first"))
    second = platform.hold_lock("lock-test", acquired=lambda: held.append("second"))
    assert held == []
    await until(lambda: held == ["first"])
    assert (await platform.held_locks()).count("lock-test") == 1
    first()
    await until(lambda: held == ["first", "second"])
    second()
    second()
    waiting = platform.hold_lock("lock-test", acquired=lambda: held.append("third"))
    waiting()
    await asyncio.sleep(0)
    await until(lambda: proxies.alive() < 20)
    assert "third" not in held
    assert "lock-test" not in await platform.held_locks()
    await proxies.settled()


async def test_a_lock_can_be_stolen(platform, until, proxies):
    told = []
    first = platform.hold_lock(
        "lock-test", acquired=lambda: told.append("held"), lost=lambda: told.append("lost")
    )
    await until(lambda: told == ["held"])
    thief = platform.hold_lock("lock-test", acquired=lambda: told.append("stolen"), steal=True)
    await until(lambda: sorted(told) == ["held", "lost", "stolen"])
    first()
    thief()
    await proxies.settled()


async def test_shared_locks_wait_only_for_the_others(platform, until, proxies):
    held = []
    owner = platform.hold_lock("lock-test", acquired=lambda: held.append("owner"))
    await until(lambda: held == ["owner"])
    watchers = [
        platform.hold_lock("lock-test", acquired=lambda n=n: held.append(n), shared=True)
        for n in range(3)
    ]
    owner()
    await until(lambda: held == ["owner", 0, 1, 2])
    assert "lock-test" not in await platform.held_locks()
    for cancel in watchers:
        cancel()
    await proxies.settled()


async def test_the_vault_keeps_one_text(platform, proxies):
    assert await platform.token_in_vault() is None
    await platform.put_token_in_vault("secret")
    assert await platform.token_in_vault() == "secret"
    await platform.put_token_in_vault(None)
    assert await platform.token_in_vault() is None
    await proxies.settled()


async def test_all_tabs_remember_and_forget(platform):
    platform.remember("remember-test", "value")
    assert platform.remembered("remember-test") == "value"
    platform.remember("remember-test", None)
    assert platform.remembered("remember-test") is None


async def test_a_title_that_changes_is_told(platform, until, proxies):
    before = js.document.title
    seen = []
    end = platform.watch_title(lambda: seen.append(platform.title))
    js.document.title = "Another"
    await until(lambda: "Another" in seen)
    end()
    end()
    js.document.title = before
    await proxies.settled()
