from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from services.backoff import Backoff


@given(st.integers(0, 2000), st.integers(0, 2**32))
def test_full_jitter_stays_within_its_bounds(attempts, seed):
    backoff = Backoff(1, 30, random.Random(seed).random)
    backoff.attempts = attempts
    assert 0 <= backoff.next_delay() <= min(30, 2.0 ** min(attempts, 10))
    assert backoff.attempts == attempts + 1


def test_a_thousand_clients_spread_over_the_window():
    rng = random.Random(1)
    delays = []
    for _ in range(1000):
        backoff = Backoff(1, 30, rng.random)
        backoff.attempts = 4
        delays.append(backoff.next_delay())
    tenths = [sum(int(delay / 1.6) == n for delay in delays) for n in range(10)]
    assert min(tenths) > 60


def test_rfc_6455_section_7_2_3_the_ceiling_doubles():
    backoff = Backoff(0.5, 5, lambda: 1.0)
    assert [backoff.next_delay() for _ in range(6)] == [0.5, 1, 2, 4, 5, 5]


def test_only_a_healthy_connection_counts_as_a_success():
    backoff = Backoff(1, 30, lambda: 1.0)
    backoff.next_delay()
    backoff.up(10.0)
    assert backoff.down(14.9) is False
    assert backoff.down(100.0) is False
    assert backoff.attempts == 1
    backoff.up(100.0)
    assert backoff.down(105.0) is True
    assert backoff.attempts == 0


def test_a_server_may_ask_for_more():
    assert Backoff(1, 30, lambda: 0.0).next_delay(at_least=60) == 60
