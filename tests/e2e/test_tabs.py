"""Several tabs of one browser that act as one, while the leader is closed, leaves and crashes."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.faults.load import log_of
from tests.support.gateway import Gateway, wait_until

TAB = (Path(__file__).parent / "pages" / "tabs.py").read_text()
HOSTILE = (Path(__file__).parent / "pages" / "hostile.js").read_text()
TABS = 5
MESSAGES = 1_000


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    with Gateway(tmp_path / "data", RATE_LIMIT="100000", RATE_BURST="100000") as gateway:
        yield gateway


@pytest.fixture
def open_tab(browser: Browser, gateway: Gateway) -> Iterator[Callable[[], Page]]:
    """Open tabs of one profile, each with the page that tells what it hears."""
    context = browser.new_context()
    context.route("**/main.py", lambda route: route.fulfill(body=TAB))

    def open_one() -> Page:
        page = context.new_page()
        page.goto(gateway.url)
        page.wait_for_function("window.ready")
        return page

    yield open_one
    context.close()


def look(page: Page) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(page.evaluate("window.look()"))
    return answer


def heard(page: Page) -> dict[str, list[Any]]:
    answer: dict[str, list[Any]] = json.loads(page.evaluate("window.hear()"))
    return answer


def agreed(pages: list[Page]) -> bool:
    """Tell whether all know exactly one another, and one of them as their leader."""
    seen = [look(page) for page in pages]
    ids = sorted(each["id"] for each in seen)
    leaders = [each["id"] for each in seen if each["leads"]]
    return (
        len(leaders) == 1
        and all(sorted(each["tabs"]) == ids for each in seen)
        and all(each["leader"] == leaders[0] for each in seen)
        and all(each["socket"] == each["events"] == "open" for each in seen)
    )


def leader_of(pages: list[Page]) -> Page:
    return next(page for page in pages if look(page)["leads"])


class Stream:
    """Publishes numbered notifications and activities, one after another, in the background."""

    def __init__(self, gateway: Gateway, count: int) -> None:
        self.created: dict[str, list[str]] = {"notification": [], "activity": []}
        self._gateway = gateway
        self._count = count
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Stream:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join()

    def _run(self) -> None:
        for n in range(self._count):
            self.created["notification"].append(self._gateway.post_notification(f"number {n}"))
            self.created["activity"].append(self._gateway.post_activity(target=f"number {n}"))

    @property
    def progress(self) -> int:
        return len(self.created["activity"])


def close(page: Page) -> None:
    page.close()


def navigate(page: Page) -> None:
    page.goto("about:blank")


def crash(page: Page) -> None:
    # The renderer is gone before the navigation can end.
    page.context.new_cdp_session(page).send("Page.enable")
    try:
        page.goto("chrome://crash", timeout=2000)
    except Exception:
        return


@pytest.mark.timeout(300)
@pytest.mark.parametrize("end", [close, navigate, crash])
def test_when_the_leader_goes_all_others_have_every_message_once_in_order(
    open_tab: Callable[[], Page], gateway: Gateway, end: Callable[[Page], None]
) -> None:
    pages = [open_tab() for _ in range(TABS)]
    wait_until(lambda: agreed(pages))
    gateway.wait_for_clients(websockets=1, event_streams=1)
    with Stream(gateway, MESSAGES) as stream:
        wait_until(lambda: stream.progress > MESSAGES // 4, deadline=60)
        leader = leader_of(pages)
        pages.remove(leader)
        end(leader)
        wait_until(lambda: agreed(pages), deadline=20)
        gateway.wait_for_clients(websockets=1, event_streams=1)
    for page in pages:
        wait_until(
            lambda page=page: all(
                heard(page)[kind][-1:] == ids[-1:] for kind, ids in stream.created.items()
            ),
            deadline=30,
        )
        assert heard(page) == {**stream.created, "reset": [], "error": []}


def test_a_leader_that_is_frozen_is_replaced_and_gives_way(
    open_tab: Callable[[], Page], gateway: Gateway
) -> None:
    pages = [open_tab() for _ in range(3)]
    wait_until(lambda: agreed(pages))
    frozen = leader_of(pages)
    others = [page for page in pages if page is not frozen]
    # Whatever it would do, it does not come to it: a busy main thread is as good as a frozen one.
    frozen.evaluate(
        "setTimeout(() => { const end = Date.now() + 14000; while (Date.now() < end); })"
    )
    made = [gateway.post_notification(f"while it is frozen {n}") for n in range(20)]
    for page in others:
        wait_until(lambda page=page: heard(page)["notification"] == made, deadline=20)
    assert len({look(page)["leader"] for page in others}) == 1
    assert look(others[0])["leader"] in [look(page)["id"] for page in others]
    wait_until(lambda: heard(frozen)["notification"] == made, deadline=20)
    wait_until(lambda: agreed(pages), deadline=20)
    gateway.wait_for_clients(websockets=1, event_streams=1)
    made.append(gateway.post_notification("afterwards"))
    for page in pages:
        wait_until(lambda page=page: heard(page)["notification"] == made)


def test_what_any_tab_sends_is_applied_once_while_leaders_come_and_go(
    open_tab: Callable[[], Page], gateway: Gateway
) -> None:
    pages = [open_tab() for _ in range(4)]
    sent: dict[Page, list[str]] = {page: [] for page in pages}
    for turn in range(3):
        wait_until(lambda: agreed(pages), deadline=20)
        leader = leader_of(pages)
        for number in range(20):
            for page in pages:
                title = f"turn {turn}, number {number} of {pages.index(page)}"
                page.evaluate("title => window.post(title)", title)
                sent[page].append(title)
            if number == 10 and turn < 2:
                pages.remove(leader)
                crash(leader)
    for page in pages:
        wait_until(lambda page=page: page.evaluate("window.waiting()") == 0, deadline=20)
    log = [payload["title"] for _, payload in log_of(gateway.data_dir, "notification")]
    assert len(log) == len(set(log))
    for page in pages:
        assert [title for title in log if title in set(sent[page])] == sent[page]


def test_hostile_messages_change_nothing(open_tab: Callable[[], Page], gateway: Gateway) -> None:
    pages = [open_tab() for _ in range(3)]
    wait_until(lambda: agreed(pages))
    before = [look(page) for page in pages]
    pages[0].evaluate(HOSTILE)
    made = gateway.post_notification("after all that")
    for page in pages:
        wait_until(lambda page=page: heard(page)["notification"] == [made])
        wait_until(lambda page=page: len(heard(page)["error"]) >= 15)
    assert [look(page) for page in pages] == before
    gateway.wait_for_clients(websockets=1, event_streams=1)


def test_tabs_that_come_and_go_are_known_at_once(
    open_tab: Callable[[], Page], gateway: Gateway
) -> None:
    pages = [open_tab()]
    for _ in range(3):
        pages.append(open_tab())
        wait_until(lambda: agreed(pages))
        pages.append(open_tab())
        wait_until(lambda: agreed(pages))
        crash(pages.pop(0))
        wait_until(lambda: agreed(pages), deadline=3)
        pages.pop(-1).close()
        wait_until(lambda: agreed(pages), deadline=3)
    gateway.wait_for_clients(websockets=1, event_streams=1)
