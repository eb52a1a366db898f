from __future__ import annotations

import pytest

from server.rate_limit import RateLimiter


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_burst_and_then_the_rate(clock: Clock) -> None:
    limiter = RateLimiter(2, 3, clock=clock)
    assert [limiter.take("a") for _ in range(4)] == [0, 0, 0, 0.5]
    clock.now = 0.25
    assert limiter.take("a") == 0.25
    clock.now = 0.5
    assert [limiter.take("a") for _ in range(2)] == [0, 0.5]


def test_tokens_do_not_gather_beyond_the_burst(clock: Clock) -> None:
    limiter = RateLimiter(1, 2, clock=clock)
    limiter.take("a")
    clock.now = 1000
    assert [limiter.take("a") == 0 for _ in range(3)] == [True, True, False]


def test_one_client_does_not_use_up_anothers(clock: Clock) -> None:
    limiter = RateLimiter(1, 1, clock=clock)
    assert [limiter.take("a"), limiter.take("b"), limiter.take("a")] == [0, 0, 1]


def test_being_refused_costs_nothing(clock: Clock) -> None:
    limiter = RateLimiter(1, 1, clock=clock)
    limiter.take("a")
    assert [limiter.take("a") for _ in range(100)] == [1] * 100


def test_idle_clients_are_forgotten(clock: Clock) -> None:
    limiter = RateLimiter(10, 10, clock=clock)
    for address in range(1000):
        clock.now += 0.01
        limiter.take(str(address))
    assert len(limiter._buckets) <= 101
