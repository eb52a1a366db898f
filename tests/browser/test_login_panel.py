"""`<login-panel>`, over a session that does as it is told and over a real one."""

import asyncio
import itertools

import pytest
from js import document

from components.element import define, drawn
from components.login_panel import LoginPanel
from services.auth import AuthService
from services.browser import BrowserPlatform
from services.emitter import Emitter
from services.errors import ConnectionFailed, HTTPFailed, RequestTimeout

numbers = itertools.count(1)

ADA = {"id": "1", "name": "ada"}


class Session:
    """An AuthService that asks nobody. What `wait` holds back goes on when it is set."""

    def __init__(self, user=None):
        self.user = user
        self.reason = ""
        self.failure = None
        self.wait = asyncio.Event()
        self.wait.set()
        self.calls = []
        self.emitter = Emitter(print)
        self.on = self.emitter.on

    async def initialize(self):
        self.calls.append("initialize")
        await self._answer()

    async def login(self, name, password):
        self.calls.append(("login", name, password))
        await self._answer()
        self.signed_in({"id": "1", "name": name})

    async def logout(self):
        self.calls.append("logout")
        self.signed_out("signed-out")
        await self.wait.wait()

    async def _answer(self):
        await self.wait.wait()
        if self.failure is not None:
            raise self.failure

    def signed_in(self, user):
        self.user, self.reason = user, ""
        self.emitter.emit("login", {"user": user})

    def signed_out(self, reason):
        self.user, self.reason = None, reason
        self.emitter.emit("logout", {"reason": reason})


async def put(stage, auth):
    """Put a panel into the page; return its shadow root."""
    tag = f"tested-login-{next(numbers)}"
    define(type("Tested", (LoginPanel,), {"tag": tag}), auth=auth)
    host = document.createElement(tag)
    stage.append(host)
    await drawn()
    await calm()
    return host.shadowRoot


async def calm():
    """Let what was begun come to the screen."""
    for _ in range(3):
        await asyncio.sleep(0)
        await drawn()


def text(root, selector):
    node = root.querySelector(selector)
    return " ".join(node.textContent.split()) if node else None


def fill(root, name="ada", password="secret"):
    root.querySelector("[name=username]").value = name
    root.querySelector("[name=password]").value = password


async def submit(root, **fields):
    fill(root, **fields)
    root.querySelector("form").requestSubmit()
    await calm()


def focused(root):
    return (
        root.activeElement.className or root.activeElement.localName if root.activeElement else ""
    )


async def test_a_guest_sees_a_form_that_a_password_manager_knows(stage):
    root = await put(stage, Session())
    assert "guest" in text(root, ".reason")
    name, password = root.querySelectorAll("input")
    assert name.autocomplete == "username"
    assert (password.autocomplete, password.type) == ("current-password", "password")
    assert [label.textContent.strip() for label in root.querySelectorAll("label")] == [
        "Name",
        "Password",
    ]
    assert text(root, "button") == "Log in"
    assert text(root, ".outcome") == ""


async def test_says_that_it_is_checking_and_then_no_more(stage):
    auth = Session()
    auth.wait.clear()
    root = await put(stage, auth)
    assert not root.querySelector("form")
    assert text(root, "[role=status]").startswith("Checking")
    auth.wait.set()
    await calm()
    assert root.querySelector("form")
    assert auth.calls == ["initialize"]


async def test_logging_in_shows_who_it_is(stage):
    auth = Session()
    root = await put(stage, auth)
    await submit(root, name="ada", password="secret")
    assert auth.calls[1:] == [("login", "ada", "secret")]
    assert not root.querySelector("form")
    assert text(root, "bdi") == "ada"
    assert text(root, ".avatar") == "A"
    assert text(root, ".logout") == "Log out"


async def test_the_password_is_gone_while_it_is_asked_and_after(stage):
    auth = Session()
    root = await put(stage, auth)
    auth.wait.clear()
    await submit(root)
    assert root.querySelector("[name=password]").value == ""
    assert text(root, ".send") == "Logging in …"
    assert root.querySelector(".send").getAttribute("aria-disabled") == "true"
    auth.failure = HTTPFailed(401, "Wrong name or password")
    auth.wait.set()
    await calm()
    assert root.querySelector("[name=password]").value == ""
    assert root.querySelector("[name=username]").value == "ada"
    assert text(root, ".send") == "Log in"


