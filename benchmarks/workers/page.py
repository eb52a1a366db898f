"""Ours, beside the peers of page.js: the same questions about the same rows."""

import asyncio
import gc
import json

from js import performance, window
from pyodide.ffi import create_proxy

from services.worker_manager import WorkerManager

FIRST_TIME = 1_760_000_000_000
COLOURS = ["amber", "blue", "coral", "denim", "ebony", "flax", "green", "hazel"]

#: As many views as a worker keeps of a dataset (`workers.residents.MOST_VIEWS`).
VIEWS = 8

manager = WorkerManager()
rows = []
dataset = None
mark, now = performance.mark, performance.now


def rows_of(count):
    """Return rows, always the same."""
    made = []
    state = 1
    for number in range(count):
        state = (state * 1_664_525 + 1_013_904_223) & 0xFFFFFFFF
        made.append(
            {
                "id": number,
                "price": state % 10_000_000 / 100,
                "name": f"{COLOURS[state >> 29]} {(state >> 8) % 1_000_000}",
                "quantity": (state >> 4) % 100,
                "timestamp": FIRST_TIME + 1000 * number,
            }
        )
    return made


def digest(answer):
    """Return what is the same for answers that are: an average as it is, or ids in order."""
    if isinstance(answer, float):
        return answer
    digested = 0
    for row in answer:
        digested = (31 * digested + row["id"]) % 1_000_000_007
    return [len(answer), digested]


def make_rows(count):
    global rows
    rows = rows_of(count)


async def timed(question, samples=1):
    """Return the milliseconds until each answer, and the last one."""
    times = []
    for _ in range(samples):
        answer = None
        await asyncio.sleep(0.005)
        mark("asked")
        start = now()
        answer = await question()
        times.append(now() - start)
        mark("answered")
        await asyncio.sleep(0.005)  # for the task to end here, and not after what follows
    return times, answer


async def ask(type, options, samples):
    """Ask a question so many times; return what `askPeer` of page.js does."""
    options = options.to_py()
    times, answer = await timed(lambda: manager.process(type, rows, options), samples)
    return json.dumps([times, digest(answer)])


async def load():
    """Let the worker keep the rows; return the milliseconds that took."""
    global dataset
    if dataset is not None:
        await dataset.release()

    async def loaded():
        return await manager.load(rows)

    (time,), dataset = await timed(loaded)
    return time


async def first_window(view):
    """Return what a table shows of a view."""
    return await (await view).window(0, 50)


#: By what `ask` calls them; each is asked of a dataset, and again.
RESIDENT = {
    "sort_price": lambda _: first_window(dataset.sort("price")),
    "sort_name": lambda _: first_window(dataset.sort("name")),
    "filter": lambda sample: first_window(
        dataset.filter(field="price", operator="greater", value=50_000 + sample / 100)
    ),
    "average": lambda _: dataset.aggregate("average", "price"),
}


async def ask_resident(name, samples):
    """Return the milliseconds until each answer to a question that is new, and to it once more."""
    new, again = [], []
    for sample in range(samples):
        # Until it has forgotten the views of the last time; and when there may be more rows, the
        # numbers that it has found.
        for number in range(VIEWS):
            await dataset.filter(field="id", operator="less", value=-number)
        await dataset.append([])

        async def question(sample=sample):
            return await RESIDENT[name](sample)

        new += (await timed(question))[0]
        again += (await timed(question))[0]
    return json.dumps([new, again])


async def start(type, options):
    """Return the milliseconds until a new manager is ready, has answered, and again once killed."""
    options = options.to_py()
    performance.clearMarks("worker-ready")
    begun = now()
    fresh = WorkerManager()
    await fresh.ready()
    ready = performance.getEntriesByName("worker-ready")[0].startTime - begun
    await fresh.process(type, rows, options)
    answer = now() - begun
    begun = now()
    # What the slot is told when its worker's thread is gone.
    slot = fresh._pool.alive[0]
    slot.failed("killed")
    await fresh.process(type, rows, options)
    again = now() - begun
    fresh.terminate()
    return json.dumps({"ready": ready, "answer": answer, "again": again})


def collect():
    """Take away what others have left, lest one pays for another."""
    gc.collect()
    window.gc()


window.makeOurRows = make_rows
for name, function in {
    "ask": ask,
    "load": load,
    "askResident": ask_resident,
    "start": start,
    "collect": collect,
}.items():
    setattr(window, name, create_proxy(function))
await manager.ready()
window.isReady = True
