"""The tables of the report: which figures, of which samples, and what they should be at most."""

from __future__ import annotations

import statistics

from benchmarks.report import P50, P95, P99, Aim, Figure, Table

PAGES = [("Python", "JavaScript")]

PAGE_TABLES = [
    Table(
        "From POST to the screen, in ms",
        [
            Figure("in the DOM, p50", "latency_dom", P50),
            Figure("in the DOM, p95", "latency_dom", P95),
            Figure("presented, p50", "latency", P50),
            Figure("presented, p95", "latency", P95, "< 100"),
            Figure("presented, longest", "latency", max),
        ],
        PAGES,
    ),
    Table(
        "One more notification in a feed of 50, in ms of the main thread",
        [
            Figure("script, p50", "script", P50, "< 2"),
            Figure("script, p95", "script", P95),
            Figure("script, processor time, p50", "script_processor", P50),
            Figure("script, processor time, p95", "script_processor", P95),
            Figure("all tasks, p50", "main_thread", P50),
            Figure("all tasks, p95", "main_thread", P95),
        ],
        PAGES,
    ),
    Table(
        "1,000 notifications a second for 5 s",
        [
            Figure("longest task, ms", "flood_tasks", max, "≤ 50"),
            Figure("longest task, processor time, ms", "flood_tasks_processor", max),
            Figure("tasks, p99, ms", "flood_tasks", P99),
            Figure("main thread busy, %", "flood_busy", statistics.mean),
            Figure("frames presented a second", "flood_frames", statistics.mean),
        ],
        PAGES,
    ),
    Table(
        "Of these",
        [
            Figure("posted a second, slowest round", "flood_rate", min, "1000", is_count=True),
            Figure("accepted by the gateway", "flood_accepted", sum, is_count=True),
            Figure("missing at the handlers", "flood_missing", sum, "0", is_count=True),
            Figure("delivered twice", "flood_twice", sum, "0", is_count=True),
            Figure("out of order", "flood_disorder", sum, "0", is_count=True),
        ],
        [],
    ),
]

SIZES = {1: "one alone", 10: "in bursts of 10", 100: "of 100", 10_000: "of 10,000"}


def receiving(clients: str, ratios: list[tuple[str, str]], aims: dict[str, str]) -> list[Table]:
    """Return the tables of some clients. `aims` are by kind of figure."""
    thread, latency = aims["thread"], aims["latency"]
    return [
        Table(
            f"{clients}: the main thread's processor time a message, in µs",
            [
                *(
                    Figure(label, f"thread_{size}", statistics.median, thread if size > 1 else "")
                    for size, label in SIZES.items()
                ),
                Figure("of 10,000, all threads of the page", "process", statistics.median),
            ],
            ratios,
        ),
        Table(
            f"{clients}: of that in script, with the trace's own share, in µs",
            [
                Figure(label, f"script_processor_{size}", statistics.median)
                for size, label in SIZES.items()
            ],
            ratios,
        ),
        Table(
            f"{clients}: messages a second, sent as fast as they are taken",
            [Figure("10,000 of them", "rate", statistics.median)],
            ratios,
        ),
        Table(
            f"{clients}: one alone, from the server to its handler, in ms",
            [Figure("p50", "latency", P50, latency), Figure("p95", "latency", P95)],
            ratios,
        ),
    ]


WEBSOCKET_TABLES = receiving(
    "WebSocket",
    [
        ("Python", "JavaScript"),
        ("Python, background", "JavaScript"),
        ("pyscript.WebSocket", "Python"),
        ("pyscript.WebSocket", "Python, background"),
    ],
    {
        "thread": "≤ 1.1 × JavaScript, ≤ ⅓ pyscript.WebSocket",
        "latency": "≤ 1 more than JavaScript",
    },
)
STREAM_TABLES = receiving(
    "Server-Sent Events",
    [("SSEClient", "EventSource")],
    {"thread": "≤ 1.1 × EventSource", "latency": "≤ 1 more than EventSource"},
)

MEMORY_TABLES = [
    Table(
        "A million messages, received and dropped",
        [
            Figure("JavaScript heap, MB", "javascript", statistics.mean),
            Figure("WebAssembly memory, MB", "webassembly", statistics.mean),
            Figure("Python objects", "objects", statistics.mean),
            Figure("live PyProxies", "proxies", statistics.mean),
        ],
        [("last quarter", "first quarter")],
    )
]

TAB_TABLES = [
    Table(
        "From a broadcast to the answer of another tab, in ms",
        [
            Figure("p50", "round_trip", P50, "≤ 2 × JavaScript"),
            Figure("p95", "round_trip", P95, "≤ 2 × JavaScript"),
        ],
        [("Python", "JavaScript"), ("Python", "broadcast-channel")],
    )
]

HAND_OVER_TABLES = [
    Table(
        "The leader is killed: until the next one brings a message, in ms",
        [
            Figure("median", "hand_over", statistics.median, "< 500"),
            Figure("longest", "hand_over", max, "< 500"),
        ],
        [],
    )
]

