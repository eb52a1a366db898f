"""Tabs of one browser that share a session, and the gateway it is with."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from services.auth import AuthService
from services.auth_sync import AuthSync
from services.errors import ConnectionFailed
from services.platform import HTTPAnswer
from services.tab_sync import TabSync
from tests.support.fake_origin import FakeOrigin
from tests.support.fake_platform import FakePlatform, settle

ADA = {"id": "1", "name": "ada"}
BOB = {"id": "2", "name": "bob"}


class FakeGateway:
    """Answers as the gateway does, for all tabs of one browser."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.tokens = 0
        self.session: dict[str, str] | None = None
        self.away = False
        self.life = 300
        self.at_most = 0
        """How many requests there were at the same time, at most."""
        self._now = 0
        self._held: list[asyncio.Event] | None = None

    def hold(self) -> None:
        """Answer nothing more until `fail_one`."""
        self._held = []

    def fail_one(self) -> None:
        """Let the request that waits longest fail."""
        assert self._held
        self._held.pop(0).set()

    async def answer(self, url: str, body: str | None) -> HTTPAnswer:
        route = url.rpartition("/")[2]
        self.asked.append(route)
        self._now += 1
        self.at_most = max(self.at_most, self._now)
        try:
            await settle()
            if self._held is not None:
                failing = asyncio.Event()
                self._held.append(failing)
                await failing.wait()
                raise ConnectionFailed("slow")
            return self._answer(route, json.loads(body or "{}"))
        finally:
            self._now -= 1

    def _answer(self, route: str, body: dict[str, Any]) -> HTTPAnswer:
        if self.away:
            raise ConnectionFailed("away")
        if route == "logout":
            self.session = None
            return HTTPAnswer(204, "")
        if route == "login":
            if body["password"] != "secret":
                return HTTPAnswer(401, '{"error": {"message": "Wrong name or password"}}')
            self.session = {"ada": ADA, "bob": BOB}[body["username"]]
        if self.session is None:
            return HTTPAnswer(401, '{"error": {"message": "no session"}}')
        self.tokens += 1
        value = {
            "accessToken": f"token-{self.tokens}",
            "expiresIn": self.life,
            "user": self.session,
        }
        return HTTPAnswer(200, json.dumps(value))


class SessionTab:
    """One tab. Without `sync` it hears nothing of the others."""

    def __init__(
        self, gateway: FakeGateway, origin: FakeOrigin, seed: int = 0, *, sync: bool = True
    ) -> None:
        self.platform = FakePlatform(seed, origin)

        async def fetch(method: str, url: str, *, body: str | None = None, **_: Any) -> HTTPAnswer:
            assert method == "POST"
            return await gateway.answer(url, body)

        self.platform.fetch = fetch  # type: ignore[method-assign]
        self.tabs = TabSync(platform=self.platform)
        self.auth = AuthService(platform=self.platform)
        self.sync = AuthSync(self.auth, self.tabs) if sync else None
        self.told: list[tuple[str, dict[str, Any]]] = []
        for event in ("login", "logout", "refresh"):
            self.auth.on(event, lambda payload, event=event: self.told.append((event, payload)))

    def close(self) -> None:
        if self.sync is not None:
            self.sync.close()
        self.auth.close()
        self.tabs.close()


async def calm() -> None:
    """Let all tabs go on until nothing more happens."""
    for _ in range(20):
        await settle()
