from __future__ import annotations

import json

import pytest

from services.auth import AuthService
from services.errors import ConfigurationError, ConnectionFailed, HTTPFailed, InvalidAnswer
from services.gateway_api import GatewayAPI
from services.platform import HTTPAnswer

pytestmark = pytest.mark.anyio


@pytest.fixture
def api(platform):
    return GatewayAPI("./api", timeout=7, platform=platform)


async def test_posting(api, platform):
    platform.answers = [HTTPAnswer(201, '{"id": "12"}'), HTTPAnswer(201, '{"id": 13}')]
    assert await api.post_notification(title="é", message="m", type="error") == "12"
    assert await api.post_activity(user_name="Ann", action="a", target="t") == "13"
    (_, url, body, timeout), (_, activities, activity, _) = platform.requests
    assert (url, timeout) == ("https://page.example/app/api/notifications", 7)
    assert json.loads(body) == {"type": "error", "title": "é", "message": "m"}
    assert activities.endswith("/api/activities")
    assert json.loads(activity)["userName"] == "Ann"


async def test_recent_activities(api, platform):
    platform.answers = [HTTPAnswer(200, '[{"id": "1"}]')]
    assert await api.recent_activities() == [{"id": "1"}]
    assert platform.requests[0][:2] == (
        "GET",
        "https://page.example/app/api/activities?limit=20",
    )


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ('{"error": {"message": "title must be text", "field": "title"}}', "title must be text"),
        ('{"error": "too many"}', "too many"),
        ("<h1>Bad gateway</h1>", "<h1>Bad gateway</h1>"),
        ("", "no explanation"),
        ("[]", r"\[\]"),
        ('{"error": {}}', "{"),
        ("x" * 5_000_000, "xxx"),
    ],
    ids=lambda value: value[:10],
)
async def test_a_refusal_carries_the_gateways_words(api, platform, body, text):
    platform.answers = [HTTPAnswer(422, body)]
    with pytest.raises(HTTPFailed, match=f"HTTP 422: {text}") as caught:
        await api.post_notification(title="")
    assert caught.value.status == 422
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize("body", ["", "nope", "{}", "7", "[1]", "[[]]", "[" * 10**6, "null"])
async def test_an_answer_of_another_shape_is_invalid(api, platform, body):
    platform.answers = [HTTPAnswer(200, body)]
    with pytest.raises(InvalidAnswer, match=r"expected .*came "):
        await api.recent_activities()


@pytest.mark.parametrize("body", ["[]", "{}", '{"id": null}', '{"id": true}'])
async def test_a_post_without_an_id_is_invalid(api, platform, body):
    platform.answers = [HTTPAnswer(201, body)]
    with pytest.raises(InvalidAnswer):
        await api.post_notification(title="t")


async def test_network_errors_pass(api, platform):
    platform.answers = [ConnectionFailed("no network")]
    with pytest.raises(ConnectionFailed):
        await api.recent_activities()


async def test_a_limit_that_is_no_number_is_refused(api):
    with pytest.raises(ConfigurationError):
        await api.recent_activities(limit="20&x=1")


# Tokens


class Provider:
    """Hands out tokens, and the next one once the last was refused."""

    def __init__(self, *tokens):
        self.tokens = list(tokens)
        self.refusals = []

    async def __call__(self):
        return self.tokens[0]

    def refused(self, token):
        self.refusals.append(token)
        if len(self.tokens) > 1:
            self.tokens.pop(0)


class Guarded:
    """A gateway that knows one token; it stands in for the platform's fetch."""

    def __init__(self, good):
        self.good = good
        self.came = []

    async def fetch(self, method, url, *, body=None, token=None, **_):
        self.came.append((token, body))
        if token == self.good:
            return HTTPAnswer(201, '{"id": "1"}')
        return HTTPAnswer(401, '{"error": {"message": "token expired"}}')


def guarded(platform, token, good="new"):
    gateway = Guarded(good)
    platform.fetch = gateway.fetch
    return GatewayAPI("./api", token=token, platform=platform), gateway


@pytest.mark.parametrize("token", ["new", lambda: "new", Provider("new")])
async def test_the_token_goes_along(platform, token):
    api, gateway = guarded(platform, token)
    assert await api.post_notification(title="t") == "1"
    assert [token for token, _ in gateway.came] == ["new"]


async def test_a_refused_token_is_asked_for_again_and_the_same_sent_again(platform):
    provider = Provider("old", "new")
    api, gateway = guarded(platform, provider)
    assert await api.post_notification(title="t") == "1"
    assert provider.refusals == ["old"]
    (old, first), (new, second) = gateway.came
    assert (old, new) == ("old", "new")
    assert first == second


async def test_a_provider_that_needs_no_telling_is_asked_again_too(platform):
    tokens = iter(["old", "new"])
    api, gateway = guarded(platform, lambda: next(tokens))
    assert await api.post_notification(title="t") == "1"
    assert len(gateway.came) == 2


async def test_it_is_tried_again_once(platform):
    provider = Provider("old", "older", "oldest")
    api, gateway = guarded(platform, provider)
    with pytest.raises(HTTPFailed, match="token expired"):
        await api.post_notification(title="t")
    assert [token for token, _ in gateway.came] == ["old", "older"]


@pytest.mark.parametrize("token", ["old", Provider("old"), Provider("old", None), None])
async def test_not_where_there_is_no_newer_token(platform, token):
    api, gateway = guarded(platform, token)
    with pytest.raises(HTTPFailed) as caught:
        await api.post_notification(title="t")
    assert caught.value.status == 401
    assert len(gateway.came) == 1


async def test_a_provider_that_does_not_deliver_is_told_without_the_token(platform):
    def fail():
        raise ValueError("secret")

    api, gateway = guarded(platform, fail)
    with pytest.raises(ConnectionFailed) as caught:
        await api.recent_activities()
    assert "secret" not in str(caught.value)
    assert gateway.came == []


async def test_the_session_is_a_provider(platform):
    answers = iter(["first", "second"])

    async def fetch(method, url, *, body=None, token=None, **_):
        if url.endswith(("login", "refresh")):
            user = {"id": "1", "name": "ada"}
            value = {"accessToken": next(answers), "expiresIn": 300, "user": user}
            return HTTPAnswer(200, json.dumps(value))
        return HTTPAnswer(200, "[]") if token == "second" else HTTPAnswer(401, "")

    platform.fetch = fetch
    auth = AuthService(platform=platform)
    api = GatewayAPI("./api", token=auth, platform=platform)
    with pytest.raises(HTTPFailed):
        await api.recent_activities()
    await auth.login("ada", "secret")
    assert await api.recent_activities() == []
    auth.close()
