"""Python in real workers: what it does, and what happens when it does not."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route

from tests.support.gateway import Gateway, wait_until

PAGES = Path(__file__).parent / "pages"
OVERLAYS = {"main.py": "workers.py", "workers/hostile.py": "hostile_worker.py"}

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with Gateway(tmp_path_factory.mktemp("workers") / "data") as gateway:
        yield gateway


@pytest.fixture(scope="module")
def context(browser: Browser, gateway: Gateway) -> Iterator[BrowserContext]:
    context = browser.new_context()
    overlay(context, gateway)
    yield context
    context.close()


@pytest.fixture(scope="module")
def page(context: BrowserContext, gateway: Gateway) -> Page:
    page = context.new_page()
    page.goto(gateway.url)
    page.wait_for_function("window.ready")
    return page


@pytest.fixture
def run(page: Page) -> Iterator[Run]:
    yield lambda source, **values: run_in(page, source, **values)
    # Playwright hears of an end only while it is asked something.
    wait_until(lambda: page.evaluate("0") or not page.workers)


def overlay(context: BrowserContext, gateway: Gateway) -> None:
    for name, file in OVERLAYS.items():
        serve(context, gateway.url + name, (PAGES / file).read_text())


def serve(context: BrowserContext, pattern: str, *bodies: str, **more: Any) -> None:
    """Answer requests with each of the bodies once, and then with the last."""
    waiting = list(bodies)

    def answer(route: Route) -> None:
        body = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        route.fulfill(body=body, **more)

    context.route(pattern, answer)


def run_in(page: Page, source: str, **values: Any) -> Any:
    """Run the body of an async function in the page, and return what it returns."""
    answer = json.loads(
        page.evaluate(
            "async ([source, values]) => await window.run(source, values)",
            [source, json.dumps(values)],
        )
    )
    assert "error" not in answer, answer["error"]
    return answer["value"]


def test_a_loop_is_stopped_and_its_worker_goes_on(run: Run) -> None:
    lost = run("""
        workers = manager(stop_timeout=20)
        data = await workers.load([{"n": 1}])
        worker = workers._pool.alive
        for operation in ("loop", "loop", "raise_endless"):
            task = workers.submit(operation)
            async for _ in task:
                break
            task.cancel()
            assert (await caught(task))[0] == "CancelledError"
            assert await data.count() == 1
            assert (await caught(workers.process(operation, timeout=0.3)))[0] == "WorkerTimeout"
            assert await data.count() == 1
        assert workers._pool.alive == worker
        # Nor does it reach who comes next.
        return [await workers.echo(n) for n in range(100)] != list(range(100))
    """)
    assert not lost


def test_an_async_operation_is_cancelled_and_its_worker_goes_on(run: Run) -> None:
    run("""
        workers = manager(stop_timeout=20)
        data = await workers.load([{"n": 1}])
        task = workers.submit("wait")
        async for _ in task:
            break
        task.cancel()
        assert (await caught(task))[0] == "CancelledError"
        assert await workers.was_cancelled()
        assert (await caught(workers.process("wait", timeout=0.1)))[0] == "WorkerTimeout"
        assert await data.count() == 1
    """)


@pytest.mark.parametrize("operation", ["stubborn", "sleep", "script", "wait_stubbornly"])
def test_what_does_not_stop_is_replaced(run: Run, operation: str) -> None:
    """The others go on meanwhile."""
    run(
        """
        workers = manager(size=2, stop_timeout=0.5)
        data = await workers.load([{"n": 1}])
        other = workers.submit("wait", options={"seconds": 1000})
        async for _ in other:
            break
        # One worker has the dataset and waits, so this has the other.
        task = workers.submit(operation)
        async for _ in task:
            break
        first = workers._pool.alive
        begun = platform.now()
        task.cancel()
        assert (await caught(task))[0] == "CancelledError"
        assert platform.now() - begun < 0.4, "whoever cancels need not wait"
        await until(lambda: workers._pool.alive != first)
        assert await workers.echo("next") == "next"
        assert (await caught(workers.process(operation, timeout=0.2)))[0] == "WorkerTimeout"
        assert not other.done()
        other.cancel()
        await caught(other)
        assert await data.count() == 1
        """,
        operation=operation,
    )


@pytest.mark.parametrize("operation", ["sleep", "script"])
def test_a_worker_without_a_sign_of_life_is_replaced(run: Run, operation: str) -> None:
    run(
        """
        workers = manager(heartbeat_timeout=1)
        data = await workers.load([{"n": 1}])
        kind, text, _ = await caught(workers.process(operation))
        assert (kind, text) == ("WorkerHung", "the worker gave no sign of life for 1 s")
        assert (await caught(data.count()))[0] == "DatasetLost"
        assert await workers.echo(1) == 1
        """,
        operation=operation,
    )


def test_progress_is_a_sign_of_life(run: Run) -> None:
    """Python looks up at every fiftieth step, which is too seldom where each takes long."""
    run("""
        workers = manager(heartbeat_timeout=2)
        options = {"times": 20, "seconds": 0.2, "tell": True}
        assert await workers.process("doze", None, options) == "awake"
    """)


def test_a_worker_that_has_closed_itself_is_found(run: Run) -> None:
    run("""
        workers = manager(heartbeat_timeout=2)
        await caught(workers.close())
        assert (await caught(workers.echo(1)))[0] == "WorkerHung"
        assert await workers.echo(2) == 2
    """)


def test_a_worker_that_dies_is_replaced(run: Run) -> None:
    run("""
        workers = manager()
        for operation, text in {
            "uncaught": "nobody catches this",
            "segfault": "invalid address",
            "read_nowhere": "out of bounds",
            "overflow": "Maximum call stack",
        }.items():
            data = await workers.load([{"n": 1}])
            waiting = asyncio.ensure_future(caught(workers.process(operation)))
            queued = asyncio.ensure_future(workers.echo("queued"))
            kind, said, _ = await waiting
            assert kind == "WorkerCrashed" and text in said, (kind, said)
            assert await queued == "queued"
            assert (await caught(data.count()))[0] == "DatasetLost"
    """)


def test_what_an_operation_raises_is_told_and_the_worker_goes_on(run: Run) -> None:
    told = run("""
        workers = manager()
        data = await workers.load([{"n": 1}])
        told = {}
        for name in ("recurse", "hoard", "exit_with", "exit_later", "rejected",
                     "raise_unspeakable", "raise_group", "raise_long", "abort",
                     "interrupt_itself", "cancel_itself"):
            told[name] = await caught(workers.process(name, timeout=60))
        assert await data.count() == 1
        assert await workers.echo(1) == 1
        return told
    """)
    assert told.pop("rejected") is None, "a promise is not the call's"
    for name in ("interrupt_itself", "cancel_itself"):
        assert told.pop(name)[:2] == ["WorkerError", "the worker stopped the call"]
    assert {name: text[:42] for name, (_, text, _) in told.items()} == {
        "recurse": "RecursionError: maximum recursion depth ex",
        "hoard": "MemoryError",
        "exit_with": "SystemExit: 3",
        "exit_later": "SystemExit: 4",
        "raise_unspeakable": "UnspeakableError: (its text raised Runtime",
        "raise_group": "ExceptionGroup: both (2 sub-exceptions)",
        "raise_long": "ValueError: \\ud83e" + "x" * 24,
        "abort": "JsException: RuntimeError: unreachable",
    }
    for name, (kind, text, trace) in told.items():
        assert kind == "WorkerError"
        assert len(text) <= 101_000
        assert len(trace) <= 101_000
        if name != "raise_long":  # only its end is left
            assert 'hostile.py", line ' in trace
            assert f"in {name}" in trace
            assert "host.py" not in trace


NO_MESSAGES = {
    "7": "came null",
    "null": "came null",
    "[]": "came null",
    "['garbage', []]": "came 'garbage'",
    "['['.repeat(100_000), []]": "expected an object as JSON",
    """['{"kind": "explode"}', []]""": "came 'explode'",
    """['{"kind": "stopped", "id": 999999}', []]""": "a call's own id, came another",
    """['{"kind": "ready", "operations": []}', []]""": "expected while it starts",
    """['{"kind": "alive", "x": 1}', []]""": "alive: expected",
}


def test_a_worker_that_posts_what_is_no_message_is_replaced(run: Run) -> None:
    told = run(
        """
        workers = manager()
        told = []
        for script in scripts:
            told.append(await caught(workers.post(script=f"({script})")))
            assert await workers.echo(1) == 1
        return told
        """,
        scripts=list(NO_MESSAGES),
    )
    assert {kind for kind, *_ in told} == {"WorkerCrashed"}
    for (_, text, _), wrong in zip(told, NO_MESSAGES.values(), strict=True):
        assert wrong in text


BUFFERS = (
    "7",
    "[]",
    "[7]",
    "[new Uint8Array(0)]",
    "[new Uint8Array([1, 2, 3])]",
    # A list of one in a list of one, a hundred thousand times.
    "[new Uint8Array(500_000).map((_, n) => n % 5 === 0 ? 91 : n % 5 === 1 ? 1 : 0)]",
)


def test_a_damaged_result_is_an_error_of_its_call(run: Run) -> None:
    told = run(
        """
        workers = manager()
        await workers.ready()
        worker = workers._pool.alive
        told = []
        for buffers in all_buffers:
            script = f"(header) => [header, {buffers}]"
            told.append(await caught(workers.answer(script=script)))
        assert await workers.echo(1) == 1
        assert workers._pool.alive == worker
        return told
        """,
        all_buffers=BUFFERS,
    )
    for kind, text, _ in told:
        assert kind == "NotTransferable"
        assert "expected" in text


def test_another_port_of_a_worker_is_not_listened_to(run: Run) -> None:
    run("""
        workers = manager()
        await workers.another_port()
        assert await workers.echo(1) == 1
    """)


@pytest.mark.parametrize(
    ("body", "kind", "text", "line"),
    [
        ("def half(:\n", "SyntaxError", "invalid syntax", "def half(:"),
        ("x = 1\nimport not_there\n", "ModuleNotFoundError", "not_there", "import not_there"),
        ("x = {}\nx['key']\n", "KeyError", "'key'", "x['key']"),
        ("import sys\nsys.exit('no')\n", "SystemExit", "no", "sys.exit('no')"),
        (
            "from services.operation import operation\n@operation\ndef f(*a): pass\n",
            "ConfigurationError",
            "came *a",
            "@operation",
        ),
    ],
)
def test_a_file_that_cannot_be_run_is_told_at_once_and_tried_again(
    run: Run, context: BrowserContext, gateway: Gateway, body: str, kind: str, text: str, line: str
) -> None:
    url = gateway.url + "workers/broken.py"
    mended = "from services.operation import operation\n@operation\ndef f(): return 'mended'\n"
    serve(context, url, body, mended)
    came, said, trace, again = run("""
        workers = manager("broken.py")
        first, second = await asyncio.gather(caught(workers.f()), caught(workers.ready()))
        assert first == second
        return [*first, await workers.f()]
    """)
    context.unroute(url)
    assert came == "WorkerStartFailed"
    assert said.startswith(f"{kind}: ")
    assert text in said
    assert f'File "{url}", line ' in trace
    assert line in trace
    assert again == "mended"


def test_a_file_that_is_not_there(run: Run, context: BrowserContext, gateway: Gateway) -> None:
    url = gateway.url + "workers/broken.py"
    context.route(url, lambda route: route.abort())
    gone, away = run("""
        return [await caught(manager(name).f()) for name in ("nowhere.py", "broken.py")]
    """)
    context.unroute(url)
    assert gone[0] == away[0] == "WorkerStartFailed"
    assert gone[1] == f"OSError: {gateway.url}workers/nowhere.py: HTTP 404"
    assert away[1] == f"OSError: {url}: Failed to fetch"


def test_packages_of_the_site_are_installed_from_it(run: Run, context: BrowserContext) -> None:
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    serve(
        context,
        "**/workers/packed.py",
        "import msgspec\nfrom services.operation import operation\n@operation\n"
        "def pack(value): return msgspec.json.encode(value)\n",
    )
    text = run("""
        workers = manager("packed.py", packages=("msgspec",))
        return (await workers.pack({"a": [1, None, "é"]})).decode()
    """)
    assert text == '{"a":[1,null,"é"]}'
    assert any(url.endswith(".whl") for url in asked)
    assert not [url for url in asked if "/vendor/" not in url and url.endswith(".whl")]
    assert not [url for url in asked if "127.0.0.1" not in url]


def test_a_package_that_cannot_be_had(run: Run, context: BrowserContext, gateway: Gateway) -> None:
    def elsewhere(url: str) -> bool:
        return url.startswith("https:")

    context.route(elsewhere, lambda route: route.abort())
    kind, text, _ = run("""
        return await caught(manager(packages=("no-such-package-xyz",)).echo(1))
    """)
    context.unroute(elsewhere)
    assert kind == "WorkerStartFailed"
    assert text.startswith("PackageError: no-such-package-xyz cannot be had: ")
    assert "\n" not in text


def test_a_host_that_has_a_page_for_everything_has_no_packages(
    run: Run, context: BrowserContext, gateway: Gateway
) -> None:
    wheels, micropip = (
        gateway.url + path for path in ("vendor/wheels/wheels.json", "**/micropip*")
    )
    serve(context, wheels, "<!doctype html>")
    context.route(micropip, lambda route: route.abort())
    kind, text, _ = run("return await caught(manager(packages=('msgspec',)).echo(1))")
    context.unroute(wheels)
    context.unroute(micropip)
    assert kind == "WorkerStartFailed"
    assert text.startswith("PackageError: micropip, which installs packages, cannot be had: ")


@pytest.mark.parametrize("held", ["runtime/worker_port.js", "vendor/wheels/wheels.json"])
def test_terminated_while_it_starts_nobody_waits(
    run: Run, context: BrowserContext, page: Page, gateway: Gateway, held: str
) -> None:
    """With a request that is never answered: for what every worker needs, and for a package."""
    url = gateway.url + held
    context.route(url, lambda route: page.evaluate("window.asked = true"))
    kinds = run("""
        js.window.asked = False
        workers = manager(packages=("msgspec",))
        waiting = asyncio.gather(
            caught(workers.echo(1)), caught(workers.ready()), caught(workers.load([]))
        )
        await until(lambda: js.window.asked)
        workers.terminate()
        return [each[0] for each in await waiting]
    """)
    context.unroute(url)
    assert kinds == ["WorkerTerminated"] * 3


def test_terminated_in_a_call_nobody_waits(run: Run) -> None:
    kinds = run("""
        workers = manager()
        data = await workers.load([{"n": 1}])
        task = workers.submit("stubborn")
        async for _ in task:
            break
        waiting = [asyncio.ensure_future(caught(each)) for each in (
            workers.echo(1), workers.load([]), data.count(), data.append([]), task
        )]
        await asyncio.sleep(0)
        workers.terminate()
        workers.terminate()
        return [each[0] for each in await asyncio.gather(
            *waiting, caught(workers.echo(2)), caught(data.count()), caught(workers.ready()),
            caught(workers.load_url("./rows")),
        )]
    """)
    assert set(kinds) == {"WorkerTerminated"}


def test_a_worker_that_is_never_ready(run: Run, context: BrowserContext, gateway: Gateway) -> None:
    url = gateway.url + "runtime/worker_port.js"
    context.route(url, lambda route: None)
    kind, text, _ = run("return await caught(manager(start_timeout=1.5).echo(1))")
    context.unroute(url)
    assert (kind, text) == ("WorkerStartFailed", "the worker was not ready within 1.5 s")


ROWS = [{"n": n, "text": f"é {n} 🏔"} for n in range(1000)]


def test_rows_are_fetched_in_the_worker(
    run: Run, context: BrowserContext, gateway: Gateway
) -> None:
    made = [gateway.post_activity(target=f"number {n}") for n in range(3)]
    headers: list[dict[str, str]] = []
    bodies = {
        "array": json.dumps(ROWS),
        "lines": "".join(json.dumps(row) + "\r\n" for row in ROWS) + "\n",
        "empty": "",
        "none": " [] ",
    }

    def answer(route: Route) -> None:
        headers.append(route.request.all_headers())
        route.fulfill(body=bodies[route.request.url.rpartition("/")[2]])

    context.route("**/rows/*", answer)
    found = run("""
        workers = manager()
        found = {}
        for name in ("array", "lines", "empty", "none"):
            told = []
            data = await workers.load_url(
                f"./rows/{name}", token="sesame" if name == "array" else None,
                on_progress=told.append,
            )
            found[name] = [len(data), await data.window(0, 2000), told[-1:]]
            await data.release()
        data = await workers.load_url("./api/activities", token=lambda: None, limit=2)
        found["activities"] = [row["id"] for row in await data.window(0, 10)]
        return found
    """)
    context.unroute("**/rows/*")
    for name in ("array", "lines"):
        count, rows, [[done, _, note]] = found[name]
        assert (count, rows) == (1000, ROWS)
        assert (done, note) == (len(bodies[name].encode()), "bytes")
    assert found["empty"][:2] == found["none"][:2] == [0, []]
    assert found["activities"] == [made[1], made[0]]
    first, *others = headers
    assert first["authorization"] == "Bearer sesame"
    assert [name for name, value in first.items() if "sesame" in value] == ["authorization"]
    assert not any("authorization" in each for each in others)


def test_what_cannot_be_fetched_is_told(
    run: Run, context: BrowserContext, gateway: Gateway
) -> None:
    answers: dict[str, dict[str, Any]] = {
        "teapot": {"status": 418, "body": "[]"},
        "html": {"body": "<!doctype html>"},
        "cut": {"body": '[{"n": 1}, {"n"'},
        "object": {"body": '{"n": 1, "rows": []'},
        "numbers": {"body": "[1, 2]"},
        "deep": {"body": "[" * 1_000_000},
        "deep_lines": {"body": '{"n": 1}\n{"n": ' + "[" * 500_000},
        "nan": {"body": '[{"n": NaN}]'},
        "bytes": {"body": b"\xff\xfe\x00"},
    }

    def answer(route: Route) -> None:
        name = route.request.url.rpartition("/")[2]
        if name in answers:
            route.fulfill(**answers[name])
        else:
            route.abort()

    context.route("**/rows/*", answer)
    told = run(
        """
        workers = manager()
        kept = await workers.load([{"n": 1}])
        told = {}
        for name in [*names, "cut_off"]:
            told[name] = await caught(workers.load_url(f"./rows/{name}", token="sesame"))
            assert "sesame" not in json.dumps(told[name])
        told["file"] = await caught(workers.load_url("file:///etc/passwd"))
        def token():
            raise KeyError("sesame")
        told["token"] = await caught(workers.load_url("./rows/none", token=token))
        assert await kept.count() == 1
        return told
        """,
        names=list(answers),
    )
    context.unroute("**/rows/*")
    assert told["file"][0] == "ConfigurationError"
    assert told["token"][:2] == ["ConnectionFailed", "token provider: KeyError"]
    url = gateway.url + "rows/"
    expected = {
        "teapot": f"OSError: {url}teapot: HTTP 418",
        "cut_off": f"OSError: {url}cut_off: Failed to fetch",
        "numbers": f"ValueError: {url}numbers: expected an array of objects, came 1 as item 0",
        "bytes": "UnicodeDecodeError: ",
    }
    for name in [*answers, "cut_off"]:
        kind, text, _ = told[name]
        assert kind == "WorkerError"
        assert text.startswith(expected.get(name, f"ValueError: {url}{name}: expected JSON"))
        assert len(text) < 500


def test_what_is_fetched_for_nobody_is_fetched_no_longer(run: Run, gateway: Gateway) -> None:
    """An event stream never ends by itself."""
    run("""
        workers = manager(stop_timeout=20)
        kept = await workers.load([{"n": 1}])
        begun = asyncio.Event()
        task = asyncio.ensure_future(
            workers.load_url("./api/events", on_progress=lambda progress: begun.set())
        )
        await begun.wait()
        task.cancel()
        await caught(task)
        # The worker lives, so it is not its end that ends the request.
        while (await (await js.fetch("./healthz")).json()).event_streams:
            await asyncio.sleep(0.01)
        assert await kept.count() == 1
    """)


#: PyScript and Pyodide compile (`unsafe-eval`), and PyScript's workers begin at a blob:.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-eval' 'wasm-unsafe-eval' blob:;"
    " worker-src 'self' blob:; connect-src 'self'"
)


def test_a_page_with_a_policy(browser: Browser, gateway: Gateway) -> None:
    """Where nobody may look at a blob:, that it cannot be seen is no sign to stop."""
    context = browser.new_context()
    overlay(context, gateway)

    def with_policy(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(
            response=answer, headers={**answer.headers, "content-security-policy": POLICY}
        )

    context.route(gateway.url, with_policy)
    page = context.new_page()
    page.goto(gateway.url)
    page.wait_for_function("window.ready")
    run_in(
        page,
        """
        workers = manager(stop_timeout=0.5)
        data = await workers.load([{"n": 1}])
        assert await workers.spin(seconds=0.5) == "whole"
        task = workers.submit("loop")
        async for _ in task:
            break
        task.cancel()
        await caught(task)
        assert await workers.echo(1) == 1
        # It was not told to stop, so it had to be replaced.
        assert (await caught(data.count()))[0] == "DatasetLost"
        """,
    )
    context.close()
