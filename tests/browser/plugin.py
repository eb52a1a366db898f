"""The page's own conftest: async tests, a stage for elements, and a count of live proxies."""

import asyncio
import inspect
from types import SimpleNamespace

import pyodide_js
import pytest
from js import Promise, document, gc, window
from pyodide.ffi import run_sync


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """Run coroutine functions on the page's own event loop."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    arguments = {name: pyfuncitem.funcargs[name] for name in names}
    run_sync(asyncio.wait_for(pyfuncitem.obj(**arguments), 20))
    return True


@pytest.fixture
def stage():
    """A place in the page; empty before and after each test."""
    place = document.getElementById("stage")
    yield place
    place.replaceChildren()


@pytest.fixture
def until():
    """Wait for a condition, a look per animation frame."""

    async def wait(condition, what="a condition", seconds=5.0):
        deadline = window.performance.now() + seconds * 1000
        while not condition():
            assert window.performance.now() < deadline, f"waited in vain for {what}"
            await next_frame()

    return wait


@pytest.fixture
def proxies(until):
    """Count the proxies made in a test that are still alive; `settled` waits for them to go."""
    module = pyodide_js._module
    module.enable_pyproxy_allocation_tracing()
    counts = SimpleNamespace(alive=lambda: module.pyproxy_alloc_map.size)

    async def settled(limit=3):
        def few():
            gc()
            return counts.alive() <= limit

        # The wait itself has some: a resolver, a timer.
        await until(few, f"proxies to go, {counts.alive()} left")

    counts.settled = settled
    yield counts
    module.disable_pyproxy_allocation_tracing()


async def next_frame():
    """Wait until the browser has begun another frame, and its callbacks have run."""
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    await Promise.new(lambda resolve, _: window.requestAnimationFrame(resolve))
    loop.call_soon(future.set_result, None)
    await future
