"""`<tab-list>`, over tabs that come and go as the test says."""

import itertools
from dataclasses import dataclass, replace

import pytest
from js import Event, document

from components.element import define, drawn
from components.tab_list import TabList
from services.emitter import Emitter
from services.errors import ConfigurationError, ConnectionFailed

numbers = itertools.count(1)

MINUTE = 60_000
START = 1_700_000_000_000


@dataclass(frozen=True, slots=True)
class Tab:
    """One tab, as TabSync tells of it."""

    id: str
    title: str = "Page"
    since: float | None = START
    visible: bool = True
    leader: bool = False
    is_self: bool = False


SELF = Tab("tab-self", "Mine", leader=True, is_self=True)
OTHER = Tab("tab-other", "Other", visible=False)


class FakeTabs:
    """Stands in for TabSync; `become` and `tell` are what other tabs do."""

    def __init__(self, *tabs, can_share=True):
        self.tab_id = SELF.id
        self.tabs = list(tabs or (SELF,))
        self.can_share = can_share
        self.sent = []
        self.failure = None
        self.errors = []
        self.handlers = 0
        self._emitter = Emitter(self.errors.append)

    def on(self, type, handler):
        self.handlers += 1
        unsubscribe = self._emitter.on(type, lambda heard: handler(*heard))

        def once():
            self.handlers -= 1
            unsubscribe()

        return once

    def broadcast(self, type, payload):
        if self.failure is not None:
            raise self.failure
        self.sent.append((type, payload))

    async def become(self, *tabs, event="tabs-changed"):
        self.tabs = list(tabs)
        self._emitter.emit(event, ({}, SELF.id))
        await drawn()

    async def tell(self, payload, tab_id=OTHER.id, type="note"):
        self._emitter.emit(type, (payload, tab_id))
        await drawn()
        assert self.errors == []


class Clock:
    """A platform whose time the test moves."""

    def __init__(self):
        self.time = 0.0
        self.timers = {}
        self._order = itertools.count()

    def time_ms(self):
        return START + int(self.time * 1000)

    def call_later(self, delay, callback):
        key = (self.time + delay, next(self._order))
        self.timers[key] = callback
        return lambda: self.timers.pop(key, None)

    def pass_seconds(self, seconds):
        until = self.time + seconds
        while self.timers and min(self.timers)[0] <= until:
            key = min(self.timers)
            self.time = key[0]
            self.timers.pop(key)()
        self.time = until


def make(tabs, platform):
    """Define a list under a tag of its own; return a host that is in no page yet."""
    tag = f"tested-tabs-{next(numbers)}"
    define(type("Tested", (TabList,), {"tag": tag}), tabs=tabs, platform=platform)
    return document.createElement(tag)


async def put(stage, tabs, platform=None):
    """Put a list into the page; return its shadow root."""
    host = make(tabs, platform or Clock())
    stage.append(host)
    await drawn()
    return host.shadowRoot


def texts(root, selector):
    return [" ".join(node.textContent.split()) for node in root.querySelectorAll(selector)]


def kinds(root):
    return {node.dataset.id: node.className for node in root.querySelectorAll(".tab")}


async def send(root, text):
    """Write a note and press the button; return what the element says of it."""
    root.querySelector("input").value = text
    root.querySelector("button.send").click()
    await drawn()
    return texts(root, ".outcome")[0]


# The tabs


async def test_this_tab_alone(stage):
    root = await put(stage, FakeTabs())
    assert texts(root, "h2") == ["Tabs"]
    assert texts(root, ".count") == ["1 tab"]
    assert kinds(root) == {"tab-self": "tab self leader"}
    assert texts(root, ".badge") == ["This tab", "Leader"]
    assert texts(root, ".alone") == ["This is the only one. Open another to see it here."]
    assert texts(root, ".none") == ["No notes yet"]
    link = root.querySelector(".alone a")
    assert (link.href, link.rel) == (document.baseURI, "noopener")


async def test_tabs_come_and_go(stage):
    tabs = FakeTabs()
    root = await put(stage, tabs)
    mine = root.querySelector(".self")
    await tabs.become(OTHER, SELF, Tab("tab-third"))
    assert list(kinds(root)) == ["tab-other", "tab-self", "tab-third"]
    assert texts(root, ".title") == ["Other", "Mine", "Page"]
    assert texts(root, ".tab .id") == ["tab-other", "tab-self", "tab-third"]
    assert texts(root, ".count") == ["3 tabs"]
    assert texts(root, ".alone") == []
    await tabs.become(SELF)
    assert texts(root, ".count") == ["1 tab"]
    assert root.querySelector(".self").isSameNode(mine)


@pytest.mark.parametrize("event", ["tab-connected", "tab-disconnected", "leader-changed"])
async def test_looks_again_at_each_change(stage, event):
    tabs = FakeTabs(SELF, OTHER)
    root = await put(stage, tabs)
    await tabs.become(replace(SELF, leader=False), Tab("tab-third", leader=True), event=event)
    assert kinds(root) == {"tab-self": "tab self", "tab-third": "tab leader"}


