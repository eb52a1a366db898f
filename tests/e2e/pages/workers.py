"""Stands in for main.py: runs what a test writes, and ends the workers that it has made.

`window.run` takes the body of an async function, and returns `{"value"}` or `{"error"}` as JSON.
"""

import asyncio
import json
import textwrap
import traceback

import js
from js import window

from services import errors
from services.browser import BrowserPlatform
from services.worker_manager import WorkerManager


class Platform(BrowserPlatform):
    """A machine with processors enough for several workers, whatever it is."""

    processors = 4


platform = Platform()
managers = []


def manager(file="hostile.py", **options):
    """Return a manager that goes with the test."""
    made = WorkerManager(f"./workers/{file}", platform=platform, **options)
    managers.append(made)
    return made


async def caught(awaitable):
    """Return what an awaitable raises: type, message and traceback; the result if nothing."""
    try:
        return await awaitable
    except errors.WorkerError as error:
        return [type(error).__name__, str(error), error.traceback]
    except (Exception, asyncio.CancelledError) as error:
        return [type(error).__name__, str(error), ""]


async def until(condition, seconds=20):
    """Wait until a condition holds."""
    end = platform.now() + seconds
    while not condition():
        assert platform.now() < end, "waited in vain"
        await asyncio.sleep(0.01)


async def run(source, values):
    """Run a test."""
    names = {
        **{name: error for name, error in vars(errors).items() if isinstance(error, type)},
        **{each.__name__: each for each in (asyncio, json, js, manager, caught, until)},
        "platform": platform,
        **json.loads(values),
    }
    try:
        body = textwrap.indent(textwrap.dedent(source), "    ")
        exec(f"async def test():\n{body}", names)
        answer = {"value": await asyncio.wait_for(names["test"](), 60)}
        # What could not be loaded is released, which is a call too.
        await until(lambda: not any(made.pending for made in managers))
        return json.dumps(answer)
    except BaseException:
        return json.dumps({"error": traceback.format_exc()})
    finally:
        while managers:
            managers.pop().terminate()


window.run = run
window.ready = True