async def test_no_second_try_begins_while_one_is_under_way(stage):
    auth = Session()
    root = await put(stage, auth)
    auth.wait.clear()
    await submit(root)
    await submit(root)
    auth.wait.set()
    await calm()
    assert len(auth.calls) == 2


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (HTTPFailed(401, "no"), "Wrong name or password"),
        (HTTPFailed(429, "no"), "wait"),
        (HTTPFailed(503, "no"), "the server has a problem"),
        (HTTPFailed(422, "username must be a string"), "username must be a string"),
        (ConnectionFailed("no network"), "the server cannot be reached"),
        (RequestTimeout("late"), "did not answer in time"),
    ],
)
async def test_says_what_went_wrong_and_a_new_try_takes_it_away(stage, failure, words):
    auth = Session()
    root = await put(stage, auth)
    auth.failure = failure
    await submit(root)
    assert words in text(root, ".outcome")
    assert root.querySelector(".outcome").getAttribute("role") in ("status", "alert")
    auth.failure = None
    await submit(root)
    assert text(root, "bdi") == "ada"
    auth.signed_out("session-ended")
    await calm()
    assert text(root, ".outcome") == ""


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("signed-out", "logged out"),
        ("logout-other-tab", "You were logged out in another tab."),
        ("session-ended", "session has ended"),
        ("<b>another</b>", "guest"),
    ],
)
async def test_says_why_nobody_is_logged_in_any_more(stage, reason, words):
    auth = Session(ADA)
    root = await put(stage, auth)
    assert text(root, "bdi") == "ada"
    auth.signed_out(reason)
    await calm()
    assert words in text(root, ".reason")
    assert root.querySelector(".reason").getAttribute("role") == "status"


async def test_follows_what_another_tab_does(stage):
    auth = Session()
    root = await put(stage, auth)
    auth.signed_in(ADA)
    await calm()
    assert text(root, "bdi") == "ada"


async def test_logging_out_does_not_wait_for_the_gateway(stage):
    auth = Session(ADA)
    root = await put(stage, auth)
    auth.wait.clear()
    root.querySelector(".logout").click()
    await calm()
    assert auth.calls[-1] == "logout"
    assert text(root, ".send") == "Log in"
    assert root.querySelector(".send").getAttribute("aria-disabled") != "true"
    auth.wait.set()


async def test_a_gateway_that_is_away_at_the_start_is_told(stage):
    auth = Session()
    auth.failure = ConnectionFailed("no network")
    root = await put(stage, auth)
    assert "the server cannot be reached" in text(root, ".outcome")
    auth.signed_in(ADA)  # it was tried again in the background
    await calm()
    assert text(root, "bdi") == "ada"


async def test_the_focus_goes_along(stage):
    auth = Session()
    root = await put(stage, auth)
    root.querySelector(".send").focus()
    auth.failure = HTTPFailed(401, "no")
    await submit(root)
    root.querySelector(".send").blur()
    await submit(root)
    assert root.activeElement.name == "password"
    auth.failure = None
    await submit(root)
    assert focused(root) == "logout"
    root.querySelector(".logout").click()
    await calm()
    assert focused(root) == "h2"


async def test_the_focus_stays_where_a_person_has_put_it_meanwhile(stage):
    auth = Session()
    root = await put(stage, auth)
    elsewhere = document.createElement("input")
    stage.append(elsewhere)
    auth.wait.clear()
    await submit(root)
    elsewhere.focus()
    auth.wait.set()
    await calm()
    assert text(root, "bdi") == "ada"
    assert document.activeElement.isSameNode(elsewhere)


@pytest.mark.parametrize("name", ["<img src=x onerror=alert(1)>", "x" * 500, "\u202eada", "é" * 60])
async def test_a_name_is_text_and_fits_a_narrow_page(stage, name):
    stage.style.width = "288px"  # a page of 320 px, less its margins
    try:
        root = await put(stage, Session({"id": "1", "name": name}))
        assert not root.querySelector("img")
        assert root.querySelector(".user bdi").textContent[:20] == name[:20]
        panel = root.querySelector(".panel")
        assert panel.scrollWidth <= panel.clientWidth <= 288
    finally:
        stage.style.width = ""


async def test_the_form_fits_a_narrow_page(stage):
    stage.style.width = "288px"
    try:
        root = await put(stage, Session())
        panel = root.querySelector(".panel")
        assert panel.scrollWidth <= panel.clientWidth
        for field in root.querySelectorAll("input"):
            assert field.offsetHeight >= 36
    finally:
        stage.style.width = ""


async def test_away_from_the_page_it_hears_nothing_and_returning_it_knows(stage, proxies):
    auth = Session()
    root = await put(stage, auth)
    host = root.host
    host.remove()
    assert not auth.emitter.has("login")
    auth.signed_in(ADA)
    stage.append(host)
    await calm()
    assert text(root, "bdi") == "ada"
    assert len(auth.calls) == 2


async def test_a_real_gateway_refuses_a_wrong_password(stage, until):
    platform = BrowserPlatform()
    auth = AuthService(platform=platform)
    root = await put(stage, auth)
    await until(lambda: root.querySelector("form"), "the form")
    await submit(root, name="nobody", password="guess")
    await until(lambda: text(root, ".outcome"), "an answer", 10)
    assert text(root, ".outcome") == "Wrong name or password."
    assert platform.remembered("realtime:user") is None
    assert await platform.token_in_vault() is None
    auth.close()
