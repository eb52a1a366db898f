"""A real gateway process for tests: its own port, its own data, killed at will."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import httpx

ROOT = Path(__file__).resolve().parents[2]

#: Seconds a condition may take to come true before a test gives up.
DEADLINE = 10


class Gateway:
    """`python -m server` on a free port, which it keeps from one start to the next.

    `env` holds further variables, e.g. `CLIENT_QUEUE="10"`, or `REQUIRE_AUTH="1"` with
    `ACCOUNTS="ada:secret"`. Its log lines are in `stderr`. Requests carry `token`, once there is
    one, and cookies, as a browser's do.
    """

    def __init__(self, data_dir: Path, **env: str) -> None:
        self.data_dir = data_dir
        self.port = 0
        #: The access token that requests carry, see `login`.
        self.token: str | None = None
        #: The exit status of the process that ran last.
        self.status: int | None = None
        self._env = env
        self._process: subprocess.Popen[str] | None = None
        self._stderr = data_dir.with_name(data_dir.name + ".stderr")
        self._http = httpx.Client(timeout=DEADLINE)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        """The page, with a slash at its end."""
        return f"http://127.0.0.1:{self.port}/"

    @property
    def websocket_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ws"

    @property
    def events_url(self) -> str:
        return f"{self.url}api/events"

    @property
    def pid(self) -> int:
        assert self._process is not None, "the gateway is not running"
        return self._process.pid

    @property
    def stderr(self) -> str:
        return self._stderr.read_text()

    @property
    def log(self) -> list[dict[str, Any]]:
        """The log's records, if it is written as JSON."""
        return [json.loads(line) for line in self.stderr.splitlines()]

    def start(self) -> None:
        """Start the process, and return once it accepts connections."""
        assert self._process is None, "the gateway runs already"
        env = os.environ | {
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
            "DATA_DIR": str(self.data_dir),
            **self._env,
        }
        with self._stderr.open("a") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "server"],
                cwd=ROOT,
                env=env,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )
        assert self._process.stdout is not None
        url = self._process.stdout.readline().strip()
        if not url:
            self._wait()
            raise RuntimeError(f"the gateway did not start: {self.stderr}")
        self.port = httpx.URL(url).port or 80

    def kill(self) -> None:
        """End the process as a crash would (SIGKILL)."""
        assert self._process is not None, "the gateway is not running"
        self._process.kill()
        self._wait()

    def stop(self, signal_number: int = signal.SIGTERM) -> float:
        """Ask the process to end, and return the seconds that it took."""
        assert self._process is not None, "the gateway is not running"
        started = time.monotonic()
        self._process.send_signal(signal_number)
        self._wait()
        return time.monotonic() - started

    def close(self) -> None:
        """End the process if it runs, and release what this object holds."""
        if self._process is not None:
            self.kill()
        self._http.close()

    def post(self, path: str, **options: Any) -> httpx.Response:
        """POST to a path such as `api/notifications`; the options are httpx's."""
        return self.request("POST", path, **options)

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        if self.token is not None:
            options["headers"] = {"Authorization": f"Bearer {self.token}"} | dict(
                options.get("headers") or {}
            )
        return self._http.request(method, self.url + path, **options)

    def login(self, username: str, password: str) -> str:
        """Log in, and return the access token that requests carry from now on."""
        response = self.post("api/login", json={"username": username, "password": password})
        assert response.status_code == 200, response.text
        token: str = response.json()["accessToken"]
        self.token = token
        return token

    def forget(self) -> None:
        """Come as a client that has never been here: without token and cookies."""
        self.token = None
        self._http.cookies.clear()

    def accounts(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run `python -m server.accounts` on this gateway's data."""
        return subprocess.run(
            [sys.executable, "-m", "server.accounts", *arguments],
            cwd=ROOT,
            env=os.environ | {"DATA_DIR": str(self.data_dir)},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
        )

    def post_notification(self, title: str = "Title", **fields: Any) -> str:
        """Publish a notification and return its id."""
        return self._created("api/notifications", {"title": title, **fields})

    def post_activity(
        self, user: str = "Ada", action: str = "edited", target: str = "notes", **fields: Any
    ) -> str:
        """Publish an activity and return its id."""
        body = {"userName": user, "action": action, "target": target, **fields}
        return self._created("api/activities", body)

    def health(self) -> dict[str, Any]:
        health: dict[str, Any] = self.get("healthz").json()
        return health

    def wait_for_clients(self, *, websockets: int = 0, event_streams: int = 0) -> None:
        """Return once exactly so many clients follow the gateway."""
        expected = {"websockets": websockets, "event_streams": event_streams}
        wait_until(lambda: expected.items() <= self.health().items())

    def _created(self, path: str, body: dict[str, Any]) -> str:
        response = self.post(path, json=body)
        assert response.status_code == 201, response.text
        created: str = response.json()["id"]
        return created

    def _wait(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        try:
            self.status = self._process.wait(DEADLINE)
        finally:
            self._process.stdout.close()
            self._process = None


def wait_until(condition: Callable[[], object], *, deadline: float = DEADLINE) -> None:
    """Return once `condition()` is true; fail the test if it is not in `deadline` seconds."""
    end = time.monotonic() + deadline
    while not condition():
        assert time.monotonic() < end, "the condition did not come true in time"
        time.sleep(0.01)
