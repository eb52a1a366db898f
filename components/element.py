"""The base class of the custom elements.

    class HelloWorld(Element):
        tag = "hello-world"
        observed = ("name",)
        greetings = reactive(0)

        def render(self):
            return t'<button @click={self.greet}>Hello {self.attribute("name")} {self.greetings}</button>'

        def greet(self, event):
            self.greetings += 1

    define(HelloWorld)

An element has a Python half (an instance of its class) and a JavaScript half (see
runtime/elements.js). The Python half is made when the element first enters a page
and keeps its state until the element is garbage-collected; it holds the JavaScript
half only while that is in a page, so that no cycle through both languages keeps
either alive.
"""

import asyncio
import inspect
import sys
import traceback
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from pathlib import Path
from string.templatelib import Template
from typing import Any, ClassVar

from pyodide.ffi import JsProxy, create_proxy
from pyscript.js_modules import elements as bridge

from components.encoding import Encoder, Memory

#: The style sheet all elements share with the page.
THEME = Path(__file__).with_name("theme.css").read_text()


class reactive[Value]:  # noqa: N801 - reads as a keyword in a class body
    """An attribute of an element; assigning another value renders the element anew.

    Replace a list rather than changing it: a change inside it goes unnoticed.
    """

    def __init__(self, default: Value) -> None:
        self._default = default

    def __set_name__(self, owner: type[Element], name: str) -> None:
        self._name = name

    def __get__(self, element: Element | None, owner: type[Element]) -> Value:
        if element is None:
            return self  # type: ignore[return-value]
        return element.__dict__.get(self._name, self._default)

    def __set__(self, element: Element, value: Value) -> None:
        changed = value != self.__get__(element, type(element))
        element.__dict__[self._name] = value
        if changed:
            element.request_update()


