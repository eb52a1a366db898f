"""Whether anybody looks at the page."""

from collections.abc import Callable


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
