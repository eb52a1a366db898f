from __future__ import annotations

import json

import pytest

from services.guests import KEY, guest
from tests.support.fake_platform import FakePlatform


def test_a_guest_keeps_name_and_id_in_one_tab(platform):
    assert guest(platform) == guest(platform)
    assert set(guest(platform)) == {"id", "name"}


def test_guests_differ():
    names = {guest(FakePlatform(seed))["id"] for seed in range(20)}
    assert len(names) == 20


@pytest.mark.parametrize("text", ["", "{", "[]", '{"id":1,"name":"x"}', '{"id":"x"}', "5"])
def test_what_else_may_be_stored_there_is_replaced(platform, text):
    platform.store(KEY, text)
    assert guest(platform) == json.loads(platform.stored(KEY))


def test_more_than_a_name_and_an_id_is_not_told(platform):
    platform.store(KEY, '{"id":"a","name":"b","secret":1}')
    assert guest(platform) == {"id": "a", "name": "b"}
