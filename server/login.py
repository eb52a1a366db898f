"""`POST /api/login`, `/api/refresh`, `/api/logout`: a password for tokens, until it is over.

The refresh token travels in a cookie that no script can read (`HttpOnly`), that no other site's
page can make a browser send (`SameSite=Strict`), and that goes below `/api` alone
(`Path`): RFC 6265 §4.1.2 and its successor.
"""

from __future__ import annotations

import logging

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from server import passwords, validation
from server.access_tokens import AccessTokens, InvalidTokenError, user
from server.account_store import Account, AccountStore
from server.authenticator import Authenticator, bearer
from server.connections import Connections
from server.metrics import Metrics
from server.passwords import PasswordPool, PasswordsBusyError
from server.posts import Posts, too_many
from server.rate_limit import RateLimiter, client_key
from server.session_store import Session, SessionEndedError, SessionStore

logger = logging.getLogger(__name__)

COOKIE = "refresh_token"

#: How many times more attempts an address has than one name from it.
_NAMES_PER_ADDRESS = 4

_NO_STORE = {"Cache-Control": "no-store"}


class LoginAttempts:
    """Counts failed logins: `limit` a minute for a name and an address, 4 × that for the address.

    An attempt counts before it is known how it ends, so that many at once cannot slip through.
    """

    def __init__(self, limit: int) -> None:
        self._by_name = RateLimiter(limit / 60, limit)
        every = limit * _NAMES_PER_ADDRESS
        self._by_address = RateLimiter(every / 60, every)

    def take(self, address: str, name: str) -> float:
        """Count an attempt: return 0, or the seconds until there may be one."""
        # The address first: nobody can fill the memory with names.
        if wait := self._by_address.take(address):
            return wait
        if wait := self._by_name.take(f"{address} {name}"):
            self._by_address.give_back(address)
        return wait

    def give_back(self, address: str, name: str) -> None:
        """Let an attempt not count: it did not fail."""
        self._by_address.give_back(address)
        self._by_name.give_back(f"{address} {name}")


class Login:
    """The three endpoints."""

    def __init__(
        self,
        accounts: AccountStore,
        sessions: SessionStore,
        tokens: AccessTokens,
        *,
        authenticator: Authenticator,
        attempts: LoginAttempts,
        pool: PasswordPool,
        posts: Posts,
        connections: Connections,
        metrics: Metrics,
        cookie_age: int,
        secure_cookies: bool,
    ) -> None:
        self._accounts = accounts
        self._sessions = sessions
        self._tokens = tokens
        self._authenticator = authenticator
        self._attempts = attempts
        self._pool = pool
        self._posts = posts
        self._connections = connections
        self._logins = metrics.logins
        self._refreshes = metrics.refreshes
        self._cookie_age = cookie_age
        self._secure_cookies = secure_cookies

    async def login(self, request: Request) -> Response:
        """`POST /api/login`: begin a session."""
        self._posts.admit(request)
        name, password = validation.credentials(await self._posts.read(request))
        address = client_key(request)
        if wait := self._attempts.take(address, name):
            self._logins["limited"].inc()
            logger.warning("Login held back", extra={"client": address})
            raise too_many(wait)
        account = self._accounts.find(name)
        try:
            account = await self._verified(account, password)
        except PasswordsBusyError:
            self._attempts.give_back(address, name)
            self._logins["busy"].inc()
            raise HTTPException(503, "Too many logins", headers={"Retry-After": "1"}) from None
        opened = self._sessions.open(account) if account else None
        if opened is None:
            self._logins["failure"].inc()
            # Only a name that exists: what else is typed there may be a password.
            known = name if self._accounts.find(name) else None
            logger.warning("Login failed", extra={"client": address, "user": known})
            raise HTTPException(
                401, "Wrong name or password", headers={"WWW-Authenticate": "Bearer"}
            )
        self._attempts.give_back(address, name)
        self._logins["success"].inc()
        logger.info("Login", extra={"client": address, "user": name})
        return self._answer(request, *opened)

    async def refresh(self, request: Request) -> Response:
        """`POST /api/refresh`: new tokens for the cookie's."""
        self._posts.admit(request)
        token = _cookie(request)
        try:
            if token is None:
                raise SessionEndedError
            session, token = self._sessions.rotate(token)
        except SessionEndedError as ended:
            self._refreshes["reused" if ended.session_id else "refused"].inc()
            if ended.session_id:
                client = client_key(request)
                logger.warning("Refresh token used twice", extra={"client": client})
                self._connections.revoke(ended.session_id)
            body = {"error": {"message": "Expected the cookie of an open session"}}
            headers = _NO_STORE | {"WWW-Authenticate": "Bearer"}
            return self._without_cookie(request, JSONResponse(body, 401, headers))
        self._refreshes["success"].inc()
        return self._answer(request, session, token)

    async def logout(self, request: Request) -> Response:
        """`POST /api/logout`: end the session of the cookie, or of the access token."""
        self._posts.check_origin(request)
        token = _cookie(request)
        ended = {self._sessions.session_of(token) if token else None, self._bearers(request)}
        for session_id in filter(None, ended):
            self._sessions.end(session_id)
            self._connections.revoke(session_id)
            logger.info("Logout", extra={"client": client_key(request)})
        return self._without_cookie(request, Response(status_code=204, headers=_NO_STORE))

    async def _verified(self, account: Account | None, password: str) -> Account | None:
        """Return the account if it has that password, hashed as it would be today."""
        # Also where there is no account: how long it takes must not tell.
        found = await self._pool.is_password(account and account.password_hash, password)
        if account is None or not found:
            return None
        if passwords.needs_rehash(account.password_hash):
            return self._accounts.rehash(account, await self._pool.hash(password))
        return account

    def _bearers(self, request: Request) -> str | None:
        try:
            token = bearer(request.headers)
            return self._authenticator.identify(token).session.id if token else None
        except InvalidTokenError:
            return None

    def _answer(self, request: Request, session: Session, refresh_token: str) -> Response:
        response = JSONResponse(
            {
                "accessToken": self._tokens.issue(session),
                "expiresIn": self._tokens.ttl,
                "user": user(session),
            },
            headers=_NO_STORE,
        )
        self._set_cookie(request, response, refresh_token, self._cookie_age)
        return response

    def _without_cookie(self, request: Request, response: Response) -> Response:
        self._set_cookie(request, response, "", 0)
        return response

    def _set_cookie(self, request: Request, response: Response, value: str, age: int) -> None:
        response.set_cookie(
            COOKIE,
            value,
            max_age=age,
            path="/api",
            secure=self._secure_cookies or request.url.scheme == "https",
            httponly=True,
            samesite="strict",
        )


def _cookie(request: Request) -> str | None:
    """Return the refresh token that came.

    The first of that name: one with a longer path comes before one with a shorter (RFC 6265 §5.4),
    so that a cookie for all of the host does not hide ours.
    """
    for header in request.headers.getlist("cookie"):
        for pair in header.split(";"):
            name, _, value = pair.strip().partition("=")
            if name == COOKIE and value:
                return value
    return None