async def test_the_leader_is_marked_in_words(stage):
    tabs = FakeTabs(SELF, OTHER)
    root = await put(stage, tabs)
    await tabs.become(replace(SELF, leader=False), replace(OTHER, leader=True))
    assert texts(root, ".self .badge") == ["This tab"]
    assert texts(root, ".leader .badge") == ["Leader"]
    await tabs.become(replace(SELF, leader=False), OTHER)
    assert kinds(root) == {"tab-self": "tab self", "tab-other": "tab"}


async def test_says_whether_a_tab_is_in_view(stage):
    tabs = FakeTabs(SELF, OTHER)
    root = await put(stage, tabs)
    assert texts(root, ".view") == ["In view", "In the background"]
    await tabs.become(SELF, replace(OTHER, visible=True))
    assert texts(root, ".view") == ["In view", "In view"]


async def test_says_how_long_a_tab_is_open_and_renews_that(stage):
    clock = Clock()
    root = await put(stage, FakeTabs(replace(SELF, since=START - 59 * MINUTE), OTHER), clock)
    assert texts(root, ".since") == ["Opened 59m ago", "Opened just now"]
    clock.pass_seconds(60)
    await drawn()
    assert texts(root, ".since") == ["Opened 1h ago", "Opened 1m ago"]


async def test_a_tab_of_which_little_is_known(stage):
    tabs = FakeTabs(SELF, Tab("tab-new", "", since=None), Tab("tab-blank", "  "))
    root = await put(stage, tabs)
    assert texts(root, ".title") == ["Mine", "Untitled", "Untitled"]
    assert texts(root, ".tab .about")[1] == "In view tab-new"


async def test_titles_are_text_and_not_endless(stage):
    markup = "<i>\"Title\"</i> 'é' 🦊"
    root = await put(stage, FakeTabs(SELF, replace(OTHER, title=markup), Tab("x", "y" * 999)))
    assert texts(root, ".title") == ["Mine", markup, "y" * 199 + "…"]
    assert not root.querySelector(".title i")


async def test_a_browser_that_cannot_share_says_so(stage):
    root = await put(stage, FakeTabs(can_share=False))
    assert texts(root, ".alone") == ["This browser does not let tabs find each other."]
    assert kinds(root) == {"tab-self": "tab self leader"}
    assert not root.querySelector("form, .notes, .clear")


# Notes to the others


@pytest.mark.parametrize(("others", "words"), [(1, "1 other tab"), (2, "2 other tabs")])
async def test_a_note_goes_to_the_others(stage, others, words):
    tabs = FakeTabs(SELF, *(Tab(f"tab-{n}") for n in range(others)))
    root = await put(stage, tabs)
    assert await send(root, "  hello ") == f"Sent to {words}"
    assert tabs.sent == [("note", {"text": "hello"})]
    assert root.querySelector("input").value == ""
    outcome = root.querySelector(".outcome")
    assert outcome.classList.contains("done")
    assert outcome.getAttribute("role") == "status"
    assert texts(root, ".note") == []


async def test_an_empty_note_is_not_sent(stage):
    tabs = FakeTabs(SELF, OTHER)
    root = await put(stage, tabs)
    for nothing in ("", "  "):
        assert await send(root, nothing) == "Write something first"
    assert tabs.sent == []
    assert root.activeElement.isSameNode(root.querySelector("input"))


async def test_a_long_note_is_shortened(stage):
    tabs = FakeTabs(SELF, OTHER)
    root = await put(stage, tabs)
    assert root.querySelector("input").maxLength == 500
    await send(root, "x" * 600)
    assert tabs.sent == [("note", {"text": "x" * 499 + "…"})]


async def test_the_only_tab_does_not_pretend(stage):
    tabs = FakeTabs()
    root = await put(stage, tabs)
    assert await send(root, "hello") == "Not sent: this is the only tab"
    assert root.querySelector("input").value == "hello"
    assert tabs.sent == []


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (ConnectionFailed("no"), "Not sent: the server cannot be reached"),
        (ConfigurationError("type: expected another"), "Not sent: type: expected another"),
        (TypeError("expected JSON"), "Not sent: expected JSON"),
    ],
)
async def test_says_why_a_note_was_not_sent(stage, failure, words):
    tabs = FakeTabs(SELF, OTHER)
    root = await put(stage, tabs)
    tabs.failure = failure
    assert await send(root, "hello") == words
    assert root.querySelector(".outcome").classList.contains("problem")
    assert root.querySelector("input").value == "hello"
    tabs.failure = None
    assert await send(root, "hello") == "Sent to 1 other tab"
    assert root.querySelector(".outcome").classList.contains("done")


