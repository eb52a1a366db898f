"""A worker's file whose operations do what none should."""

import asyncio
import contextlib
import ctypes
import itertools
import sys
import time

import js
import pyodide_js

from services.operation import Job, operation

# The first that posts is the worker's own port: that it is ready.
js.eval("""
    const post = MessagePort.prototype.postMessage;
    MessagePort.prototype.postMessage = function (...values) {
        self.port ??= this;
        const { answer } = self;
        if (!answer || !values[0][0].includes('"returned"')) return post.apply(this, values);
        self.answer = undefined;
        return post.call(this, answer(values[0][0]));
    };
""")


class UnspeakableError(Exception):
    """Can neither be shown nor copied."""

    def __init__(self, function):
        super().__init__(function)

    def __str__(self):
        raise RuntimeError("no text")

    __repr__ = __str__


class EndlessError(Exception):
    """Can be shown, but not in a lifetime."""

    def __str__(self):
        while True:
            pass


@operation
def loop(*, job: Job):
    """Never end."""
    job.progress(0, 1, "begun")
    for _ in itertools.count():
        pass


@operation
def spin(*, seconds: float):
    """Be busy for a while, and come to an end."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass
    return "whole"


@operation
def stubborn(*, job: Job):
    """Never end, and take no hint."""
    job.progress(0, 1, "begun")
    while True:
        try:
            while True:
                pass
        except KeyboardInterrupt:
            pass


@operation
def sleep(*, job: Job, seconds: float = 1000):
    """Sleep in C."""
    job.progress(0, 1, "begun")
    time.sleep(seconds)


@operation
def doze(*, times: int, seconds: float, tell: bool, job: Job):
    """Sleep in C again and again."""
    for n in range(times):
        time.sleep(seconds)
        if tell:
            job.progress(n)
    return "awake"


@operation
def script(*, job: Job):
    """Never come back from JavaScript."""
    job.progress(0, 1, "begun")
    js.eval("for(;;);")


@operation
async def wait(*, job: Job, seconds: float = 1000):
    """Wait."""
    job.progress(0, 1, "begun")
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        js.globalThis.cancelled = True
        raise


@operation
async def wait_stubbornly(*, job: Job):
    """Wait, whoever cancels."""
    job.progress(0, 1, "begun")
    while True:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(1000)


@operation
def was_cancelled() -> bool:
    """Tell whether `wait` was."""
    return bool(getattr(js.globalThis, "cancelled", False))


@operation
def echo(value):
    """Return it."""
    return value


@operation
def close():
    """End the worker from within, without a word."""
    js.self.close()


@operation
def close_and_loop():
    """End it, and go on as long as it goes on."""
    js.self.close()
    while True:
        pass


@operation
async def uncaught():
    """Throw where nobody catches."""
    js.eval("setTimeout(() => { throw new Error('nobody catches this'); })")
    await asyncio.sleep(1000)


@operation
def rejected():
    """Reject a promise that nobody awaits."""
    js.eval("Promise.reject(new Error('nobody awaits this')); 0")


@operation
def abort():
    """Abort the interpreter."""
    pyodide_js._module._abort()


@operation
def segfault():
    """Jump to nowhere."""
    ctypes.CFUNCTYPE(None)(123456)()


@operation
def read_nowhere():
    """Read what is outside of all memory."""
    return ctypes.string_at(0xFFFFFFF0, 4)


@operation
def overflow():
    """Nest until the stack of C is at its end."""
    nested = []
    for _ in range(1_000_000):
        nested = [nested]
    return repr(nested)


@operation
def recurse():
    """Call until Python objects."""

    def deeper(n):
        return deeper(n + 1)

    return deeper(0)


@operation
def hoard():
    """Want more memory than there is."""
    return len([None] * 2**29)


@operation
def exit_with(*, code: int = 3):
    """Leave."""
    sys.exit(code)


@operation
async def exit_later():
    """Leave after a while."""
    await asyncio.sleep(0)
    sys.exit(4)


@operation
def interrupt_itself():
    """Raise what a stop sign raises."""
    raise KeyboardInterrupt


@operation
async def cancel_itself():
    """Raise what a stop raises."""
    raise asyncio.CancelledError


@operation
def raise_endless(*, job: Job):
    """Raise what takes for ever to show."""
    job.progress(0, 1, "begun")
    raise EndlessError


@operation
def raise_unspeakable():
    """Raise it."""
    raise UnspeakableError(lambda: None)


@operation
def raise_group():
    """Raise several."""
    raise ExceptionGroup("both", [ValueError("one"), TypeError("two")])


@operation
def raise_long():
    """Raise a long story, with half a character in it."""
    raise ValueError("\ud83e" + "x" * 1_000_000)


@operation
def post(*, script: str):
    """Post on the port whatever a script returns."""
    js.port.postMessage(js.eval(script))


@operation
def answer(*, script: str):
    """Answer with what a function makes of the header of a proper answer."""
    js.globalThis.answer = js.eval(script)


@operation
def another_port():
    """Offer the page another port, and post on it what is no message."""
    js.eval(
        "const { port1, port2 } = new MessageChannel(); port1.postMessage('garbage');"
        " self.postMessage({ realtimePort: port2 }, [port2]);"
    )
