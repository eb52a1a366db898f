"""Our editor together with what other Yjs users have: their clients, and their server."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page

from tests.support.gateway import ROOT, Gateway, wait_until
from tests.support.y_websocket import YWebsocketClient, YWebsocketServer

DOCUMENT = "welcome"


@pytest.fixture
def new_context(browser: Browser) -> Iterator[Callable[[], BrowserContext]]:
    contexts = []

    def new() -> BrowserContext:
        contexts.append(browser.new_context())
        return contexts[-1]

    yield new
    for context in contexts:
        context.close()


def editor_of(page: Page, gateway: Gateway) -> Locator:
    """Open our page, and return the part of its editor that one types in, in step with a server."""
    page.goto(gateway.url)
    editor = page.locator("collaborative-editor .editor-content")
    editor.wait_for()
    page.locator("collaborative-editor .status", has_text="Saved").wait_for()
    return editor


def shown(editor: Locator) -> str:
    return "\n".join(line.rstrip("\n") for line in editor.locator(".cm-line").all_inner_texts())


def test_a_y_websocket_client_edits_with_our_editor_at_our_gateway(page, gateway):
    editor = editor_of(page, gateway)
    with YWebsocketClient(f"{gateway.websocket_url}/documents", DOCUMENT) as other:
        wait_until(lambda: other.do("synced"))
        other.do("user", {"name": "Grace Hopper", "color": "#ff0000"})
        other.do("insert", 0, "from Node")
        wait_until(lambda: shown(editor) == "from Node")
        badge = page.locator("collaborative-editor .collaborator-badge")
        badge.wait_for()
        assert badge.get_attribute("title") == "Grace Hopper"
        assert len(other.do("people")) == 1

        editor.click()
        page.keyboard.press("Control+End")
        page.keyboard.type(" and from the page 😀")
        text = "from Node and from the page 😀"
        wait_until(lambda: other.do("text") == text)
        wait_until(lambda: other.do("cursors") == [[len(text) + 1] * 2])  # in UTF-16

        # Both write while the other's connection is down.
        other.do("disconnect")
        other.do("delete", 0, 5)
        page.keyboard.type("!")
        other.do("connect")
        wait_until(lambda: other.do("text") == shown(editor) == text[5:] + "!")
        # Undo takes back what was typed here, and nothing else.
        page.keyboard.press("Control+z")
        wait_until(lambda: other.do("text") == shown(editor) == "Node")
    wait_until(lambda: badge.count() == 0)


def test_our_editor_works_at_the_server_of_the_y_websocket_package(new_context, gateway):
    with YWebsocketServer() as server:
        configured = (ROOT / "pyscript.toml").read_text()
        assert "./ws/documents/" in configured
        configured = configured.replace("./ws/documents/", server.url)
        editors = []
        for _ in range(2):
            context = new_context()
            context.route("**/pyscript.toml", lambda route: route.fulfill(body=configured))
            editors.append(editor_of(context.new_page(), gateway))
        one, other = editors
        one.click()
        one.page.keyboard.type("typed at a server of another make")
        wait_until(lambda: shown(other) == "typed at a server of another make")
        for editor in editors:
            editor.page.locator("collaborative-editor .collaborator-badge").wait_for()
        with YWebsocketClient(server.url.rstrip("/"), DOCUMENT) as third:
            wait_until(lambda: third.do("text") == shown(one))
            assert len(third.do("people")) == 2
            third.do("insert", 0, "All ")
            wait_until(
                lambda: shown(one) == shown(other) == "All typed at a server of another make"
            )
        one.page.locator("collaborative-editor .status", has_text="Saved").wait_for()
    # Without the server, what is written stays here, and says so.
    other.click()
    other.page.keyboard.type("?")
    other.page.locator("collaborative-editor .status", has_text="1 unsent change").wait_for()
    assert gateway.get(f"api/documents/{DOCUMENT}").json()["content"] == ""