async def test_who_writes_on_no_longer_sees_the_last_outcome(stage):
    root = await put(stage, FakeTabs(SELF, OTHER))
    await send(root, "hello")
    root.querySelector("input").dispatchEvent(Event.new("input"))
    await drawn()
    assert texts(root, ".outcome") == [""]


# Notes from the others


async def test_notes_are_shown_newest_first(stage):
    tabs, clock = FakeTabs(SELF, OTHER), Clock()
    root = await put(stage, tabs, clock)
    await tabs.tell({"text": "one"})
    clock.pass_seconds(60)
    await tabs.tell({"text": " two\n2 ", "more": True})
    assert texts(root, ".note .text") == ["two 2", "one"]
    assert texts(root, ".note .when") == ["Just now", "1m ago"]
    assert texts(root, ".note .sender") == ["Other", "Other"]
    ids = [node.dataset.id for node in root.querySelectorAll(".note")]
    assert all(ids)
    assert len(set(ids)) == 2
    log = root.querySelector(".notes")
    assert log.getAttribute("role") == "log"
    assert log.tabIndex == 0
    assert texts(root, ".none") == []


@pytest.mark.parametrize(
    "payload",
    [None, True, 7, "text", [], ["text"], {}, {"text": None}, {"text": 7}, {"text": {"text": "x"}}]
    + [{"text": blank} for blank in ("", "  ", "\n")],
)
async def test_rubbish_is_no_note(stage, payload):
    tabs = FakeTabs(SELF, OTHER)
    root = await put(stage, tabs)
    await tabs.tell(payload)
    assert texts(root, ".note") == texts(root, ".failure") == []


async def test_notes_are_text_and_not_endless(stage):
    tabs = FakeTabs(SELF, OTHER)
    root = await put(stage, tabs)
    await tabs.tell({"text": "<img src=x onerror=alert(1)>"})
    await tabs.tell({"text": "y" * 1000})
    assert texts(root, ".note .text") == ["y" * 499 + "…", "<img src=x onerror=alert(1)>"]
    assert not root.querySelector(".note img")


async def test_half_a_character_harms_nothing(stage):
    tabs = FakeTabs(SELF, OTHER)
    root = await put(stage, tabs)
    await tabs.tell({"text": "half \ud83e"})
    assert texts(root, ".note .sender") == ["Other"]
    assert texts(root, ".failure") == []


async def test_twenty_notes_are_kept(stage):
    tabs = FakeTabs(SELF, OTHER)
    root = await put(stage, tabs)
    for n in range(25):
        await tabs.tell({"text": str(n)})
    assert texts(root, ".note .text") == [str(n) for n in range(24, 4, -1)]


async def test_says_who_wrote_also_when_that_tab_has_gone(stage):
    tabs = FakeTabs(SELF, OTHER, Tab("tab-blank", ""))
    root = await put(stage, tabs)
    await tabs.tell({"text": "from nowhere"}, "tab-unknown")
    await tabs.tell({"text": "without a title"}, "tab-blank")
    await tabs.tell({"text": "with one"})
    assert texts(root, ".sender") == ["Other", "Untitled", "A tab that has gone"]
    await tabs.become(SELF, replace(OTHER, title="Renamed"))
    assert texts(root, ".sender") == ["Renamed", "A tab that has gone", "A tab that has gone"]
    await tabs.become(SELF)
    assert texts(root, ".sender")[0] == "Other, a tab that has gone"


async def test_clear_takes_all_notes_and_keeps_the_focus(stage):
    tabs = FakeTabs(SELF, OTHER)
    root = await put(stage, tabs)
    clear = root.querySelector("button.clear")
    assert clear.getAttribute("aria-disabled") == "true"
    await tabs.tell({"text": "one"})
    assert clear.getAttribute("aria-disabled") == "false"
    clear.focus()
    clear.click()
    await drawn()
    assert texts(root, ".note") == []
    assert texts(root, ".none") == ["No notes yet"]
    assert root.activeElement.isSameNode(clear)
    await tabs.tell({"text": "two"})
    assert texts(root, ".note .text") == ["two"]


# Coming and going


async def test_leaves_nothing_behind(stage, proxies):
    tabs, clock = FakeTabs(SELF, OTHER), Clock()
    host = make(tabs, clock)
    for _ in range(5):
        stage.append(host)
        await drawn()
        await tabs.tell({"text": "hello"})
        await send(host.shadowRoot, "hello")
        clock.pass_seconds(45)
        await drawn()
        host.remove()
        assert tabs.handlers == 0
        assert clock.timers == {}
    await proxies.settled()


async def test_comes_back_to_what_is_there_now(stage):
    tabs = FakeTabs(SELF, OTHER)
    root = await put(stage, tabs)
    await tabs.tell({"text": "kept"})
    host = root.host
    host.remove()
    await tabs.become(SELF)
    await tabs.tell({"text": "missed"})
    stage.append(host)
    await drawn()
    assert texts(root, ".count") == ["1 tab"]
    assert texts(root, ".note .text") == ["kept"]
