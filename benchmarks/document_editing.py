"""Documents: a trace of real writing, keys to the screen and to another tab, opening one.

One page has both: ours, and Yjs with CodeMirror and y-websocket in plain JavaScript. Keys are real
ones, pressed by the browser's own means.
"""

from __future__ import annotations

import gzip
import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, Page

from benchmarks.report import Round
from benchmarks.tab_sync import profile
from tests.support.gateway import ROOT, Gateway, wait_until

HERE = Path(__file__).parent / "documents"
TRACE = Path(__file__).parent / "data" / "automerge-paper.json.gz"

CLIENTS = {"Python": "ours", "JavaScript": "peer"}

#: Who applies the trace: a session tells others of every change, Yjs alone nobody.
TRACED = {"Python": ("ours",), "JavaScript": ("peer", False), "JavaScript, told": ("peer", True)}

#: How many edits are applied together.
TOGETHER = {"all": 1_000_000, "hundreds": 100, "one": 1}

KEYS = 150
WARM_UP = 20

LONG = 100_000

OPENINGS = 5

BOOT_TIMEOUT = 120_000


def bundle() -> str:
    """Return the peers with their packages, as one file."""
    target = ROOT / "build" / "benchmarks" / "document_peers.js"
    command = [str(ROOT / "node_modules" / ".bin" / "esbuild"), str(HERE / "page.js"), "--bundle"]
    options = ["--format=esm", "--minify", "--target=es2022", "--log-level=warning"]
    subprocess.run([*command, *options, f"--outfile={target}"], check=True)
    return target.read_text()


def files() -> dict[str, str]:
    """Return what is laid over the gateway's files."""
    return {
        "document_peers.html": (HERE / "page.html").read_text(),
        "document_ours.py": (HERE / "ours.py").read_text(),
        "document_peers.js": bundle(),
    }


@contextmanager
def opened(context: BrowserContext, gateway: Gateway) -> Iterator[Page]:
    """Open a tab with both."""
    page = context.new_page()
    page.goto(f"{gateway.url}document_peers.html")
    page.wait_for_function("window.oursReady && window.peersReady", timeout=BOOT_TIMEOUT)
    yield page
    page.close()


