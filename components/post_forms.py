"""`<notification-form>` and `<activity-form>`: post one, so that a person alone can see it work."""

from string.templatelib import Template
from typing import ClassVar

from pyodide.ffi import JsProxy

from components.element import Element, reactive
from components.words import explain
from services.errors import RealtimeError
from services.gateway_api import GatewayAPI


class PostForm(Element):
    """A form that sends its fields to the gateway and says what became of it."""

    heading: ClassVar[str]

    sending = reactive(False)
    outcome = reactive("")
    failed = reactive(False)

    def __init__(self, api: GatewayAPI) -> None:
        self.api = api

    def fields(self) -> Template:
        """Return the form's labelled controls."""
        raise NotImplementedError

    async def post(self, values: dict[str, str]) -> str:
        """Send the fields' values by name; return the id given. Raises RealtimeError."""
        raise NotImplementedError

    def render(self) -> Template:
        """Show the controls, the button and the outcome of the last post."""
        kind = "problem" if self.failed else "done"
        return t"""<form class="panel" aria-labelledby="heading" @submit={self._submit}>
            <h2 id="heading">{self.heading}</h2>
            <div class="fields">{self.fields()}</div>
            <div class="last">
                <button class="send" type="submit" aria-disabled={self.sending}>
                    {"Sending …" if self.sending else "Send"}</button>
                <output class="outcome {kind}" role="status">{self.outcome}</output>
            </div>
        </form>"""

    async def _submit(self, event: JsProxy) -> None:
        event.preventDefault()
        if self.sending:
            return
        form = event.target
        values = {control.name: control.value for control in form.elements if control.name}
        self.sending = True
        self.outcome = ""
        try:
            await self.post(values)
        except RealtimeError as error:
            self.outcome, self.failed = f"Not sent: {explain(error)}", True
        else:
            self.outcome, self.failed = "Sent", False
            form.reset()
        finally:
            self.sending = False

    styles = """
    form { padding: 1rem; gap: 0.75rem; }
    h2 { font-size: 1rem; font-weight: 600; }

    .fields {
      display: grid;
      grid-template-columns: repeat(2, minmax(0, 1fr));
      gap: 0.75rem;
    }

    label { display: grid; align-content: start; gap: 0.25rem; font-size: 0.8125rem; color: var(--text-quiet); }
    label.wide { grid-column: 1 / -1; }

    input, select {
      width: 100%;
      min-height: 2.375rem;
      padding: 0.375rem 0.625rem;
      border: 1px solid var(--control-line);
      border-radius: 0.5rem;
      background: var(--surface);
      color: var(--text);
      font-size: 0.9375rem;
    }

    ::placeholder { color: var(--text-quiet); opacity: 1; }

    .last { display: flex; flex-wrap: wrap; align-items: center; gap: 0.5rem 1rem; }

    .send { border-color: var(--accent); background: var(--accent); color: var(--on-accent); font-weight: 600; }

    .outcome { padding: 0; text-align: start; font-size: 0.875rem; }
    .outcome.done { color: var(--success); }
    """


class NotificationForm(PostForm):
    """Posts a notification."""

    tag = "notification-form"
    heading = "Post a notification"

    def fields(self) -> Template:
        """Return kind, title and message."""
        return t"""
            <label>Kind
                <select name="type">
                    <option value="info">Info</option>
                    <option value="success">Success</option>
                    <option value="warning">Warning</option>
                    <option value="error">Error</option>
                </select>
            </label>
            <label>Title <input name="title" required maxlength="200" autocomplete="off" /></label>
            <label class="wide">Message <input name="message" maxlength="2000" autocomplete="off" /></label>"""

    async def post(self, values: dict[str, str]) -> str:
        """Send it."""
        return await self.api.post_notification(**values)


class ActivityForm(PostForm):
    """Posts an activity."""

    tag = "activity-form"
    heading = "Post an activity"

    def fields(self) -> Template:
        """Return who did what to what."""
        return t"""
            <label>Who <input name="user_name" required maxlength="200" autocomplete="name" /></label>
            <label>Did what
                <input name="action" required maxlength="200" placeholder="commented on" autocomplete="off" /></label>
            <label class="wide">To what
                <input name="target" required maxlength="200" placeholder="the roadmap" autocomplete="off" /></label>"""

    async def post(self, values: dict[str, str]) -> str:
        """Send it; a person who is not signed in is known by name alone."""
        return await self.api.post_activity(user_id=values["user_name"], **values)
