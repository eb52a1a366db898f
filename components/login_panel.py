"""`<login-panel>`: sign in, see who is signed in, sign out."""

from string.templatelib import Template
from typing import Any

from js import document
from pyodide.ffi import JsProxy

from components.element import Element, drawn, reactive
from components.words import explain
from services.auth import AuthService
from services.errors import HTTPFailed, RealtimeError
from services.feed_items import shorten

REASONS = {
    "signed-out": "You are logged out.",
    "logout-other-tab": "You were logged out in another tab.",
    "session-ended": "Your session has ended. Please log in again.",
}

NAME_LIMIT = 60


class LoginPanel(Element):
    """The session of this browser, which all its tabs have in common."""

    tag = "login-panel"

    user = reactive[dict[str, str] | None](None)
    reason = reactive("")
    checking = reactive(True)
    busy = reactive(False)
    outcome = reactive("")

    def __init__(self, auth: AuthService) -> None:
        self._auth = auth

    def connected(self) -> None:
        """Follow the session, also where another tab changes it."""
        for event in ("login", "logout"):
            self.lifetime.callback(self._auth.on(event, self._changed))
        self._changed()
        self.start(self._initialize())

    def render(self) -> Template:
        """Show who is signed in, or a form."""
        return t"""<section class="panel login-panel" aria-labelledby="heading">
            <header class="panel-header"><h2 id="heading" tabindex="-1">Account</h2></header>
            <div class="session">
                {self._who() if self.user else self._form()}
            </div>
        </section>"""

    def _who(self) -> Template:
        name = shorten(self.user["name"], NAME_LIMIT)
        return t"""<div class="signed-in" role="status">
                <span class="avatar" aria-hidden="true">{name[:1].upper()}</span>
                <span>Logged in as <strong class="user"><bdi>{name}</bdi></strong></span>
            </div>
            <button class="logout" type="button" @click={self._log_out}>Log out</button>"""

    def _form(self) -> Template:
        if self.checking:
            return t'<p class="loading" role="status">Checking whether you are logged in …</p>'
        reason = REASONS.get(self.reason, "")
        return t"""<form @submit={self._log_in} aria-labelledby="heading">
                <p class="reason" role="status">{reason or "You are a guest. Log in to be known by name."}</p>
                <div class="fields">
                    <label>Name <input name="username" required maxlength="100" autocomplete="username" autocapitalize="none" spellcheck="false" /></label>
                    <label>Password <input name="password" type="password" required maxlength="1024" autocomplete="current-password" /></label>
                </div>
                <div class="last">
                    <button class="send" type="submit" aria-disabled={self.busy}>{"Logging in …" if self.busy else "Log in"}</button>
                    <output class="outcome problem" role="alert">{self.outcome}</output>
                </div>
            </form>"""

    def _changed(self, _: Any = None) -> None:
        self.user = self._auth.user
        self.reason = self._auth.reason
        if self.user is not None:
            self.outcome = ""

    async def _initialize(self) -> None:
        try:
            await self._auth.initialize()
        except RealtimeError as error:
            self.outcome = f"Could not ask whether you are logged in: {explain(error)}"
        finally:
            self.checking = False

    async def _log_in(self, event: JsProxy) -> None:
        event.preventDefault()
        if self.busy:
            return
        fields = event.target.elements
        name, password = fields.username.value, fields.password.value
        # Whatever becomes of it: it stays nowhere.
        fields.password.value = ""
        self.busy = True
        self.outcome = ""
        try:
            await self._auth.login(name, password)
        except HTTPFailed as error:
            self.outcome = words_of(error)
        except RealtimeError as error:
            self.outcome = f"Not logged in: {explain(error)}"
        finally:
            self.busy = False
        # The form goes, and the focus would go with it.
        await self._focus(".logout" if self.user else "input[name=password]")

    async def _log_out(self, event: JsProxy) -> None:
        # Forgotten at once. That the gateway hears of it is the service's business.
        self.start(self._auth.logout())
        await self._focus("h2")

    async def _focus(self, selector: str) -> None:
        """Move the focus, unless it is elsewhere in the page by now."""
        await drawn()
        if self.root is None or not (node := self.root.querySelector(selector)):
            return
        active = document.activeElement
        if not active or active.isSameNode(document.body) or active.isSameNode(self.root.host):
            node.focus()

    styles = """
    .session { padding: 1rem; }
    .signed-in { display: flex; align-items: center; gap: 0.75rem; margin-bottom: 0.75rem; }
    .avatar {
      display: grid;
      flex: none;
      place-items: center;
      width: 2.25rem;
      height: 2.25rem;
      border-radius: 50%;
      background: var(--accent);
      color: var(--on-accent);
      font-weight: 600;
    }
    form { display: grid; gap: 0.75rem; }
    .reason { color: var(--text-quiet); font-size: 0.875rem; }
    .fields { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 9rem), 1fr)); gap: 0.75rem; }
    label { display: grid; align-content: start; gap: 0.25rem; color: var(--text-quiet); font-size: 0.8125rem; }
    input {
      width: 100%;
      min-height: 2.375rem;
      padding: 0.375rem 0.625rem;
      border: 1px solid var(--control-line);
      border-radius: 0.5rem;
      background: var(--surface);
      color: var(--text);
      font-size: 0.9375rem;
    }
    .last { display: flex; flex-wrap: wrap; align-items: center; gap: 0.5rem 1rem; }
    .send { border-color: var(--accent); background: var(--accent); color: var(--on-accent); font-weight: 600; }
    .outcome { padding: 0; text-align: start; font-size: 0.875rem; }
    h2:focus { outline: none; }
    """


def words_of(error: HTTPFailed) -> str:
    """Say why the gateway did not log somebody in."""
    match error.status:
        case 401:
            return "Wrong name or password."
        case 429:
            return "Too many attempts. Please wait a minute."
    return f"Not logged in: {explain(error)}"