def long_text() -> str:
    """Return prose of `LONG` characters in lines of a usual length."""
    line = "Real-time text in the browser, *written* by many at once, and never lost. "
    return "".join(line * 4 + "\n" for _ in range(LONG // 200))[:LONG]


def trace(page: Page, name: str) -> Round:
    """Apply the trace, in ours and in `TRACED`; the text has to be the one that was written."""
    recorded = json.loads(gzip.decompress(TRACE.read_bytes()))
    patches = json.dumps([patch for txn in recorded["txns"] for patch in txn["patches"]])
    taken: Round = {}
    for key, size in TOGETHER.items():
        who, *options = TRACED[name]
        call = f"details => window.{who}.apply(...details)"
        spent, encoded, text = json.loads(page.evaluate(call, [patches, size, *options]))
        assert text == recorded["endContent"]
        taken[f"trace_{key}"] = [spent]
        taken["encoded"] = [encoded]
    return taken


def editing(browser: Browser, gateway: Gateway, name: str, laid: dict[str, str]) -> Round:
    """Return milliseconds from keys to the screen, to another tab, and until a document is open."""
    with ExitStack() as stack:
        context = stack.enter_context(profile(browser, laid))
        here = stack.enter_context(opened(context, gateway))
        there = stack.enter_context(opened(context, gateway))
        filled(here, f"long-{name}")
        taken = {
            **screen(here, name, f"long-{name}"),
            "gateway": across(here, there, name, f"far-{name}", share=False),
            "open": opening(there, name, f"long-{name}"),
        }
    with ExitStack() as stack:
        # Ours needs no server for what tabs tell one another, and y-websocket's none either.
        context = stack.enter_context(profile(browser, laid))
        context.route_web_socket("**/ws/documents/**", lambda socket: socket.close(code=1013))
        here = stack.enter_context(opened(context, gateway))
        there = stack.enter_context(opened(context, gateway))
        taken["direct"] = across(here, there, name, f"near-{name}", share=True)
    return taken


def filled(page: Page, document: str) -> None:
    """Make a long document at the gateway."""
    page.evaluate("id => window.ours.open(id, {share: false, keep: false})", document)
    page.evaluate("text => window.ours.fill(text)", long_text())
    page.evaluate("() => window.ours.saved()")
    leave(page, "Python")


def open_in(page: Page, name: str, document: str, *, share: bool) -> None:
    """Open a document with an editor, and wait until it is drawn."""
    options = {"share": share} | ({"keep": False} if name == "Python" else {})
    call = f"([id, options]) => window.{CLIENTS[name]}.open(id, options)"
    page.evaluate(call, [document, options])
    page.wait_for_function("document.querySelector('.cm-content, text-editor')")
    page.locator(".cm-content").wait_for()


def leave(page: Page, name: str) -> None:
    """Leave it again."""
    page.evaluate(f"() => window.{CLIENTS[name]}.leave()")
    page.evaluate("() => document.querySelector('#editor').replaceChildren()")


def screen(page: Page, name: str, document: str) -> Round:
    """Press keys in a long document: how long until its DOM has changed, and until that is seen."""
    open_in(page, name, document, share=False)
    wait_until(lambda: page.locator(".cm-line").count() > 10)
    page.bring_to_front()
    page.locator(".cm-content").click()
    page.evaluate("() => window.watchEditor()")
    press(page, WARM_UP)
    for what in ("painted", "pressed", "changed"):
        noted(page, what, WARM_UP)
    press(page, KEYS)
    painted, pressed, changed = (
        noted(page, what, KEYS) for what in ("painted", "pressed", "changed")
    )
    leave(page, name)
    in_dom = [change - key for key, change in zip(pressed, changed, strict=True)]
    return {"dom": in_dom, "screen": painted}


def noted(page: Page, what: str, count: int) -> list[float]:
    """Return what the page has noted, once there is so much of it."""
    times: list[float] = []

    def look() -> bool:
        times.extend(json.loads(page.evaluate(f"window.{what}()")))
        return len(times) >= count

    wait_until(look)
    return times


def press(page: Page, count: int) -> None:
    """Type, not faster than a person could."""
    for key in range(count):
        page.keyboard.press("abcdefghijklmnopqrstuvwxyz"[key % 26])
        page.wait_for_timeout(25)


def across(here: Page, there: Page, name: str, document: str, *, share: bool) -> list[float]:
    """Press keys in one tab, and see them in another."""
    for page in (here, there):
        open_in(page, name, document, share=share)
        page.evaluate("() => window.watchEditor()")
    here.bring_to_front()
    here.locator(".cm-content").click()
    press(here, WARM_UP)
    wait_until(lambda: there.evaluate("window.textLength()") == WARM_UP)
    times = []
    for page in (here, there):
        page.evaluate("() => [window.pressed(), window.changed()]")
    for key in range(KEYS):
        here.keyboard.press("abcdefghijklmnopqrstuvwxyz"[key % 26])
        changed = noted(there, "changed", 1)
        (pressed,) = noted(here, "pressed", 1)
        times.append(changed[0] - pressed)
        time.sleep(0.02)
        there.evaluate("() => window.changed()")
    for page in (here, there):
        leave(page, name)
    return times


def opening(page: Page, name: str, document: str) -> list[float]:
    """Open a long document from the gateway, again and again."""
    page.bring_to_front()
    times = []
    options = {"share": False} | ({"keep": False} if name == "Python" else {})
    call = f"([id, options]) => window.{CLIENTS[name]}.join(id, options)"
    for _ in range(OPENINGS):
        times.append(page.evaluate(call, [document, options]))
        leave(page, name)
    return times
