from __future__ import annotations

import json

import pytest

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
