"""`<text-editor>` on a page of its own: a strict policy, real keys, long texts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.support.gateway import Gateway

SCRIPT = Path(__file__).parent / "pages" / "text_editor.js"
# The test itself evaluates strings; nothing else may, and no style may stand in the page.
POLICY = "default-src 'none'; connect-src 'self'; style-src 'self'; script-src 'self' 'unsafe-eval'"
PAGE = """<!doctype html><title>Text</title>
<link rel="stylesheet" href="./components/theme.css">
<script type="module" src="./text_editor.js"></script>"""

# Seconds would be a bug; on an idle machine it takes 1 to 3 ms.
KEYSTROKE_LIMIT = 16.0

MEASURE = """async () => {
    const { editor: view } = editor.view;
    const times = [];
    for (let count = 0; count < 41; count += 1) {
        const begun = performance.now();
        view.dispatch({ changes: { from: 300, insert: "x" }, selection: { anchor: 301 } });
        times.push(performance.now() - begun);
        await new Promise(requestAnimationFrame);
    }
    return times.sort((a, b) => a - b)[20];
}"""


@pytest.fixture
def content(page: Page, gateway: Gateway) -> Iterator[Page]:
    headers = {"Content-Security-Policy": POLICY}
    page.route("**/page.html", lambda route: route.fulfill(body=PAGE, headers=headers))
    page.route("**/text_editor.js", lambda route: route.fulfill(path=SCRIPT))
    page.goto(gateway.url + "page.html")
    expect(page.locator(".editor-content")).to_be_visible()
    yield page
    assert page.evaluate("violations") == []
    assert page.evaluate("editor.getRootNode().querySelectorAll('style').length") == 0


def text(page: Page) -> str:
    return page.evaluate("text.toString()")


def test_keys_write_and_undo_and_tab_moves_on(content):
    area = content.get_by_role("textbox", name="Notes")
    area.click()
    content.keyboard.type("# One")
    content.keyboard.press("Enter")
    content.keyboard.type("two")
    assert text(content) == "# One\ntwo"
    content.keyboard.press("Control+z")
    assert text(content) == ""
    content.keyboard.press("Control+Shift+Z")
    assert text(content) == "# One\ntwo"
    content.keyboard.press("Tab")
    assert content.evaluate("document.activeElement === after")
    content.keyboard.press("Shift+Tab")
    expect(area).to_be_focused()


def test_it_has_its_looks_under_a_strict_policy(content):
    content.get_by_role("textbox").fill("# Heading\n**strong**")
    weight = "node => getComputedStyle(node).fontWeight"
    assert content.locator(".md-heading").first.evaluate(weight) == "700"
    assert content.locator(".md-strong").evaluate(weight) == "700"
    font = content.locator(".cm-scroller").evaluate("node => getComputedStyle(node).fontFamily")
    assert "monospace" in font


def test_what_is_pasted_has_the_line_breaks_of_the_text(content):
    content.get_by_role("textbox").click()
    content.evaluate(
        """() => {
            const clipboardData = new DataTransfer();
            clipboardData.setData("text/plain", "one\\r\\ntwo\\rthree");
            const init = { clipboardData, bubbles: true, cancelable: true };
            const event = new ClipboardEvent("paste", init);
            editor.view.editor.contentDOM.dispatchEvent(event);
        }"""
    )
    assert text(content) == "one\ntwo\nthree"


@pytest.mark.parametrize(
    "unit", ["Some *words* of a text.\n", "A paragraph.\n\n", "word ", "```\n", "*a"]
)
def test_a_long_text_does_not_hold_one_up(content, unit):
    content.evaluate("long => text.insert(0, long)", unit * (100_000 // len(unit)))
    content.evaluate("editor.focus()")
    assert content.evaluate(MEASURE) < KEYSTROKE_LIMIT
    assert content.evaluate("editor.view.editor.state.doc.toString() === text.toString()")
