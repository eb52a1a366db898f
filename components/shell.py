"""The part of the page that tells how starting went (see runtime/boot.js)."""

from collections.abc import Iterator
from contextlib import contextmanager

from js import document, performance


@contextmanager
def starting() -> Iterator[None]:
    """Say when the elements are live, on the page and as a performance mark, or why they are not.

    An exception goes on into the console, where its traceback belongs.
    """
    try:
        yield
    except Exception as error:
        _say("failed", f"The page could not start. {error}")
        raise
    performance.mark("app-interactive")
    _say("ready", "Running")


def _say(state: str, text: str) -> None:
    status = document.getElementById("boot")
    if status:
        status.className = f"boot {state}"
        status.textContent = text
