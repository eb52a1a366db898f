"""Documents on whole pages: a real gateway that is really killed, real storage, real authors."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.support.gateway import Gateway, wait_until
from tests.support.held_uploads import HeldUploads
from tests.support.two_authors import Run, recording

PAGE = (Path(__file__).parent / "pages" / "documents.py").read_text()

#: How often each author's connection is cut in the recording, and how often the gateway is killed.
CUTS = 5

EDITS = 1_000

IDS = ["a/b", "..x", "'\"<b>", "ü 文 😀", "a?b#c%2F", "C:\\notes", "/", "../../etc/passwd"]

#: Seconds for what takes long on a machine with much to do.
PATIENCE = 60


@pytest.fixture
def new_context(browser: Browser) -> Iterator[Callable[[], BrowserContext]]:
    contexts = []

    def new() -> BrowserContext:
        context = browser.new_context()
        context.route("**/main.py", lambda route: route.fulfill(body=PAGE))
        contexts.append(context)
        return context

    yield new
    for context in contexts:
        context.close()


def opened(
    context: BrowserContext, gateway: Gateway, document: str = "notes", **options: Any
) -> Page:
    """Open a page and join a document there."""
    page = context.new_page()
    page.goto(gateway.url)
    page.wait_for_function("window.ready")
    join(page, document, **options)
    return page


def join(page: Page, document: str = "notes", **options: Any) -> None:
    call = "([id, options]) => window.doc_join(id, options)"
    page.evaluate(call, [document, json.dumps(options)])


def look(page: Page) -> dict[str, Any]:
    state: dict[str, Any] = json.loads(page.evaluate("window.doc_look()"))
    return state


def edit(page: Page, *edits: tuple[int, int, str] | list[Any]) -> None:
    page.evaluate("edits => window.doc_edit(edits)", json.dumps(edits))


def content(gateway: Gateway, document: str = "notes") -> str:
    text: str = gateway.get(f"api/documents/{document}").json()["content"]
    return text


def play(page: Page, run: Run, other: int) -> None:
    """Let a page make the edits of a run, once it has come to where their author was."""
    call = "([text, other, clock, edits]) => window.doc_play(text, other, clock, edits)"
    page.evaluate(call, [run.text, other, run.clock, json.dumps(run.edits)])


def next_of(numbers: set[int], after: int) -> int | None:
    return min((number for number in numbers if number > after), default=None)


def is_back(page: Page, uploads: HeldUploads) -> bool:
    """Tell whether a page is connected again, and has told the gateway what it wrote."""
    return look(page)["state"] == "open" and uploads.is_whole


def synced(*pages: Page) -> bool:
    return all(look(page)["synced"] for page in pages)


def converged(gateway: Gateway, *pages: Page) -> bool:
    """Tell whether all is saved, and everybody has the same text."""
    states = [look(page) for page in pages]
    texts = {state["text"] for state in states} | {content(gateway)}
    return len(texts) == 1 and all(state["synced"] for state in states)


def test_what_one_types_another_sees_and_the_gateway_has(new_context, gateway):
    one, other = (opened(new_context(), gateway) for _ in range(2))
    edit(one, (0, 0, "hello"))
    wait_until(lambda: look(other)["text"] == "hello")
    edit(other, (5, 0, ", 😀 world"))
    wait_until(lambda: converged(gateway, one, other))
    assert content(gateway) == "hello, 😀 world"


def test_a_thousand_edits_on_each_side_of_a_dead_network_are_merged(new_context, gateway):
    one, other = (opened(new_context(), gateway) for _ in range(2))
    edit(one, (0, 0, "|"))
    wait_until(lambda: converged(gateway, one, other))
    gateway.kill()
    wait_until(lambda: not synced(one) and not synced(other))
    edit(one, *[(n, 0, "a") for n in range(EDITS)])
    edit(other, *[(1 + n, 0, "b") for n in range(EDITS)])
    assert [look(page)["unsynced"] for page in (one, other)] == [EDITS, EDITS]
    gateway.start()
    wait_until(lambda: converged(gateway, one, other), deadline=PATIENCE)
    assert content(gateway) == "a" * EDITS + "|" + "b" * EDITS


def test_the_reload_of_an_offline_page_keeps_its_edits(new_context, gateway):
    context = new_context()
    page = opened(context, gateway)
    edit(page, (0, 0, "before. "))
    wait_until(lambda: synced(page))
    # The gateway serves the page too: so only its documents go away.
    context.route_web_socket("**/ws/documents/**", lambda socket: socket.close(code=1013))
    page.reload()
    page.wait_for_function("window.ready")
    join(page)
    edit(page, (8, 0, "offline."))
    page.evaluate("window.doc_flush()")
    page.reload()
    page.wait_for_function("window.ready")
    join(page)
    state = look(page)
    assert (state["text"], state["unsynced"]) == ("before. offline.", 1)
    assert content(gateway) == "before. "
    page.close()
    # Another page of the same browser, with a network, brings it to the gateway.
    context.unroute_all()
    again = browser_page_with_network(context, gateway)
    # Looking at the page is what lets its frames pass here.
    wait_until(lambda: look(again)["synced"] and content(gateway) == "before. offline.")
    assert look(again)["unsynced"] == 0


def browser_page_with_network(context: BrowserContext, gateway: Gateway) -> Page:
    context.route("**/main.py", lambda route: route.fulfill(body=PAGE))
    context.route_web_socket("**/ws/documents/**", lambda socket: socket.connect_to_server())
    return opened(context, gateway)


def test_the_page_is_killed_in_the_middle_of_writing_and_loses_nothing_it_had_kept(
    new_context, gateway
):
    context = new_context()
    context.route_web_socket("**/ws/documents/**", lambda socket: socket.close(code=1013))
    page = opened(context, gateway)
    edit(page, *[(n, 0, "x") for n in range(300)])
    page.evaluate("window.doc_flush()")
    page.goto("about:blank")
    page.goto(gateway.url)
    page.wait_for_function("window.ready")
    join(page)
    assert look(page)["text"] == "x" * 300


def test_tabs_edit_together_without_any_server(new_context, gateway):
    context = new_context()
    context.route_web_socket("**/ws/documents/**", lambda socket: socket.close(code=1013))
    one = opened(context, gateway, user={"id": "a", "name": "Ada"})
    other = opened(context, gateway, user={"id": "b", "name": "Bob"})
    wait_until(lambda: look(one)["collaborators"] == ["Bob"])
    edit(one, (0, 0, "hello"))
    wait_until(lambda: look(other)["text"] == "hello")
    edit(other, *[(5, 0, "!")] * 200)
    wait_until(lambda: look(one)["text"] == "hello" + "!" * 200)
    other.close()
    wait_until(lambda: look(one)["collaborators"] == [])
    assert content(gateway) == ""


def test_who_is_there_comes_and_goes_through_the_gateway(new_context, gateway):
    one = opened(new_context(), gateway, user={"id": "a", "name": "Ada"})
    other = opened(new_context(), gateway, user={"id": "b", "name": "Bob"})
    wait_until(lambda: look(one)["collaborators"] == ["Bob"])
    wait_until(lambda: look(other)["collaborators"] == ["Ada"])
    assert gateway.health()["documents"] == 1
    other.goto("about:blank")
    wait_until(lambda: look(one)["collaborators"] == [])
    one.close()
    wait_until(lambda: gateway.health()["documents"] == 0)


def test_an_id_may_be_almost_anything(new_context, gateway):
    page = opened(new_context(), gateway)
    for document in IDS:
        page.evaluate("window.doc_leave()")
        join(page, document)
        edit(page, (0, 0, document))
        wait_until(partial(synced, page))
        answer = gateway.get(f"api/documents/{quote(document, safe='')}").json()
        assert answer == {"id": document, "content": document}


@pytest.mark.timeout(600)
def test_two_authors_of_a_real_text_end_with_it_through_cuts_and_crashes(new_context, gateway):
    contexts = [new_context() for _ in range(2)]
    held = [HeldUploads(context) for context in contexts]
    # What waits here is not lost, and nobody is to think that the connection is.
    options = {"heartbeat_interval": None, "keep": False}
    pages = [opened(context, gateway, **options) for context in contexts]
    # Where both type at one place, the lower client's text goes first: in the recording, the first
    # author's.
    clients = [int(page.evaluate("window.doc_client()")) for page in pages]
    order = sorted((0, 1), key=clients.__getitem__)
    pages, held, clients = ([items[n] for n in order] for items in (pages, held, clients))
    runs, text = recording()
    # How much each had written whenever the other heard of it. After a cut, what waits is told all
    # together: so it has to be just what the other hears of next.
    heard = [{run.known for run in runs if run.author != author} for author in (0, 1)]
    cuts = [0, 0]
    for number, run in enumerate(runs):
        author = run.author
        page, uploads = pages[author], held[author]
        held[1 - author].allow(run.known)
        play(page, run, clients[1 - author])
        is_time = number >= len(runs) * (cuts[author] + 1) // (CUTS + 1)
        if is_time and next_of(heard[author], uploads.allowed) == run.end:
            cuts[author] += 1
            uploads.cut(run.end)
            wait_until(partial(is_back, page, uploads))
    for author in (0, 1):
        held[author].allow(len(runs) * 100)
    wait_until(lambda: converged(gateway, *pages), deadline=PATIENCE)
    assert content(gateway) == text
    assert cuts == [CUTS, CUTS]
