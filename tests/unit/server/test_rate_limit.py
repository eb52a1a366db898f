from __future__ import annotations

import pytest
from starlette.requests import HTTPConnection

from server.rate_limit import RateLimiter, client_key


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_charge_may_leave_a_debt(clock: Clock) -> None:
    limiter = RateLimiter(10, 5, clock=clock)
    limiter.charge("a", 20)
    assert limiter.take("a") == pytest.approx(1.6)
    clock.now += 1
    # Others come and go meanwhile.
    assert limiter.take("b") == 0
    assert limiter.take("a") == pytest.approx(0.6)
    clock.now += 0.61
    assert limiter.take("a") == 0


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


def test_a_token_given_back_can_be_taken_again(clock: Clock) -> None:
    limiter = RateLimiter(1, 1, clock=clock)
    for _ in range(100):
        assert limiter.take("a") == 0
        limiter.give_back("a")
    limiter.give_back("a")
    limiter.give_back("stranger")
    assert [limiter.take("a"), limiter.take("a")] == [0, 1]
    assert [limiter.take("stranger"), limiter.take("stranger")] == [0, 1]


@pytest.mark.parametrize(
    ("host", "key"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::ffff", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_what_a_client_is_counted_by(host: str, key: str) -> None:
    client = (host, 1) if host else None
    assert client_key(HTTPConnection({"type": "http", "client": client, "headers": []})) == key
