from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.access_tokens import AccessTokens, InvalidTokenError, load_secret
from server.session_store import Session

SECRET = b"0123456789abcdef0123456789abcdef"
SESSION = Session("sid", "1", "ada")
TOKENS = AccessTokens(SECRET, ttl=300)

CLAIMS = {
    "iss": "realtime-gateway",
    "aud": "realtime-gateway",
    "sub": "1",
    "name": "ada",
    "sid": "sid",
    "iat": int(time.time()),
    "exp": int(time.time()) + 300,
}
HEADER = {"typ": "at+jwt"}


def reason(token: str) -> str:
    with pytest.raises(InvalidTokenError) as caught:
        TOKENS.read(token)
    assert token[:20] not in str(caught.value) or not token
    return str(caught.value)


def signed(claims: dict[str, Any], secret: bytes = SECRET, algorithm: str = "HS256") -> str:
    return jwt.encode(claims, secret, algorithm, headers=HEADER)


def test_a_token_says_who_and_until_when() -> None:
    before = time.time()
    identity = TOKENS.read(TOKENS.issue(SESSION))
    assert identity.session == SESSION
    assert identity.user == {"id": "1", "name": "ada"}
    assert before + 300 <= identity.expires <= time.time() + 301


def test_its_claims() -> None:
    token = TOKENS.issue(SESSION)
    assert jwt.get_unverified_header(token) == {"alg": "HS256", "typ": "at+jwt"}
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims.keys() == CLAIMS.keys()


def test_a_token_of_our_own_making_is_good() -> None:
    assert TOKENS.read(signed(CLAIMS)).session == SESSION


def test_an_expired_token() -> None:
    old = AccessTokens(SECRET, ttl=300, clock=lambda: time.time() - 302)
    assert reason(old.issue(SESSION)) == "token expired"


def test_a_clock_that_was_set_back() -> None:
    early = AccessTokens(SECRET, ttl=300, clock=lambda: time.time() + 60)
    assert TOKENS.read(early.issue(SESSION)).session == SESSION


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_claim_that_is_missing(claim: str) -> None:
    assert reason(signed({k: v for k, v in CLAIMS.items() if k != claim})) == "token not valid"


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "other"},
        {"aud": "other"},
        {"sub": 1},
        {"name": None},
        {"name": {}},
        {"sid": ["sid"]},
        {"exp": "never"},
        {"exp": None},
        {"exp": 1e400},
    ],
)
def test_a_claim_that_is_another(change: dict[str, Any]) -> None:
    assert reason(signed(CLAIMS | change)) == "token not valid"


def test_a_token_of_another_secret() -> None:
    assert reason(signed(CLAIMS, SECRET[::-1])) == "token not valid"


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
@pytest.mark.filterwarnings("ignore::jwt.InsecureKeyLengthWarning")
def test_a_token_of_another_algorithm(algorithm: str) -> None:
    assert reason(signed(CLAIMS, algorithm=algorithm)) == "token not valid"


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "", "HS256"])
def test_a_token_that_is_not_signed(algorithm: str) -> None:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    token = f"{part({'alg': algorithm, 'typ': 'at+jwt'})}.{part(CLAIMS)}."
    assert reason(token) == "token not valid"


def test_a_token_of_another_type() -> None:
    assert reason(jwt.encode(CLAIMS, SECRET, "HS256")) == "token not valid"


def test_a_token_that_was_changed() -> None:
    header, claims, signature = TOKENS.issue(SESSION).split(".")
    other = TOKENS.issue(Session("sid", "2", "bob")).split(".")[1]
    assert reason(f"{header}.{other}.{signature}") == "token not valid"
    assert reason(f"{header}.{claims}.{signature[:-4]}") == "token not valid"
    assert reason(f"{header}.{claims}") == "token not valid"


@given(st.text() | st.text("abcXYZ019_-.=").map(lambda t: f"eyJhbGciOiJIUzI1NiJ9.{t}.{t}"))
def test_any_text_is_refused(text: str) -> None:
    with pytest.raises(InvalidTokenError):
        TOKENS.read(text)


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x" * 1_000_000,
        "\ud800",
        ".".join(["e30"] * 3),
        base64.urlsafe_b64encode(b"[" * 2900).decode().rstrip("=") + ".e30.e30",
    ],
)
def test_what_is_no_token(token: str) -> None:
    assert reason(token) == "token not valid"


def test_a_secret_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "auth.secret"
    secret = load_secret(path)
    assert len(secret) == 64
    assert load_secret(path) == secret
    assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["auth.secret"]
    assert load_secret(tmp_path / "other") != secret


def test_a_secret_that_is_too_short(tmp_path: Path) -> None:
    path = tmp_path / "auth.secret"
    path.write_bytes(b"short")
    with pytest.raises(ValueError, match="at least 32 bytes") as caught:
        load_secret(path)
    assert "short" not in str(caught.value)
