"""`<collaborative-editor>` on the real page: real keys, two browsers, and all that may go wrong."""

from __future__ import annotations

import contextlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    WebSocket,
    WebSocketRoute,
    expect,
)
from playwright.sync_api import Error as PlaywrightError

from tests.e2e.conftest import NETWORK_NEWS
from tests.e2e.test_static_host import ROOT, Quiet
from tests.support.gateway import Gateway, wait_until
from tests.support.y_websocket import YWebsocketClient

DOCUMENT = "welcome"

#: Seconds for what takes long on a machine with much to do.
PATIENCE = 30

#: The text of an editor, also of the parts that are not drawn.
TEXT = "editor => editor.shadowRoot.querySelector('text-editor').view.editor.state.doc.toString()"

#: Of Playwright's own sockets, behind a route: ours look before they send.
BEHIND_ROUTES = "WebSocket is already in CLOSING or CLOSED state"

#: What is open or ticking in a page, from its beginning.
WATCH = """
const sockets = new Set(), intervals = new Set();
window.alive = () => ({
    sockets: [...sockets].filter((socket) => socket.readyState < 2).map(({ url }) => url),
    intervals: intervals.size,
});
window.WebSocket = class extends WebSocket {
    constructor(...details) { super(...details); sockets.add(this); }
};
const { setInterval: set, clearInterval: clear } = window;
window.setInterval = (...details) => { const id = set(...details); intervals.add(id); return id; };
window.clearInterval = (id) => { intervals.delete(id); clear(id); };
"""


class Editor:
    """An editor of a page."""

    def __init__(self, page: Page, *, id: str = DOCUMENT, nth: int = 0) -> None:
        self.page = page
        self.element = page.locator(f"collaborative-editor[document-id='{id}']").nth(nth)
        self.content = self.element.locator(".editor-content")
        self.badges = self.element.locator(".collaborator-badge")
        self.carets = self.element.locator(".cm-carets > *")
        self.status = self.element.locator(".status").first

    @property
    def text(self) -> str:
        text: str = self.element.evaluate(TEXT)
        return text

    @property
    def names(self) -> list[str | None]:
        return [badge.get_attribute("title") for badge in self.badges.all()]

    def at_end(self) -> None:
        self.content.click()
        self.page.keyboard.press("Control+End")

    def saved(self) -> None:
        expect(self.status).to_contain_text("Saved", timeout=PATIENCE * 1000)


def opened(page: Page, url: str) -> Editor:
    page.goto(url)
    editor = Editor(page)
    editor.content.wait_for(timeout=PATIENCE * 1000)
    return editor


def content(gateway: Gateway, document: str = DOCUMENT) -> str:
    text: str = gateway.get(f"api/documents/{document}").json()["content"]
    return text


def type_at_once(one: Editor, other: Editor, words: str) -> None:
    """Let both press keys, by turns: none waits for what the other's comes to."""
    for key in words:
        one.page.keyboard.press(key.lower())
        other.page.keyboard.press(key.upper())


def alike(gateway: Gateway, *editors: Editor) -> bool:
    return {editor.text for editor in editors} == {content(gateway)}


def wait_alike(gateway: Gateway, *editors: Editor) -> str:
    for editor in editors:
        editor.saved()
    wait_until(lambda: alike(gateway, *editors), deadline=PATIENCE)
    return content(gateway)


def kill(gateway: Gateway, *editors: Editor) -> None:
    """Kill the gateway, once the pages have loaded all that they are made of."""
    for editor in editors:
        ready = "performance.getEntriesByName('worker-ready').length > 0"
        editor.page.wait_for_function(ready, timeout=PATIENCE * 1000)
    gateway.kill()


class Network:
    """What lies between the pages of a context and the documents of its gateway."""

    def __init__(self, context: BrowserContext) -> None:
        self.is_down = False
        self._ends: list[WebSocketRoute] = []
        context.route_web_socket("**/ws/documents/**", self._connected)

    def cut(self) -> None:
        self.is_down = True
        page, server = self._ends
        server.close()
        page.close(code=1012, reason="cut")

    def _connected(self, page: WebSocketRoute) -> None:
        if self.is_down:
            page.close(code=1013)
            return
        self._ends = [page, page.connect_to_server()]


