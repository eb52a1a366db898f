"""Who is signed in: one session for all tabs, whose token no storage and no channel ever sees."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from typing import Any

from . import options
from .backoff import Backoff
from .emitter import Emitter, Handler, Unsubscribe
from .errors import HTTPFailed, RealtimeError, RequestFailed
from .json_http import ask
from .platform import Cancel, Platform, default_platform
from .session import Session, User
from .tab_lock import TabLock
from .tasks import Tasks

PROFILE = "realtime:user"
LOCK = "realtime:auth:refresh"

UNAUTHORIZED = 401
TOO_MANY = 429

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
        self._refreshing_era = 0
        self._logouts = 0
        self._was_refused = False
        # At most one request is made in a turn, and the vault is asked twice.
        self._turn = TabLock(self._platform, LOCK, patience=2 * self._timeout + LEAST_PAUSE)
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
        if self._remembered() is None:
            if self._user is not None:
                self._forget("session-ended")
            return None
        await self.refresh()
        return self.user

    async def login(self, username: str, password: str) -> dict[str, str]:
        """Begin a session; return who it is.

        Raises HTTPFailed when the gateway says no (401: wrong name or password; 429: too often),
        InvalidAnswer, ConnectionFailed or RequestTimeout, and RequestFailed if `logout` was called
        meanwhile, which has the last word.
        """
        body = json.dumps({"username": username, "password": password})
        logouts = self._logouts
        async with self._turn.held():
            session = Session.from_answer(await self._post("login", body), self._now())
            # Before the other tabs hear of it: they look there.
            await self._platform.put_token_in_vault(session.as_text())
            if logouts != self._logouts:
                # The logout waits for its turn; then it ends this session, too. Everybody is told
                # again: this login has replaced one that another tab has begun since.
                self._forget("signed-out")
                raise RequestFailed("login: expected to be wanted still, came a logout")
            self._user = None  # also who signs in again has signed in
            self._accept(session)
        return session.user.as_dict()

    async def logout(self, reason: str = "signed-out") -> None:
        """End the session: here at once, then in the vault and at the gateway.

        Returns when the gateway was asked once. Where it could not be reached it is asked again,
        as long as this page is open and nobody signs in.
        """
        self._logouts += 1
        self._forget(reason)
        asked = asyncio.Event()
        # A task of its own: it goes on also where whoever called this does not.
        self._tasks.spawn(self._end_session(asked)).add_done_callback(lambda _: asked.set())
        await asked.wait()

    def signed_out_elsewhere(self, reason: str) -> None:
        """Forget the session, which another tab has ended, and what a refresh would still bring.

        Storage is left to that tab: by now it may say who has signed in since.
        """
        if self._user is not None or self._is_refreshing:
            self._forget_here(reason)
        else:
            self._era += 1  # so that a session which is just being taken up is not

    async def refresh(self) -> None:
        """Get a newer token: from the vault if another tab has one already, else from the gateway.

        All who ask meanwhile share one refresh. A session that has ended signs out. Raises
        ConnectionFailed, RequestTimeout, HTTPFailed (not for 401) or InvalidAnswer; it is then
        tried again in the background.
        """
        failure = await asyncio.shield(self._begin_refresh())
        if failure is not None:
            raise failure

    async def access_token(self) -> str | None:
        """Return a token that is good for some seconds more, or None where nobody is signed in.

        Raises as `refresh`.
        """
        # A page may ask before `initialize` has; but who was logged out here stays so.
        if self._user is None and (self.reason or self._remembered() is None):
            return None
        if self._session is None or self._was_refused or self._is_old(self._session):
            await self.refresh()
        return None if self._session is None else self._session.token

    __call__ = access_token  # so that the service is itself the clients' token provider

    def refused(self, token: str) -> None:
        """Take note that the gateway refused a token: whoever asks next gets a newer one."""
        if self._session is not None and self._session.token == token:
            self._was_refused = True

    def adopt(self) -> Coroutine[Any, Any, None]:
        """Take up the session that another tab has begun or refreshed, if there is a newer one.

        It is in the vault; where there is none, the cookie leads to it. To be awaited; a logout
        that comes after the call has the last word. Raises as `refresh`.
        """
        return self._take_up(self._era)

    async def adopt_refresh(self) -> None:
        """Take the newer token of another tab, if somebody is signed in here. Raises as `refresh`.

        It signs nobody in: a logout that came before it was meant.
        """
        if self._user is not None:
            await self.adopt()

    def report(self, error: BaseException) -> None:
        """Show an exception nobody caught, in the console."""
        self._platform.report(error)

    def close(self) -> None:
        """End the timer and what is under way. The session goes on."""
        self._cancel_timer()
        self._tasks.cancel()
        self._emitter.cancel()

    # How it is done

    async def _take_up(self, era: int) -> None:
        kept = await self._from_vault()
        if era != self._era:
            return
        if kept is not None and self._remembered() is not None:
            self._adopt(kept)
        elif kept is not None:
            pass  # a logout has crossed it, and empties the vault next
        elif self._user is None or self._remembered() not in (None, self._user):
            await self.initialize()

    @property
    def _is_refreshing(self) -> bool:
        return self._refreshing is not None and not self._refreshing.done()

    def _begin_refresh(self) -> asyncio.Future[RealtimeError | None]:
        # One that was begun before a login or logout comes to nothing.
        if self._refreshing is None or self._refreshing.done() or self._refreshing_era != self._era:
            self._refreshing = self._tasks.spawn(self._refresh(self._era))
            self._refreshing_era = self._era
        return self._refreshing

    async def _refresh(self, era: int) -> RealtimeError | None:
        known = self._session
        try:
            async with self._turn.held():
                # Unless another tab has done it while we waited, or nobody wants it any more.
                if era == self._era and self._session is known:
                    await self._renew(era, known)
        except RealtimeError as error:
            return self._failed(error) if era == self._era else None
        return None

    async def _renew(self, era: int, known: Session | None) -> None:
        profile = self._remembered()

        def is_wanted() -> bool:
            # A login or a logout that came meanwhile has the last word. Of another tab's, storage
            # may tell before its message comes.
            return era == self._era and (profile is None or self._remembered() is not None)

        kept = await self._from_vault()
        if not is_wanted() or self._session is not known:
            return
        if kept is not None:
            self._adopt(kept)
            return
        try:
            session = Session.from_answer(await self._post("refresh"), self._now())
        except HTTPFailed as error:
            if error.status != UNAUTHORIZED:
                raise
            await self._platform.put_token_in_vault(None)
            if era == self._era:
                self._forget("session-ended")
            return
        # Before the other tabs hear of it. A logout will empty it again, when it is its turn.
        await self._platform.put_token_in_vault(session.as_text())
        if is_wanted():
            self._accept(session)

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

    async def _end_session(self, asked: asyncio.Event) -> None:
        again = False
        while not await self._ask_to_end(again):
            asked.set()
            again = True
            await self._pause(self._backoff.next_delay())

    async def _ask_to_end(self, again: bool) -> bool:
        """Return whether the session of the cookie has ended, or is another one by now."""
        async with self._turn.held():
            # Storage is asked only later: what another tab wrote just now may cross our own word.
            if self._user is not None or (again and self._remembered() is not None):
                return True
            await self._platform.put_token_in_vault(None)
            try:
                await self._post("logout")
            except HTTPFailed as error:
                return error.status < 500 and error.status != TOO_MANY
            except RealtimeError:
                return False
        return True

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
            self._era += 1
            # What another tab has begun, that tab has written: by now it may have ended it.
            if not self.is_adopting:
                self._platform.remember(PROFILE, json.dumps(session.user.as_dict()))
        life = (session.expires - session.issued) / 1000
        part = EARLIEST + (LATEST - EARLIEST) * self._platform.random()
        due = session.issued / 1000 + life * part
        self._set_timer(max(LEAST_PAUSE, due - self._now() / 1000))
        if is_new:
            self._emitter.emit("login", {"user": session.user.as_dict()})
        else:
            self._emitter.emit("refresh", {})

    def _adopt(self, session: Session) -> None:
        self.is_adopting = True
        try:
            self._accept(session)
        finally:
            self.is_adopting = False

    def _forget(self, reason: str) -> None:
        self._platform.remember(PROFILE, None)
        self._forget_here(reason)

    def _forget_here(self, reason: str) -> None:
        self._era += 1
        self._session = None
        self._user = None
        self._was_refused = False
        self.reason = reason
        self._cancel_timer()
        self._emitter.emit("logout", {"reason": reason})

    def _remembered(self) -> User | None:
        return User.from_text(self._platform.remembered(PROFILE))

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
        self._begin_refresh()

    async def _pause(self, delay: float) -> None:
        over = asyncio.Event()
        cancel = self._platform.call_later(delay, over.set)
        try:
            await over.wait()
        finally:
            cancel()
