from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.errors import InvalidAnswer
from services.session import LONGEST, Session, User

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
ANSWER = {"accessToken": "secret", "expiresIn": 300, "user": {"id": "1", "name": "ada"}}
NOW = 1_700_000_000_000.0


def kept(**change):
    value = json.loads(Session.from_answer(ANSWER, NOW).as_text())
    return json.dumps(value | change)


def test_what_goes_into_the_vault_comes_out():
    session = Session.from_answer(ANSWER, NOW)
    assert Session.from_text(session.as_text()) == session
    assert (session.issued, session.expires) == (NOW, NOW + 300_000)


def test_no_text_form_shows_the_token():
    session = Session.from_answer(ANSWER, NOW)
    assert "secret" not in repr(session) + str(session)


@given(st.sampled_from(["accessToken", "expiresIn", "user"]), JSON)
def test_an_answer_is_taken_whole_or_refused(name, value):
    try:
        session = Session.from_answer(ANSWER | {name: value}, NOW)
    except InvalidAnswer:
        pass
    else:
        assert 0 < session.expires - session.issued <= LONGEST * 1000
        assert session.token
        assert session.user.id
        assert session.user.name


@pytest.mark.parametrize("token", ["sécret", "secret\r\nX: y", "", 7, None, ["secret"]])
def test_a_token_at_fault_is_not_shown(token):
    with pytest.raises(InvalidAnswer) as caught:
        Session.from_answer(ANSWER | {"accessToken": token}, NOW)
    assert "cret" not in str(caught.value)


@pytest.mark.parametrize("answer", [None, [], "x", 7, {}])
def test_an_answer_that_is_no_object_is_refused(answer):
    with pytest.raises(InvalidAnswer):
        Session.from_answer(answer, NOW)


@given(st.sampled_from(["user", "token", "issued", "expires"]), JSON)
def test_the_vault_may_hold_anything_in_any_field(name, value):
    session = Session.from_text(kept(**{name: value}))
    assert session is None or 0 < session.expires - session.issued <= LONGEST * 1000


@given(st.text() | JSON.map(json.dumps) | st.none())
def test_vault_and_storage_may_hold_anything(text):
    assert Session.from_text(text) is None
    assert User.from_text(text) is None


@pytest.mark.parametrize(
    ("issued", "expires"), [(2, 1), (1, 1), (0, 10**400), (0, 1e300), (NOW, NOW + 1e14)]
)
def test_a_kept_token_has_a_sensible_life(issued, expires):
    assert Session.from_text(kept(issued=issued, expires=expires)) is None


@given(JSON, JSON)
def test_a_user_is_two_texts_that_are_not_too_long(id_, name):
    try:
        user = User.from_value({"id": id_, "name": name, "token": "secret"})
    except InvalidAnswer:
        assert not (isinstance(id_, str) and id_ and isinstance(name, str) and name)
    else:
        assert user.as_dict() == {"id": id_, "name": name}


def test_half_a_surrogate_pair_is_no_name():
    with pytest.raises(InvalidAnswer):
        User.from_value({"id": "1", "name": "\ud800"})


def test_a_long_name_is_cut():
    assert len(User.from_value({"id": "1", "name": "x" * 10_000}).name) == 200