@pytest.fixture
def new_page(browser: Browser, complaints: list[str]) -> Iterator[Callable[..., Page]]:
    """Open pages, each in a browser of its own; none may complain of anything but the network."""
    contexts: list[BrowserContext] = []

    def note(message: ConsoleMessage) -> None:
        if message.type == "error" and not message.text.startswith((*NETWORK_NEWS, BEHIND_ROUTES)):
            complaints.append(message.text)

    def new(prepare: Callable[[BrowserContext], Any] = lambda _: None) -> Page:
        context = browser.new_context()
        contexts.append(context)
        prepare(context)
        page = context.new_page()
        page.on("console", note)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        return page

    yield new
    for context in contexts:
        context.close()
    assert complaints == []


def paste(editor: Editor, text: str) -> None:
    editor.content.evaluate(
        """(node, text) => {
            const clipboardData = new DataTransfer();
            clipboardData.setData("text/plain", text);
            const init = { clipboardData, bubbles: true, cancelable: true };
            node.dispatchEvent(new ClipboardEvent("paste", init));
        }""",
        text,
    )


@pytest.mark.timeout(240)
def test_two_people_lose_nothing_whatever_the_network_does(new_page, gateway):
    networks: list[Network] = []
    one = opened(new_page(), gateway.url)
    other = opened(new_page(lambda context: networks.append(Network(context))), gateway.url)
    wait_alike(gateway, one, other)
    one.at_end()
    other.at_end()

    # Both at once; each sees the other's badge and caret.
    type_at_once(one, other, "together")
    text = wait_alike(gateway, one, other)
    assert sorted(text) == sorted("togetherTOGETHER")
    expect(one.badges).to_have_count(1)
    expect(other.badges).to_have_count(1)
    expect(one.carets).to_have_count(1)
    assert one.names != other.names

    # Without a gateway, each for themselves.
    kill(gateway, one, other)
    expect(one.status).to_contain_text("Offline")
    expect(other.status).to_contain_text("Offline")
    type_at_once(one, other, "apart")
    # Of what came before, some may not have been confirmed.
    expect(one.status).to_contain_text(re.compile(r"\d+ unsent changes, kept in this browser"))
    gateway.start()
    text = wait_alike(gateway, one, other)
    assert sorted(text) == sorted("togetherapartTOGETHERAPART")

    # Only one of them is cut off.
    networks[0].cut()
    expect(other.status).to_contain_text("Offline")
    expect(one.badges).to_have_count(0)
    expect(one.carets).to_have_count(0)
    type_at_once(one, other, "alone")
    one.saved()
    assert len(one.text) == len(text) + 5
    networks[0].is_down = False
    text = wait_alike(gateway, one, other)
    assert sorted(text) == sorted("togetherapartaloneTOGETHERAPARTALONE")

    # Undo takes back one's own, all of it, and nothing else; then it is done again.
    for _ in range(40):
        one.page.keyboard.press("Control+z")
    assert sorted(wait_alike(gateway, one, other)) == sorted("TOGETHERAPARTALONE")
    for _ in range(40):
        one.page.keyboard.press("Control+Shift+Z")
    assert wait_alike(gateway, one, other) == text

    # One leaves for another page and comes back; the other goes on meanwhile.
    one.page.evaluate("window.kept = true")
    one.page.goto(f"{gateway.url}healthz")
    expect(other.badges).to_have_count(0)
    expect(other.carets).to_have_count(0)
    other.page.keyboard.type("meanwhile")
    other.saved()
    one.page.evaluate("history.back()")
    expect(other.badges).to_have_count(1)
    assert one.page.evaluate("window.kept") is True
    # Playwright loses sight of a page that comes back so, but can still run scripts in it.
    shown = f"({TEXT})(document.querySelector('collaborative-editor'))"
    wait_until(lambda: one.page.evaluate(shown) == other.text)
    assert "meanwhile" in other.text

    # A tab that crashes is gone.
    with contextlib.suppress(PlaywrightError):
        one.page.goto("chrome://crash")
    expect(other.badges).to_have_count(0, timeout=PATIENCE * 1000)
    wait_until(lambda: alike(gateway, other))


