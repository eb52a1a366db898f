"""Whether anybody looks at the page, or at a part of it."""

from collections.abc import Callable

from js import IntersectionObserver, Object
from pyodide.ffi import JsProxy, create_proxy, to_js

from services.platform import Cancel

NEARBY = "200px"
"""How near a part may be to what is in sight, to count as seen."""


class Onlooker:
    """Watches the page for one thing: whether anybody sees it."""

    def __init__(self, visible: Callable[[], None], hidden: Callable[[], None]) -> None:
        self.visible = visible
        self.hidden = hidden

    def online(self) -> None:
        """Do nothing: the clients themselves hear of the network."""

    offline = returned = online

    def left(self, kept: bool) -> None:
        """Do nothing: a page that is left was hidden before."""


def when_seen(node: JsProxy, seen: Callable[[], None]) -> Cancel:
    """Call a function when a node is in sight, or nearly so, and each time it is again."""

    def look(entries: JsProxy, _observer: JsProxy) -> None:
        if any(entry.isIntersecting for entry in entries):
            seen()

    proxy = create_proxy(look)
    options = to_js({"rootMargin": NEARBY}, dict_converter=Object.fromEntries)
    observer = IntersectionObserver.new(proxy, options)
    observer.observe(node)

    def cancel() -> None:
        observer.disconnect()
        proxy.destroy()

    return cancel