class Element:
    """A custom element: a tag, attributes, what happens as it comes and goes, and a `render`."""

    tag: ClassVar[str]
    observed: ClassVar[tuple[str, ...]] = ()
    styles: ClassVar[str] = ""

    #: Undone when the element leaves the page: `self.lifetime.callback(unsubscribe)`.
    lifetime: ExitStack

    _host: JsProxy | None = None
    _number = 0
    _failure: str | None = None
    _memory = Memory()

    def connected(self) -> None:
        """Say what to do when the element has entered a page."""

    def disconnected(self) -> None:
        """Say what to do when it has left; what `lifetime` holds is undone after this."""

    def attribute_changed(self, name: str, old: str | None, new: str | None) -> None:
        """Say what to do when an observed attribute changes while in a page: render, unless overridden."""
        self.request_update()

    def render(self) -> Template:
        """Return what the element shows."""
        raise NotImplementedError

    @property
    def is_connected(self) -> bool:
        """Whether the element is in a page."""
        return self._host is not None

    @property
    def root(self) -> JsProxy | None:
        """The shadow root, while the element is in a page."""
        return None if self._host is None else self._host.shadowRoot

    def attribute(self, name: str, default: str = "") -> str:
        """Return an attribute's value, or `default` where it is absent or the element in no page."""
        if self._host is None or not self._host.hasAttribute(name):
            return default
        return self._host.getAttribute(name)

    def request_update(self) -> None:
        """Render in the next animation frame, once for however many requests before it."""
        if self._host is not None:
            _stage.request(self)

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a coroutine for as long as the element is in the page.

        It runs at once up to its first `await`, so that an event's listener can
        still prevent the default. An exception in it is shown like one in `render`.
        """
        loop = asyncio.get_running_loop()
        task = asyncio.Task(self._guarded(work), loop=loop, eager_start=True)
        if not task.done():
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return task

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception as error:
            self._fail(error)

    def _enter(self, number: int, host: JsProxy) -> None:
        self._number = number
        self._host = host
        self._tasks: set[asyncio.Task[None]] = set()
        self.lifetime = ExitStack()
        self.lifetime.callback(self._cancel_tasks)
        self.request_update()
        self._attempt(self.connected)

    def _leave(self) -> None:
        self._attempt(self.disconnected)
        self._host = None
        self._attempt(self.lifetime.close)

    def _cancel_tasks(self) -> None:
        for task in tuple(self._tasks):
            task.cancel()

    def _hear(self, listener: int, event: JsProxy) -> None:
        # A node on its way out may still have a listener that a newer rendering has replaced.
        function = self._memory.listeners.get(listener)
        if self._host is not None and function is not None:
            result = self._attempt(function, event)
            if inspect.iscoroutine(result):
                self.start(result)

    def _draw(self) -> None:
        if self._host is None:
            return
        try:
            content = self.render()
            self._put(t"{self._failure_notice()}{content}")
        except Exception as error:
            self._record(error)
            self._put(t"{self._failure_notice()}{None}")

    def _put(self, template: Template) -> None:
        json, memory = _stage.encoder.encode(template, self._memory)
        bridge.render(self._number, self._host.shadowRoot, json)
        self._memory = memory

    def _failure_notice(self) -> Template | None:
        if self._failure is None:
            return None
        return t"""<div class="failure" role="alert">
            <p>This part of the page has failed: {self._failure}</p>
            <button type="button" @click={self._recover}>Try again</button>
        </div>"""

    def _recover(self, event: JsProxy) -> None:
        self._failure = None
        self.request_update()

    def _attempt(self, function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return function(*arguments)
        except Exception as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        self._record(error)
        self.request_update()

    def _record(self, error: Exception) -> None:
        print(f"<{self.tag}> failed", file=sys.stderr)
        traceback.print_exception(error)
        self._failure = f"{type(error).__name__}: {error}"[:300]


class Unmade(Element):
    """Stands in for an element whose class could not make it, and says so."""

    def render(self) -> Template:
        """Show nothing but the notice."""
        return t""


class _Stage:
    """All elements of the page, and the next animation frame's work."""

    def __init__(self) -> None:
        self.encoder = Encoder()
        self.makers: dict[str, Callable[[], Element]] = {}
        self._elements: dict[int, Element] = {}
        self._due: dict[Element, None] = {}
        self._drawn = asyncio.Event()
        # One proxy for the page, as long as the page lives.
        bridge.listen(create_proxy(self.hear))

    def request(self, element: Element) -> None:
        if not self._due:
            self._drawn.clear()
            bridge.requestFrame()
        self._due[element] = None

    async def drawn(self) -> None:
        if self._due:
            await self._drawn.wait()

    def hear(self, number: int, event: str, *details: Any) -> None:
        """Take what runtime/elements.js tells."""
        if event == "frame":
            self._frame()
        elif event == "connected":
            (host,) = details
            if number not in self._elements:
                self._elements[number] = self._make(host.localName)
            self._elements[number]._enter(number, host)
        elif event == "collected":
            self._elements.pop(number, None)
        elif element := self._elements.get(number):
            if event == "disconnected":
                element._leave()
            elif event == "attribute":
                name, old, new = (value if isinstance(value, str) else None for value in details)
                element._attempt(element.attribute_changed, name, old, new)
            elif event == "event":
                element._hear(*details)

    def _make(self, tag: str) -> Element:
        try:
            return self.makers[tag]()
        except Exception as error:
            element = Unmade()
            element.tag = tag
            element._record(error)
            return element

    def _frame(self) -> None:
        due, self._due = self._due, {}
        self._drawn.set()
        for element in due:
            try:
                element._draw()
            except Exception as error:
                # Not even the notice could be drawn; the other elements live on.
                traceback.print_exception(error)


_stage = _Stage()


def define(element: type[Element], **services: Any) -> None:
    """Register an element's tag; its instances are made with the given services.

    Raises:
        ValueError: the tag is taken.
        JsException: the tag is taken by JavaScript, or no valid name (it needs a dash).
    """
    if element.tag in _stage.makers:
        raise ValueError(f"<{element.tag}>: expected a tag that is not defined yet")
    _stage.makers[element.tag] = lambda: element(**services)
    try:
        bridge.define(element.tag, element.observed, THEME, element.styles)
    except Exception:
        del _stage.makers[element.tag]
        raise


async def drawn() -> None:
    """Wait until every element that asked to be rendered has been."""
    await _stage.drawn()