def test_editors_of_one_page_come_go_and_change_their_documents(new_page, gateway):
    page = new_page(lambda context: context.add_init_script(WATCH))
    with YWebsocketClient(f"{gateway.websocket_url}/documents", "long") as client:
        wait_until(lambda: client.do("synced"))
        client.do("insert", 0, "Some words of a long text.\n" * 4_000)
        wait_until(lambda: len(content(gateway, "long")) > 100_000)
    one = opened(page, gateway.url)
    one.saved()
    before = page.evaluate("alive()")
    # Another of the same document, and one of another.
    add = """id => {
        const editor = document.createElement("collaborative-editor");
        editor.setAttribute("document-id", id);
        document.querySelector("main").append(editor);
    }"""
    page.evaluate(add, DOCUMENT)
    page.evaluate(add, "side")
    twin, side = Editor(page, nth=1), Editor(page, id="side")
    twin.saved()
    side.saved()
    assert gateway.health()["documents"] == 2
    one.at_end()
    page.keyboard.type("once")
    twin.at_end()
    page.keyboard.type(" twice")
    expect(one.carets).to_have_count(1)
    side.at_end()
    page.keyboard.type("elsewhere")
    assert wait_alike(gateway, one, twin) == "once twice"
    side.saved()
    assert (side.text, content(gateway, "side")) == ("elsewhere", "elsewhere")

    # A large paste, one step of undo.
    side.at_end()
    paste(side, "0123456789" * 30_000)
    side.saved()
    wait_until(lambda: len(content(gateway, "side")) == 300_009, deadline=PATIENCE)
    page.keyboard.press("Control+z")
    wait_until(lambda: content(gateway, "side") == "elsewhere", deadline=PATIENCE)

    # The same element shows another document: the former one is left.
    set_id = "(editor, id) => editor.setAttribute('document-id', id)"
    side.element.evaluate(set_id, "long")
    long = Editor(page, id="long")
    long.saved()
    assert len(long.text) == 108_000
    wait_until(lambda: gateway.health()["documents"] == 2)
    with YWebsocketClient(f"{gateway.websocket_url}/documents", "side") as client:
        wait_until(lambda: client.do("synced"))
        assert client.do("people") == []
    # As fast as a script can.
    for id_ in ("a", "b", "side", "c", "long", "side"):
        page.locator("collaborative-editor").last.evaluate(set_id, id_)
    side.saved()
    assert side.text == "elsewhere"
    wait_until(lambda: gateway.health()["documents"] == 2)

    # Elements that go leave nothing; one moved within the page goes on.
    one.at_end()
    page.keyboard.type("!")
    one.element.evaluate("editor => document.querySelector('main').prepend(editor)")
    wait_until(lambda: content(gateway) == "once twice!")
    side.element.evaluate("editor => editor.remove()")
    twin.element.evaluate("editor => editor.remove()")
    page.wait_for_timeout(300)
    one.saved()
    after = page.evaluate("alive()")
    assert after["intervals"] <= before["intervals"]
    assert len(after["sockets"]) == len(before["sockets"])
    one.element.evaluate("editor => editor.remove()")
    wait_until(lambda: gateway.health()["documents"] == 0)
    # Removed before it is open, too.
    page.evaluate(add, "brief")
    page.wait_for_timeout(100)
    page.locator("collaborative-editor").evaluate("editor => editor.remove()")
    page.evaluate(add, "briefer")
    page.locator("collaborative-editor").evaluate("editor => editor.remove()")
    page.wait_for_timeout(1500)
    assert gateway.health()["documents"] == 0
    rest = page.evaluate("alive()")
    assert rest["intervals"] < before["intervals"]
    assert not any("/documents/" in url for url in rest["sockets"])
    replicas = "import('./runtime/documents.js').then(({ replicas }) => replicas.size)"
    assert page.evaluate(replicas) == 0


