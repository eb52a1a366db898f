from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.collaborators import ANONYMOUS, LONGEST_NAME, Collaborator, Collaborators
from services.replica import Person


def person(client, name="Ada", user_id="u1", hue=0):
    return Person(client, {"name": name, "id": user_id}, hue)


def test_who_comes_has_joined_and_who_goes_has_left():
    others = Collaborators()
    assert others.update([person(1)]) == ([Collaborator(1, "u1", "Ada", 0)], [])
    assert others.update([person(1), person(2, "Bob", "u2")])[0][0].name == "Bob"
    joined, left = others.update([person(2, "Bob", "u2")])
    assert (joined, [other.client_id for other in left]) == ([], [1])
    assert [other.client_id for other in others.present] == [2]


def test_a_new_name_is_no_new_person_but_a_new_user_is():
    others = Collaborators()
    others.update([person(1)])
    assert others.update([person(1, "Countess")]) == ([], [])
    assert others.present[0].name == "Countess"
    joined, left = others.update([person(1, "Bob", "u2")])
    assert ([j.user_id for j in joined], [other.user_id for other in left]) == (["u2"], ["u1"])


def test_the_order_is_that_of_coming():
    others = Collaborators()
    others.update([person(5)])
    others.update([person(3), person(5)])
    assert [other.client_id for other in others.present] == [5, 3]


@pytest.mark.parametrize("user", [{}, {"name": 5}, {"name": None, "id": []}, {"name": " \n "}])
def test_whoever_says_nothing_of_use_is_anonymous(user):
    other = Collaborator.from_person(Person(7, user, 0))
    assert (other.name, other.user_id) == (ANONYMOUS, "7")


@given(st.text())
def test_a_name_is_short_and_visible(name):
    shown = Collaborator.from_person(Person(1, {"name": name}, 0)).name
    assert 1 <= len(shown) <= LONGEST_NAME
    assert shown.isprintable()
    assert shown.strip() == shown
