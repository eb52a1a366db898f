"""The client and the server that Yjs users have from npm: y-websocket and @y/websocket-server."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, Self

from tests.support.gateway import ROOT

HERE = Path(__file__).parent


class NodeScript:
    """A script of ours in Node, which ends with this object."""

    def __init__(self, name: str, *arguments: str) -> None:
        self._process = subprocess.Popen(
            ["node", str(HERE / name), *arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    def read_line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def write_line(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()


class YWebsocketClient(NodeScript):
    """A client of the document `room` at `url`."""

    def __init__(self, url: str, room: str) -> None:
        super().__init__("y_websocket_client.mjs", url, room)

    def do(self, name: str, *details: Any) -> Any:
        """Let it do one of the commands of its script; return what comes of that."""
        self.write_line(json.dumps([name, *details]))
        return json.loads(self.read_line())


class YWebsocketServer(NodeScript):
    """A server on a port of its own."""

    def __init__(self) -> None:
        super().__init__("y_websocket_server.mjs")
        self.url = f"ws://127.0.0.1:{int(self.read_line())}/"