GARBAGE = """name => new Promise((resolve, reject) => {
    const request = indexedDB.open("realtime-documents", 1);
    request.onupgradeneeded = () => {
        const updates = request.result.createObjectStore("updates", { autoIncrement: true });
        updates.createIndex("name", "name");
    };
    request.onerror = reject;
    request.onsuccess = () => {
        const transaction = request.result.transaction("updates", "readwrite");
        const updates = transaction.objectStore("updates");
        const things = [
            {}, { update: "text" }, { update: 5 }, { update: new Uint8Array([1, 2, 3]) },
            { update: new Uint8Array(1000).fill(255) }, { update: [] }, { unsent: -5 },
            { unsent: NaN, update: new Uint8Array(2) }, { unsent: "many" }, { sent: 1e300 },
            { update: new Uint8Array([1, 1, 7, 2, 0x84, 7, 1, 1, 99, 0]) },
            { update: { length: 5 } }, { update: new Map(), unsent: {} }, { sent: null },
        ];
        for (const thing of things) updates.add({ name, ...thing });
        updates.add({ name: [name] });
        transaction.oncomplete = () => { request.result.close(); resolve(); };
    };
})"""

NOISE = """name => {
    const channel = new BroadcastChannel("document:" + name);
    const encode = (bytes) => btoa(String.fromCharCode(...bytes));
    const frames = [[], [0], [0, 0], [0, 0, 1, 255], [0, 1, 3, 9, 9, 9], [0, 2, 2, 0, 0],
        [0, 2, 10, 1, 1, 9, 2, 0x84, 9, 1, 1, 99, 0], [1, 1, 1], [1, 4, 1, 7, 1, 1], [2, 0, 0], [3],
        [9, 9, 9], Array(500).fill(255)];
    const says = (frame) => ({ schema: 1, sent: true, kept: true, frame: encode(frame) });
    const user = { name: "<img src=x onerror=alert(1)>", id: {} };
    const state = new TextEncoder().encode(JSON.stringify({ user, cursor: 5 }));
    frames.push([1, state.length + 4, 1, 77, 1, state.length, ...state]);
    const things = [1, null, "text", [], {}, new Map(), new Uint8Array(5), { schema: 2 },
        { schema: 1 }, { ...says([3]), sent: 5 }, { ...says([3]), frame: "§" },
        ...frames.map(says)];
    const loop = {};
    loop.loop = loop;
    let deep = [];
    for (let n = 0; n < 1000; n++) deep = [deep];
    things.push(loop, { schema: 1, deep });
    for (let n = 0; n < 30; n++) for (const thing of things) channel.postMessage(thing);
}"""


def test_hostile_tabs_and_hostile_storage_harm_nothing(new_page, gateway):
    page = new_page()
    page.goto(f"{gateway.url}healthz")
    url = f"{gateway.websocket_url}/documents/{DOCUMENT}"
    name = json.dumps([url, "guest"])
    page.evaluate(GARBAGE, name)
    hostile = page.context.new_page()
    hostile.goto(f"{gateway.url}healthz")
    said: list[str] = []
    sent: list[Any] = []

    def listen(socket: WebSocket) -> None:
        if "/documents/" in socket.url:
            socket.on("framesent", lambda frame: sent.append(frame))

    page.on("websocket", listen)
    page.on("console", lambda message: said.append(message.text))
    editor = opened(page, gateway.url)
    editor.saved()
    assert any("records cannot be read" in text for text in said)
    editor.at_end()
    page.keyboard.type("first")
    hostile.evaluate(NOISE, name)
    page.keyboard.type(" second")
    editor.saved()
    assert editor.text == content(gateway) == "first second"
    assert any("from another tab" in text for text in said)
    # It asks for what builds on nothing, but not without end.
    page.wait_for_timeout(1000)
    sent.clear()
    page.wait_for_timeout(2000)
    assert len(sent) < 6
    # And what is written is still kept, and there after a reload, without a gateway for it.
    gateway_url = gateway.url
    page.context.route_web_socket("**/ws/documents/**", lambda socket: socket.close(code=1013))
    editor = opened(page, gateway_url)
    expect(editor.status).to_contain_text("No server in reach", timeout=PATIENCE * 1000)
    assert editor.text == "first second"
    editor.at_end()
    page.keyboard.type(" third")
    expect(editor.status).to_contain_text("kept in this browser")
    page.evaluate("new Promise((done) => setTimeout(done, 200))")
    editor = opened(page, gateway_url)
    wait_until(lambda: editor.text == "first second third")


#: PyScript has a database of its own, and does not start without.
DENIED = """
const { open } = IDBFactory.prototype;
IDBFactory.prototype.open = function (name, ...rest) {
    if (name === "realtime-documents") throw new DOMException("denied", "SecurityError");
    return open.call(this, name, ...rest);
};
"""


