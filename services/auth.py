"""Who is signed in: one session for all tabs, whose token no storage and no channel ever sees."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from . import options
from .backoff import Backoff
from .emitter import Emitter, Handler, Unsubscribe
from .errors import HTTPFailed, RealtimeError
from .json_http import ask
from .platform import Cancel, Platform, default_platform
from .session import Session, User
from .tasks import Tasks

PROFILE = "realtime:user"
LOCK = "realtime:auth:refresh"

SESSION_ENDED = "session-ended"
"""The reason of a logout that the gateway decided."""

UNAUTHORIZED = 401

MARGIN = 5.0
"""Seconds that a token is still good for when it is handed out."""

EARLIEST, LATEST = 0.6, 0.8
"""The parts of a token's life between which it is renewed. Chance says where: tabs differ."""

LEAST_PAUSE = 1.0
"""Seconds between two refreshes, however short a token lives."""


class AuthService:
    """The session of this browser. `api` is the URL above the gateway's routes.

    The access token lives in memory alone: in this tab, and in the vault that the origin's tabs
    share (see ``platform``). The refresh token is a cookie that no script sees. Storage keeps who
    it is, and that there is a session to go on with.

    All tabs use the same cookie, which is good for one refresh. So one tab refreshes at a time,
    under a Web Lock, and the others take from the vault what it got. That happens by itself ahead
    of the token's end.

    Handlers may ask for `login` {user}, `logout` {reason}, `refresh` {}. `timeout` is in seconds,
    for each request.
    """

    def __init__(
        self, api: str = "./api/", *, timeout: float = 10, platform: Platform | None = None
    ) -> None:
        self._platform = platform or default_platform()
        self._base = self._platform.resolve(api.rstrip("/") + "/")
        self._timeout = options.seconds("timeout", timeout)
        self._emitter = Emitter(self._platform.report)
        self._tasks = Tasks(self._platform.report)
        self._backoff = Backoff(1, 60, self._platform.random)
        self._session: Session | None = None
        self._user: User | None = None
        self._refreshing: asyncio.Future[RealtimeError | None] | None = None
        # Counts logins and logouts: what was begun before one must not have the last word.
        self._era = 0
        self._was_refused = False
        self._local = asyncio.Lock()
        self._timer: Cancel | None = None
        self.is_adopting = False
        """Whether what is told just now was another tab's doing."""
        self.reason = ""
        """Why nobody is signed in any more, or "": `signed-out`, `session-ended`, or another."""

    @property
    def user(self) -> dict[str, str] | None:
        """Who is signed in, as {id, name}."""
        return None if self._user is None else self._user.as_dict()

    @property
    def is_authenticated(self) -> bool:
        """Whether somebody is signed in, as far as this tab knows."""
        return self._user is not None

    def on(self, event: str, handler: Handler) -> Unsubscribe:
        """Call `handler(payload)`, plain or async, for each such event. No payload has a token."""
        return self._emitter.on(event, handler)

    async def initialize(self) -> dict[str, str] | None:
        """Go on with the session of this browser, if there is one; return who it is.

        Asks nobody where nobody has signed in. Raises ConnectionFailed or RequestTimeout where the
        gateway cannot be reached: it is tried again in the background.
        """
        user = User.from_text(self._platform.remembered(PROFILE))
        if user is None:
            if self._user is not None:
                self._forget(SESSION_ENDED)
            return None
        await self.refresh()
        return self.user

    async def login(self, username: str, password: str) -> dict[str, str]:
        """Begin a session; return who it is.

        Raises HTTPFailed when the gateway says no (401: wrong name or password; 429: too often),
        InvalidAnswer, ConnectionFailed or RequestTimeout.
        """
        body = json.dumps({"username": username, "password": password})
        async with self._alone():
            session = Session.from_answer(await self._post("login", body), self._now())
            self._era += 1
            era = self._era
            # First: the other tabs look there as soon as they hear of it.
            await self._platform.put_token_in_vault(session.as_text())
            if era == self._era:
                self._user = None  # also who signs in again has signed in
                self._accept(session)
        return session.user.as_dict()

    async def logout(self, reason: str = "signed-out") -> None:
        """End the session: here at once, then in the vault and at the gateway.

        Where the gateway cannot be reached it is asked again, as long as this page is open and
        nobody signs in.
        """
        self._forget(reason)
        if not await self._end_session(self._era):
            self._tasks.spawn(self._go_on_ending(self._era))

    def signed_out_elsewhere(self, reason: str) -> None:
        """Forget the session, which another tab has ended."""
        if self._user is not None:
            self.is_adopting = True
            self._forget(reason)
            self.is_adopting = False

    async def refresh(self) -> None:
        """Get a newer token: from the vault if another tab has one already, else from the gateway.

        All who ask meanwhile share one refresh. A session that has ended signs out. Raises
        ConnectionFailed, RequestTimeout, HTTPFailed (not for 401) or InvalidAnswer; it is then
        tried again in the background.
        """
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = self._tasks.spawn(self._refresh())
        failure = await asyncio.shield(self._refreshing)
        if failure is not None:
            raise failure

    async def access_token(self) -> str | None:
        """Return a token that is good for some seconds more, or None where nobody is signed in.

        Raises as `refresh`.
        """
        if self._user is None and self._platform.remembered(PROFILE) is None:
            return None
        if self._session is None or self._was_refused or self._is_old(self._session):
            await self.refresh()
        return None if self._session is None else self._session.token

    __call__ = access_token  # so that the service is itself the clients' token provider

    def refused(self, token: str) -> None:
        """Take note that the gateway refused a token: whoever asks next gets a newer one."""
        if self._session is not None and self._session.token == token:
            self._was_refused = True

    async def adopt(self) -> None:
        """Take up the session that another tab has begun or refreshed, if there is a newer one.

        It is in the vault; where there is none, the cookie leads to it. Raises as `refresh`.
        """
        era = self._era
        kept = await self._from_vault()
        if era != self._era:
            return
        if kept is not None:
            self._take(kept, adopting=True)
        elif self._user is None:
            await self.initialize()

    def close(self) -> None:
        """End the timer and what is under way. The session goes on."""
        self._cancel_timer()
        self._tasks.cancel()
        self._emitter.cancel()

    # How it is done

    async def _refresh(self) -> RealtimeError | None:
        era, known = self._era, self._session
        try:
            async with self._alone():
                if era != self._era or self._session is not known:
                    return None  # while we waited another tab has done it
                kept = await self._from_vault()
                session = kept or await self._from_gateway()
                if kept is None and era == self._era:
                    await self._platform.put_token_in_vault(session.as_text())
                if era != self._era:
                    return None  # a logout or login came meanwhile, and has the last word
                self._take(session, adopting=kept is not None)
        except HTTPFailed as error:
            if era != self._era:
                return None
            if error.status == UNAUTHORIZED:
                await self._platform.put_token_in_vault(None)
                self._forget(SESSION_ENDED)
                return None
            return self._failed(error)
        except RealtimeError as error:
            return self._failed(error) if era == self._era else None
        return None

    def _failed(self, error: RealtimeError) -> RealtimeError:
        self._set_timer(self._backoff.next_delay())
        return error

    async def _from_vault(self) -> Session | None:
        kept = Session.from_text(await self._platform.token_in_vault())
        if kept is None or self._is_old(kept):
            return None
        known = self._session
        is_newer = known is None or (kept.token != known.token and kept.issued >= known.issued)
        return kept if is_newer else None

    async def _from_gateway(self) -> Session:
        return Session.from_answer(await self._post("refresh"), self._now())

    async def _end_session(self, era: int) -> bool:
        """Return whether the session of the cookie has ended, or is another one by now."""
        async with self._alone():
            if era != self._era:
                return True
            await self._platform.put_token_in_vault(None)
            try:
                await self._post("logout")
            except HTTPFailed as error:
                return error.status < 500 and error.status != 429
            except RealtimeError:
                return False
        return True

    async def _go_on_ending(self, era: int) -> None:
        while True:
            await self._pause(self._backoff.next_delay())
            if await self._end_session(era):
                return

    async def _post(self, route: str, body: str | None = None) -> Any:
        return await ask(
            self._platform,
            "POST",
            f"{self._base}{route}",
            body=body,
            with_credentials=True,
            timeout=self._timeout,
        )

    def _accept(self, session: Session) -> None:
        is_new = self._user != session.user
        self._session = session
        self._user = session.user
        self._was_refused = False
        self.reason = ""
        self._backoff.reset()
        if is_new:
            self._platform.remember(PROFILE, json.dumps(session.user.as_dict()))
        life = (session.expires - session.issued) / 1000
        part = EARLIEST + (LATEST - EARLIEST) * self._platform.random()
        due = session.issued / 1000 + life * part
        self._set_timer(max(LEAST_PAUSE, due - self._now() / 1000))
        if is_new:
            self._emitter.emit("login", {"user": session.user.as_dict()})
        else:
            self._emitter.emit("refresh", {})

    def _take(self, session: Session, *, adopting: bool) -> None:
        self.is_adopting = adopting
        self._accept(session)
        self.is_adopting = False

    def _forget(self, reason: str) -> None:
        self._era += 1
        self._session = None
        self._user = None
        self._was_refused = False
        self.reason = reason
        self._cancel_timer()
        self._platform.remember(PROFILE, None)
        self._emitter.emit("logout", {"reason": reason})

    def _is_old(self, session: Session) -> bool:
        return session.expires - self._now() < MARGIN * 1000

    def _now(self) -> float:
        return float(self._platform.time_ms())

    def _set_timer(self, delay: float) -> None:
        self._cancel_timer()
        self._timer = self._platform.call_later(delay, self._due)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer()
            self._timer = None

    def _due(self) -> None:
        self._timer = None
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = self._tasks.spawn(self._refresh())

    async def _pause(self, delay: float) -> None:
        over = asyncio.Event()
        cancel = self._platform.call_later(delay, over.set)
        try:
            await over.wait()
        finally:
            cancel()

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """Be the only tab that asks the gateway for tokens, or that stops doing so."""
        async with self._local:
            if not self._platform.can_share:
                yield
                return
            held = asyncio.Event()
            locks = [self._platform.hold_lock(LOCK, acquired=held.set)]

            def steal() -> None:
                # Whoever has it is frozen: nothing that is done under it takes so long.
                locks.pop()()
                locks.append(self._platform.hold_lock(LOCK, acquired=held.set, steal=True))

            cancel = self._platform.call_later(2 * self._timeout + LEAST_PAUSE, steal)
            try:
                await held.wait()
                cancel()
                yield
            finally:
                cancel()
                locks.pop()()
