"""components/element.py and runtime/elements.js in a real DOM."""

import asyncio
import itertools
import weakref
from functools import partial

import pytest
from js import document, gc

from components.element import Element, define, drawn, reactive
from components.template import repeat

numbers = itertools.count(1)


def make(**members):
    """Define an element class under a tag of its own; return the class."""
    tag = f"test-{next(numbers)}"
    element = type("Tested", (Element,), {"tag": tag, **members})
    define(element)
    return element


async def put(stage, element, **attributes):
    """Put a new element into the page and wait until it is drawn; return its host."""
    host = document.createElement(element.tag)
    for name, value in attributes.items():
        host.setAttribute(name.replace("_", "-"), value)
    stage.append(host)
    await drawn()
    return host


async def shown(stage, view):
    """Return the shadow root of an element that renders `view()`."""
    return (await put(stage, make(render=lambda self: view()))).shadowRoot


async def test_renders_a_template_with_values(stage):
    root = await shown(stage, lambda: t"<p class={'a'}>{'b'} {1} {1.5}</p>")
    assert root.querySelector("p.a").textContent == "b 1 1.5"


async def test_renders_nested_templates_and_lists(stage):
    items = [t"<li>{n}</li>" for n in range(3)]
    root = await shown(stage, lambda: t"<ol>{items}</ol>{t'<b>{t"<i>deep</i>"}</b>'}")
    assert root.querySelector("ol").textContent == "012"
    assert root.querySelector("b i").textContent == "deep"


@pytest.mark.parametrize("value", [None, True, False, []])
async def test_shows_nothing_for(stage, value):
    root = await shown(stage, lambda: t"<p>{value}</p>")
    assert root.querySelector("p").textContent == ""


async def test_markup_in_values_stays_text(stage):
    hostile = '<img src=x onerror="document.title=1"> & "quotes" 🦊 مرحبا \ud800'
    root = await shown(stage, lambda: t"<p title={hostile}>{hostile}</p>")
    assert not root.querySelector("img")
    assert root.querySelector("p").textContent.startswith("<img src=x")
    assert root.querySelector("p").getAttribute("title").startswith("<img src=x")


async def test_attributes_booleans_and_properties(stage):
    root = await shown(
        stage,
        lambda: (
            t"""<input title={None} lang="a {"b"} c" aria-busy={True} aria-live={False}
            ?disabled={True} ?required={0} .value={"text"} .tabIndex={3} />"""
        ),
    )
    field = root.querySelector("input")
    assert not field.hasAttribute("title")
    assert field.getAttribute("lang") == "a b c"
    assert field.getAttribute("aria-busy") == "true"
    assert field.getAttribute("aria-live") == "false"
    assert field.disabled
    assert not field.required
    assert (field.value, field.tabIndex) == ("text", 3)


async def test_conversions_and_formats(stage):
    root = await shown(stage, lambda: t"<p>{3.14159:.2f} {'a'!r}</p>")
    assert root.querySelector("p").textContent == "3.14 'a'"


async def test_listeners_are_called_with_the_event(stage):
    seen = []

    def view():
        def clicked(event, which):
            seen.append((which, event.type))

        return t"""<button @click={partial(clicked, which="one")}>1</button>
            <button @click={(lambda event: seen.append(event.type))}>2</button>
            <button @click={None}>3</button>"""

    root = await shown(stage, view)
    for button in root.querySelectorAll("button"):
        button.click()
    assert seen == [("one", "click"), "click"]


async def test_an_async_listener_can_prevent_the_default(stage):
    async def check(event):
        event.preventDefault()

    root = await shown(stage, lambda: t"<input type=checkbox @click={check} />")
    root.querySelector("input").click()
    assert not root.querySelector("input").checked


def item_of(text):
    return t"<li>{text}</li>"


async def test_keyed_items_keep_their_nodes(stage):
    class Listing(Element):
        tag = f"test-{next(numbers)}"
        items = reactive(("a", "b", "c"))
        latest = None

        def connected(self):
            Listing.latest = self

        def render(self):
            return t"<ul>{repeat(self.items, str, item_of)}</ul>"

    define(Listing)
    host = await put(stage, Listing)
    last = host.shadowRoot.querySelector("li:last-child")
    Listing.latest.items = ("c", "new", "a")
    await drawn()
    assert host.shadowRoot.querySelector("ul").textContent == "cnewa"
    assert host.shadowRoot.querySelector("li").isSameNode(last)