def test_denied_storage_is_told(new_page, gateway):
    page = new_page(lambda context: context.add_init_script(DENIED))
    editor = opened(page, gateway.url)
    editor.saved()
    kill(gateway, editor)
    expect(editor.status).to_contain_text("NOT kept")
    editor.at_end()
    page.keyboard.type("x")
    expect(editor.status).to_contain_text("1 unsent change, NOT kept")
    gateway.start()
    assert wait_alike(gateway, editor) == "x"


def log_in(page: Page) -> None:
    page.locator("login-panel input[name=username]").fill("ada")
    page.locator("login-panel input[name=password]").fill("secret")
    page.keyboard.press("Enter")
    expect(page.locator("login-panel .user")).to_have_text("ada", timeout=PATIENCE * 1000)


@pytest.fixture
def start_gateway(tmp_path: Path) -> Iterator[Callable[..., Gateway]]:
    gateways: list[Gateway] = []

    def start(**env: str) -> Gateway:
        gateways.append(Gateway(tmp_path / "data", ACCOUNTS="ada:secret", **env))
        gateways[-1].start()
        return gateways[-1]

    yield start
    for gateway in gateways:
        gateway.close()


def test_a_guest_only_reads_until_there_is_a_login(new_page, start_gateway):
    gateway = start_gateway(READ_ONLY_GUESTS="1")
    one, other = (opened(new_page(), gateway.url) for _ in range(2))
    for editor in (one, other):
        expect(editor.status).to_have_text("Read-only")
    one.at_end()
    one.page.keyboard.type("no")
    assert one.text == ""
    log_in(one.page)
    one.saved()
    wait_until(lambda: other.names == ["ada"])
    one.at_end()
    one.page.keyboard.type("by ada")
    one.saved()
    wait_until(lambda: other.text == content(gateway) == "by ada")
    # After a reconnection, too.
    kill(gateway, one, other)
    expect(one.status).to_contain_text("Offline")
    one.page.keyboard.type("!")
    gateway.start()
    one.saved()
    wait_until(lambda: other.text == content(gateway) == "by ada!", deadline=PATIENCE)
    one.page.locator("login-panel .logout").click()
    expect(one.status).to_have_text("Read-only")
    wait_until(lambda: other.names and other.names != ["ada"])
    assert one.text == "by ada!"


def test_a_guest_is_refused_where_a_login_is_needed(new_page, start_gateway, complaints):
    gateway = start_gateway(REQUIRE_AUTH="1", ACCESS_TOKEN_TTL="3")
    page = new_page()
    editor = opened(page, gateway.url)
    expect(editor.status).to_contain_text("Refused")
    expect(editor.status).to_contain_text("token")
    log_in(page)
    editor.saved()
    editor.at_end()
    # Longer than a token is good for.
    for n in range(10):
        page.keyboard.type(f"{n} ")
        page.wait_for_timeout(700)
    editor.saved()
    gateway.forget()
    gateway.login("ada", "secret")
    assert content(gateway) == editor.text == "0 1 2 3 4 5 6 7 8 9 "
    page.locator("login-panel .logout").click()
    expect(editor.status).to_contain_text("Refused")
    assert editor.text == "", "what is an account's is not shown to a guest"
    complaints.clear()  # of the refusals


def test_tabs_edit_together_on_a_static_host(new_page):
    handler = partial(Quiet, directory=ROOT)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_port}/"
            page = new_page()
            one = opened(page, url)
            other = opened(page.context.new_page(), url)
            one.at_end()
            one.page.keyboard.type("hello")
            other.at_end()
            wait_until(lambda: other.text == "hello")
            other.page.keyboard.press("Control+End")
            other.page.keyboard.type(" there")
            wait_until(lambda: one.text == other.text == "hello there")
            for editor in (one, other):
                expect(editor.status).to_contain_text("No server in reach", timeout=PATIENCE * 1000)
                expect(editor.status).to_contain_text("kept in this browser and shared")
                expect(editor.badges).to_have_count(1)
            other.page.close()
            expect(one.badges).to_have_count(0)
        finally:
            server.shutdown()
            thread.join()
