"""<tab-list> with tabs that a test makes up."""

from dataclasses import replace

import pytest
from js import document

from components.element import define, drawn
from components.tab_list import TabList
from services.browser import BrowserPlatform
from services.emitter import Emitter
from services.errors import NotCloneable
from services.tab_sync import Tab

SELF = Tab("tab-1", "Mine", 1.0, visible=True, leader=True, is_self=True)
OTHER = Tab("tab-2", "<b>Other</b>", 2.0, visible=False, leader=False, is_self=False)


class FakeTabs:
    """Stands in for TabSync."""

    def __init__(self):
        self.tabs = [SELF]
        self.can_share = True
        self.sent = []
        self.failure = None
        self.emitter = Emitter(lambda error: None)

    def on(self, event, handler):
        return self.emitter.on(event, handler)

    def broadcast(self, type, payload):
        if self.failure:
            raise self.failure
        self.sent.append((type, payload))

    async def become(self, *tabs):
        self.tabs = list(tabs)
        self.emitter.emit("tabs-changed", {}, SELF.id)
        await drawn()

    async def tell(self, payload, tab_id="tab-2"):
        self.emitter.emit("note", payload, tab_id)
        await drawn()


class Switch:
    """The services that the element of a test gets."""


switch = Switch()


class SwitchedTabList(TabList):
    """The element, with the tabs of the test under way."""

    tag = "switched-tab-list"

    def __init__(self):
        super().__init__(switch.tabs, BrowserPlatform())


define(SwitchedTabList)


@pytest.fixture
def tabs():
    switch.tabs = FakeTabs()
    return switch.tabs


async def put(stage):
    element = document.createElement("switched-tab-list")
    stage.append(element)
    await drawn()
    return element.shadowRoot


def texts(root, selector):
    return [node.textContent.strip() for node in root.querySelectorAll(selector)]


async def note(root, text):
    root.querySelector("input").value = text
    root.querySelector("form .send").click()
    await drawn()
    return root.querySelector(".outcome").textContent


async def test_it_shows_the_tabs_this_one_and_the_leader(stage, tabs):
    root = await put(stage)
    assert [node.className for node in root.querySelectorAll(".tab")] == ["tab self leader"]
    await tabs.become(SELF, OTHER)
    assert texts(root, ".title") == ["Mine", "<b>Other</b>"]
    assert [node.className for node in root.querySelectorAll(".tab")] == ["tab self leader", "tab"]
    assert [node.dataset.id for node in root.querySelectorAll(".tab")] == ["tab-1", "tab-2"]
    assert "in the background" in root.querySelectorAll(".tab")[1].textContent
    await tabs.become(replace(SELF, leader=False), replace(OTHER, leader=True))
    assert [node.className for node in root.querySelectorAll(".tab")] == ["tab self", "tab leader"]
    assert texts(root, ".count") == ["2 tabs"]


async def test_a_tab_that_has_not_introduced_itself_is_shown(stage, tabs):
    root = await put(stage)
    await tabs.become(SELF, replace(OTHER, title="", since=None))
    assert texts(root, ".title") == ["Mine", "Untitled"]


async def test_a_note_goes_to_the_others(stage, tabs):
    root = await put(stage)
    await tabs.become(SELF, OTHER)
    assert await note(root, "  hello ") == "Sent to 1 other tab"
    assert tabs.sent == [("note", {"text": "hello"})]
    assert root.querySelector("input").value == ""


async def test_it_says_why_a_note_is_not_sent(stage, tabs):
    root = await put(stage)
    assert await note(root, "hello") == "There is no other tab. Open one to try it."
    assert await note(root, " ") == "Write a note first."
    await tabs.become(SELF, OTHER)
    tabs.failure = NotCloneable("too large")
    assert await note(root, "hello") == "Not sent: too large"
    assert tabs.sent == []


async def test_notes_are_text_and_rubbish_is_none(stage, tabs):
    root = await put(stage)
    await tabs.become(SELF, OTHER)
    for payload in (None, 7, [], {}, {"text": 7}, {"text": "  "}):
        await tabs.tell(payload)
    assert texts(root, ".note .text") == []
    await tabs.tell({"text": "<img src=x>"})
    await tabs.tell({"text": "y" * 1000}, "tab-9")
    assert texts(root, ".note .text") == ["y" * 499 + "…", "<img src=x>"]
    assert "a tab that is gone" in texts(root, ".note .about")[0]
    for n in range(30):
        await tabs.tell({"text": str(n)})
    assert len(texts(root, ".note")) == 20
    root.querySelector(".clear").click()
    await drawn()
    assert texts(root, ".note") == []


async def test_it_says_where_tabs_cannot_find_one_another(stage, tabs):
    tabs.can_share = False
    root = await put(stage)
    assert texts(root, ".alone") == ["This browser does not let tabs find one another here."]


async def test_nothing_is_left_when_it_leaves(stage, tabs, proxies):
    root = await put(stage)
    await tabs.become(SELF, OTHER)
    stage.replaceChildren()
    assert not tabs.emitter.has("tabs-changed")
    assert not tabs.emitter.has("note")
    del root
    await proxies.settled()
