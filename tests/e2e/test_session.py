"""One session for all tabs of a browser: logging in and out, refreshing, and who sees a token."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.support.gateway import Gateway

NAME, PASSWORD = "ada", "correct horse battery"

#: Notes all that crosses between tabs, and the answers that bring a token.
EAVESDROP = """
window.crossed = [];
const post = BroadcastChannel.prototype.postMessage;
BroadcastChannel.prototype.postMessage = function (message) {
  window.crossed.push(JSON.stringify(message));
  return post.call(this, message);
};
window.tokens = [];
const ask = window.fetch;
window.fetch = async (...request) => {
  const answer = await ask(...request);
  if (/api\\/(login|refresh)$/.test(answer.url) && answer.ok) {
    window.tokens.push((await answer.clone().json()).accessToken);
  }
  return answer;
};
"""


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    account = {"ACCOUNTS": f"{NAME}:{PASSWORD}"}
    with Gateway(tmp_path / "data", REQUIRE_AUTH="1", **account) as gateway:
        yield gateway


@pytest.fixture
def asked(context: BrowserContext) -> list[str]:
    """The routes of the session that were asked, by any tab."""
    routes: list[str] = []
    context.on(
        "request",
        lambda request: (
            routes.append(request.url.rpartition("/")[2])
            if request.method == "POST" and "/api/" in request.url
            else None
        ),
    )
    return routes


@pytest.fixture
def pages(
    context: BrowserContext, new_tab: Callable[[], Page], gateway: Gateway, complaints: list[str]
) -> Iterator[list[Page]]:
    """Five tabs in which nobody is logged in."""
    context.add_init_script(EAVESDROP)
    opened = [new_tab() for _ in range(5)]
    for page in opened:
        page.goto(gateway.url)
    for page in opened:
        page.wait_for_selector("login-panel form")
    yield opened
    complaints.clear()  # of the refusals that this is about


def log_in(page: Page, password: str = PASSWORD) -> None:
    page.locator("login-panel input[name=username]").fill(NAME)
    page.locator("login-panel input[name=password]").fill(password)
    page.keyboard.press("Enter")


def wait_until_logged_in(pages: list[Page]) -> None:
    for page in pages:
        expect(page.locator("login-panel .user")).to_have_text(NAME, timeout=30_000)
        page.wait_for_selector("notification-feed .connection-status.connected")
        page.wait_for_selector("activity-feed .status.live")


def test_a_login_in_one_tab_is_one_in_all(
    pages: list[Page], gateway: Gateway, asked: list[str]
) -> None:
    log_in(pages[2])
    wait_until_logged_in(pages)
    gateway.wait_for_clients(websockets=1, event_streams=1)
    assert asked == ["login"]


def test_a_wrong_password_is_told_and_stays_nowhere(pages: list[Page]) -> None:
    log_in(pages[0], "a guess")
    expect(pages[0].locator("login-panel .outcome")).to_have_text("Wrong name or password.")
    expect(pages[0].locator("login-panel input[name=password]")).to_have_value("")
    expect(pages[0].locator("login-panel input[name=password]")).to_be_focused()


def test_a_logout_in_any_tab_logs_all_out_and_says_why(
    pages: list[Page], gateway: Gateway, asked: list[str]
) -> None:
    log_in(pages[0])
    wait_until_logged_in(pages)
    pages[3].locator("login-panel .logout").click()
    for number, page in enumerate(pages):
        words = "You are logged out." if number == 3 else "You were logged out in another tab."
        expect(page.locator("login-panel .reason")).to_have_text(words)
        expect(page.locator("notification-feed .connection-status")).to_contain_text("refuses")
    gateway.wait_for_clients(websockets=0, event_streams=0)
    assert asked == ["login", "logout"]
    assert pages[1].evaluate("Object.keys(localStorage)") == []


def test_five_tabs_that_refresh_at_once_make_one_request(
    pages: list[Page], gateway: Gateway, asked: list[str]
) -> None:
    log_in(pages[0])
    wait_until_logged_in(pages)
    # A page that is loaded again has no token, and asks for one at once.
    for page in pages:
        page.evaluate("setTimeout(() => location.reload(), 50)")
    wait_until_logged_in(pages)
    assert asked in (["login"], ["login", "refresh"])
    gateway.wait_for_clients(websockets=1, event_streams=1)


def test_a_browser_that_was_closed_goes_on_with_its_session(
    context: BrowserContext,
    pages: list[Page],
    new_tab: Callable[[], Page],
    gateway: Gateway,
    asked: list[str],
) -> None:
    log_in(pages[0])
    wait_until_logged_in(pages)
    for page in pages:
        page.close()
    page = new_tab()
    page.goto(gateway.url)
    wait_until_logged_in([page])
    assert asked == ["login", "refresh"]


def test_no_secret_crosses_between_tabs_or_is_kept(
    context: BrowserContext, pages: list[Page], gateway: Gateway
) -> None:
    log_in(pages[0])
    wait_until_logged_in(pages)
    pages[1].reload()
    wait_until_logged_in(pages)
    gateway.request("GET", "healthz")
    tokens = [token for page in pages for token in page.evaluate("window.tokens")]
    cookies = [cookie["value"] for cookie in context.cookies()]
    assert tokens
    assert cookies
    for page in pages:
        seen = "\n".join(
            [
                *page.evaluate("window.crossed"),
                *page.evaluate("Object.values(localStorage)"),
                *page.evaluate("Object.values(sessionStorage)"),
                page.evaluate("document.cookie"),
                page.url,
            ]
        )
        assert "auth-login" in seen or page is not pages[0]
        for secret in (*tokens, *cookies, PASSWORD):
            assert secret not in seen


def test_a_session_that_is_ended_elsewhere_logs_out(pages: list[Page], gateway: Gateway) -> None:
    log_in(pages[0])
    wait_until_logged_in(pages)
    gateway.accounts("remove", NAME)
    for page in pages:
        reason = page.locator("login-panel .reason")
        expect(reason).to_contain_text("Your session has ended", timeout=15_000)