async def test_an_item_is_rendered_again_only_when_it_must_be(stage):
    rendered, clicked = [], []

    class Listing(Element):
        tag = f"test-{next(numbers)}"
        items = reactive(("a1", "b1"))
        shown = reactive(True)
        latest = None

        def connected(self):
            Listing.latest = self

        def item(self, text):
            rendered.append(text)
            return t"<li @click={(lambda event: clicked.append(text))}>{text}</li>"

        def render(self):
            items = repeat(self.items, lambda text: text[0], self.item, depends=lambda text: text)
            return t"<ul>{self.shown and items}</ul>"

    define(Listing)
    host = await put(stage, Listing)
    listing = Listing.latest

    async def change(**values):
        rendered.clear()
        for name, value in values.items():
            setattr(listing, name, value)
        await drawn()
        return host.shadowRoot.querySelector("ul").textContent

    assert rendered == ["a1", "b1"]
    assert await change(items=("c1", "b1", "a1")) == "c1b1a1"
    assert rendered == ["c1"]
    assert await change(items=("a2", "b1")) == "a2b1"
    assert rendered == ["a2"]
    for item in host.shadowRoot.querySelectorAll("li"):
        item.click()
    assert clicked == ["a2", "b1"]
    assert await change(items=("b1", "c1")) == "b1c1"
    assert rendered == ["c1"]
    assert await change(shown=False) == ""
    assert await change(shown=True) == "b1c1"
    assert rendered == ["b1", "c1"]
    host.remove()
    stage.append(host)
    assert await change(items=("c1", "d1")) == "c1d1"
    assert rendered == ["d1"]
    host.shadowRoot.querySelector("li").click()
    assert clicked == ["a2", "b1", "c1"]


async def test_a_failed_rendering_leaves_nothing_half_remembered(stage, capsys):
    class Failing(Element):
        tag = f"test-{next(numbers)}"
        bad = reactive(None)
        latest = None

        def connected(self):
            Failing.latest = self

        def render(self):
            items = repeat("ab", str, lambda item: t"<li>{item}</li>", depends=str)
            return t"<ul>{items}</ul><p>{self.bad}</p>"

    define(Failing)
    host = await put(stage, Failing)
    Failing.latest.bad = print
    await drawn()
    assert host.shadowRoot.querySelector("[role=alert]")
    Failing.latest.bad = "good again"
    host.shadowRoot.querySelector("[role=alert] button").click()
    await drawn()
    assert host.shadowRoot.textContent == "abgood again"
    assert capsys.readouterr().err.count("Traceback") == 1


def test_a_key_that_is_no_text_is_an_error():
    with pytest.raises(TypeError, match="expected text for every key"):
        repeat([1, 2], int, lambda item: t"{item}")


def test_repeated_keys_are_an_error():
    with pytest.raises(ValueError, match="key of its own"):
        repeat(["a", "a"], str, lambda item: t"{item}")


async def test_many_changes_make_one_rendering(stage):
    drawings = []

    class Counter(Element):
        tag = f"test-{next(numbers)}"
        count = reactive(0)

        def connected(self):
            for _ in range(100):
                self.count += 1

        def render(self):
            drawings.append(self.count)
            return t"{self.count}"

    define(Counter)
    await put(stage, Counter)
    assert drawings == [100]


async def test_attributes_are_read_and_heard(stage):
    changes = []
    element = make(
        observed=("name",),
        render=lambda self: t"<p>{self.attribute('name', 'nobody')}</p>",
        attribute_changed=lambda self, *change: (changes.append(change), self.request_update()),
    )
    host = await put(stage, element, name="Ada")
    assert changes == []
    assert host.shadowRoot.textContent == "Ada"
    host.setAttribute("name", "Grace")
    host.removeAttribute("name")
    await drawn()
    assert changes == [("name", "Ada", "Grace"), ("name", "Grace", None)]
    assert host.shadowRoot.textContent == "nobody"