COST_TABLES = [
    Table(
        f"{size} tabs: connections at the gateway (of both kinds), and MB of memory a tab",
        [
            Figure("connections", f"connections_{size}", max, aim, is_count=True),
            Figure("MB a tab", f"memory_{size}", max),
        ],
        ratios,
    )
    for size, aim, ratios in (
        (1, "", [("shared", "unshared")]),
        (5, "2", [("shared", "unshared")]),
        (20, "2", []),
    )
]

QUESTIONS = {
    "sort_price": "sort by price, a number",
    "sort_name": "sort by name, a text",
    "filter": "filter, half the rows",
    "average": "average of price",
}
ROWS = (1_000, 10_000, 100_000, 1_000_000)

#: What the figures at so many rows are judged by.
JUDGED = 100_000

#: Of what the chapter's worker takes.
WORKER_AIMS = {
    "sort_price": Aim(0.4, ratio=True),
    "sort_name": Aim(0.4, ratio=True),
    "filter": Aim(0.4, ratio=True),
    "average": Aim(0.25, ratio=True),
}
RESIDENT_AIM = Aim(0.05, ratio=True)

LONGEST_TASK = Aim(50)


def asked(title: str, ratios: list[tuple[str, str]], aims: dict[str, Aim]) -> list[Table]:
    """Return a table of the questions for each number of rows."""
    return [
        Table(
            f"{size:,} rows: {title}, in ms",
            [
                Figure(
                    label,
                    f"{key}_{size}",
                    statistics.median,
                    aims[key] if size == JUDGED else "",
                )
                for key, label in QUESTIONS.items()
            ],
            ratios,
        )
        for size in ROWS
    ]


def blocked(title: str, samples: str, ratios: list[tuple[str, str]]) -> Table:
    """Return a table of the longest tasks."""
    return Table(
        f"{title}, in ms",
        [
            Figure(f"{size:,} rows{label}", f"{samples}_{size}{suffix}", max, LONGEST_TASK)
            for size in ROWS
            for label, suffix in (("", ""), (", processor time", "_processor"))
        ],
        ratios,
    )


WORKER_TABLES = [
    *asked("from the caller's rows to the answer", [("Python", "JavaScript")], WORKER_AIMS),
    blocked("The main thread's longest task meanwhile", "blocked", [("Python", "JavaScript")]),
]

RESIDENT_TABLES = asked(
    "a dataset in the worker",
    [("a new question", "JavaScript"), ("asked again", "JavaScript")],
    dict.fromkeys(QUESTIONS, RESIDENT_AIM),
)

LOAD_TABLES = [
    Table(
        "To load a dataset, in ms",
        [Figure(f"{size:,} rows", f"load_{size}", statistics.median) for size in ROWS],
        [],
    ),
    blocked("To load a dataset: the main thread's longest task", "load_blocked", []),
]

START_TABLES = [
    Table(
        "A worker's start, in ms",
        [
            Figure("until it is ready", "ready", statistics.median),
            Figure("until its first answer", "answer", statistics.median),
            Figure("from a killed worker to the next answer", "again", statistics.median),
        ],
        [("Python", "JavaScript")],
    )
]

TRACE_TABLES = [
    Table(
        "A paper of 259,778 edits applied, in ms",
        [
            Figure("all at once", "trace_all", statistics.median, Aim(1.3, ratio=True)),
            Figure("a hundred at a time", "trace_hundreds", statistics.median),
            Figure("one by one", "trace_one", statistics.median),
        ],
        [*PAGES, ("Python", "JavaScript, told")],
    ),
    Table(
        "The same, encoded, in bytes",
        [Figure("document", "encoded", statistics.median, is_count=True)],
        PAGES,
    ),
]

EDITING_TABLES = [
    Table(
        "From a key, in ms",
        [
            Figure("to the DOM, in a document of 100,000 characters, p50", "dom", P50),
            Figure("to the DOM, p95", "dom", P95),
            Figure("to the screen, which waits for the next frame, p50", "screen", P50),
            Figure("to the screen, p95", "screen", P95, Aim(16)),
            Figure("to another tab, through the gateway, p50", "gateway", P50),
            Figure("to another tab, through the gateway, p95", "gateway", P95, Aim(50)),
            Figure("to another tab, without a server, p50", "direct", P50),
            Figure("to another tab, without a server, p95", "direct", P95),
        ],
        PAGES,
    ),
    Table(
        "Opening a document of 100,000 characters, in ms",
        [Figure("until it is there, in step with the gateway", "open", statistics.median)],
        PAGES,
    ),
]

DOCUMENT_LOAD_TABLES = [
    Table(
        "Fifty who type ten characters a second each, for 5 s",
        [
            Figure("changes sent a second", "sent", statistics.mean, is_count=True),
            Figure(
                "frames of changes delivered a second", "received", statistics.mean, is_count=True
            ),
            Figure("bytes delivered, for each change", "bytes", statistics.mean, is_count=True),
            Figure("the server's processor time a change, in µs", "processor", statistics.median),
            Figure("until all is delivered, in ms", "drained", statistics.median),
        ],
        [("Python", "@y/websocket-server")],
    )
]
