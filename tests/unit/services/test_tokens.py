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


class Hearing:
    def __init__(self, *tokens):
        self.tokens = list(tokens)
        self.refusals = []

    def __call__(self):
        return self.tokens.pop(0)

    def refused(self, token):
        self.refusals.append(token)


async def test_a_provider_that_wants_to_is_told_which_token_was_refused():
    provider = Hearing("first", "second", None)
    source = TokenSource(provider)
    source.refused()
    assert provider.refusals == []
    await source.get()
    source.refused()
    await source.get()
    source.refused()
    assert provider.refusals == ["first", "second"]
    await source.get()
    source.refused()
    assert provider.refusals == ["first", "second"]


@pytest.mark.parametrize("token", ["abc", lambda: "abc", None])
async def test_others_are_not_told(token):
    source = TokenSource(token)
    await source.get()
    source.refused()
