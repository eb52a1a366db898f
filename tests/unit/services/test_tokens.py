from __future__ import annotations

import pytest

from services.errors import ConfigurationError, ConnectionFailed
from services.tokens import TokenSource

pytestmark = pytest.mark.anyio


async def provide():
    return "from a coroutine"[:4]


@pytest.mark.parametrize(
    ("token", "value"),
    [("abc", "abc"), (lambda: "x", "x"), (provide, "from"), (lambda: None, None)],
)
async def test_kinds_of_tokens(token, value):
    source = TokenSource(token)
    assert bool(source)
    assert await source.get() == value


async def test_none_is_nothing_to_ask():
    assert not TokenSource(None)
    assert await TokenSource(None).get() is None


@pytest.mark.parametrize("answer", [7, "", "sécret", "secret\r\nX: y", b"secret"])
async def test_what_cannot_be_a_token_is_told_without_showing_it(answer):
    with pytest.raises(ConnectionFailed) as caught:
        await TokenSource(lambda: answer).get()
    assert "secret" not in str(caught.value) + str(caught.value.__cause__)
    if isinstance(answer, str):
        with pytest.raises(ConfigurationError, match="visible ASCII"):
            TokenSource(answer)


def test_no_text_form_shows_the_token():
    assert "secret" not in repr(TokenSource("secret")) + str(TokenSource("secret"))