async def test_comes_and_goes_with_its_state(stage):
    log = []

    class Coming(Element):
        tag = f"test-{next(numbers)}"
        visits = reactive(0)

        def connected(self):
            self.visits += 1
            self.lifetime.callback(log.append, f"end {self.visits}")

        def disconnected(self):
            log.append("left")

        def render(self):
            return t"{self.visits}"

    define(Coming)
    host = await put(stage, Coming)
    host.remove()
    assert log == ["left", "end 1"]
    stage.append(host)
    await drawn()
    assert host.shadowRoot.textContent == "2"


@pytest.mark.parametrize("where", ["render", "value", "listener", "async listener", "connected"])
async def test_a_failure_shows_and_others_live_on(stage, where, capsys):
    def fail(self, *_):
        raise ZeroDivisionError("on purpose")

    async def fail_later(self, *_):
        fail(self)

    views = {
        "render": {"render": fail},
        "value": {"render": lambda self: t"<p>{print}</p>"},
        "listener": {"fail": fail, "render": lambda self: t"<i @click={self.fail}>x</i>"},
        "async listener": {
            "fail": fail_later,
            "render": lambda self: t"<i @click={self.fail}>x</i>",
        },
        "connected": {"connected": fail, "render": lambda self: t"<p></p>"},
    }
    failing = await put(stage, make(**views[where]))
    well = await put(stage, make(render=lambda self: t"<p>well</p>"))
    if "listener" in where:
        failing.shadowRoot.querySelector("i").click()
        await drawn()
    notice = failing.shadowRoot.querySelector("[role=alert]")
    error = "TypeError" if where == "value" else "ZeroDivisionError"
    assert error in notice.textContent
    assert capsys.readouterr().err.count("Traceback") == 1
    assert well.shadowRoot.textContent == "well"
    if where == "listener":
        notice.querySelector("button").click()
        await drawn()
        assert not failing.shadowRoot.querySelector("[role=alert]")


async def test_an_element_that_cannot_be_made_says_so(stage, capsys):
    element = make(render=lambda self: t"")
    element.__init__ = lambda self: 1 / 0
    host = await put(stage, element)
    assert "ZeroDivisionError" in host.shadowRoot.querySelector("[role=alert]").textContent
    assert "Traceback" in capsys.readouterr().err


async def test_an_element_that_cannot_be_drawn_at_all_stops_no_other(stage, capsys):
    class Spoiled(Element):
        tag = f"test-{next(numbers)}"
        text = reactive("fine")
        latest = None

        def connected(self):
            Spoiled.latest = self

        def render(self):
            return t"<p>{self.text}</p>"

    define(Spoiled)
    host = await put(stage, Spoiled)
    host.shadowRoot.innerHTML = "<i>gone</i>"
    Spoiled.latest.text = "changed"
    well = await put(stage, make(render=lambda self: t"well"))
    assert well.shadowRoot.textContent == "well"
    capsys.readouterr()


async def test_a_tag_can_be_defined_once(stage):
    first = make(render=lambda self: t"first")
    second = type("Second", (Element,), {"tag": first.tag, "render": lambda self: t"second"})
    with pytest.raises(ValueError, match="not defined yet"):
        define(second)
    assert (await put(stage, first)).shadowRoot.textContent == "first"


async def test_tasks_end_when_the_element_leaves(stage):
    ended = []

    class Working(Element):
        tag = f"test-{next(numbers)}"

        def connected(self):
            self.start(self.work())

        async def work(self):
            try:
                await asyncio.Event().wait()
            finally:
                ended.append(True)

        def render(self):
            return t""

    define(Working)
    host = await put(stage, Working)
    host.remove()
    await asyncio.sleep(0)
    assert ended == [True]


async def test_no_proxy_is_left_behind(stage, proxies):
    items = range(20)
    element = make(render=lambda self: t"<ul>{[t'<li @click={str}>{n}</li>' for n in items]}</ul>")
    for _ in range(20):
        host = await put(stage, element)
        host.shadowRoot.querySelector("li").click()
        host.remove()
        del host
    await proxies.settled()


async def test_an_element_nobody_holds_is_forgotten(stage, until):
    element = make(render=lambda self: t"<p></p>")
    made = []
    element.__init__ = lambda self: made.append(weakref.ref(self))
    host = await put(stage, element)
    host.remove()
    del host

    def forgotten():
        gc()
        return made[0]() is None

    await until(forgotten, "the Python half to go")
