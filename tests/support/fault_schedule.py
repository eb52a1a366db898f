"""What may happen to a connection, when, and in what order."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, Flag, auto


class Direction(Flag):
    """Which way bytes go."""

    TO_GATEWAY = auto()
    TO_CLIENT = auto()
    BOTH = TO_GATEWAY | TO_CLIENT


class How(Enum):
    """How a connection ends: politely, or with a reset that may overtake what was sent."""

    FIN = "FIN"
    RST = "RST"


# What a schedule may order. Each lasts until it is over: `seconds`, or until it took effect.


@dataclass(frozen=True)
class Cut:
    """End every connection."""

    how: How = How.FIN


@dataclass(frozen=True)
class Truncate:
    """End a connection in the midst of the next frame or event that goes this way."""

    direction: Direction = Direction.TO_CLIENT
    how: How = How.FIN


@dataclass(frozen=True)
class HalfOpen:
    """Swallow what goes this way; then end the connections, whose bytes have a hole now."""

    seconds: float
    direction: Direction = Direction.BOTH


@dataclass(frozen=True)
class Delay:
    """Hold every byte back for `latency`, and up to `jitter` more."""

    seconds: float
    latency: float
    jitter: float = 0.0


@dataclass(frozen=True)
class Refuse:
    """End every connection, and each new one as soon as it is accepted."""

    seconds: float


@dataclass(frozen=True)
class Down:
    """End every connection and do not listen."""

    seconds: float


Fault = Cut | Truncate | HalfOpen | Delay | Refuse | Down


class Unit(Enum):
    """What a schedule counts."""

    SECONDS = "seconds"
    #: WebSocket frames and server-sent events that passed to clients.
    MESSAGES = "messages"
    #: Bytes that passed to clients.
    BYTES = "bytes"


@dataclass(frozen=True)
class Step:
    """Order `fault` once `after` units more have passed than when the step before was due.

    Faults wait for a stream to act on: a WebSocket past its handshake, or an event stream.
    """

    after: float
    fault: Fault
    unit: Unit = Unit.MESSAGES


Schedule = Sequence[Step]


def random_schedule(
    seed: int, count: int, *, messages: int, ways: Direction = Direction.BOTH
) -> list[Step]:
    """Return `count` faults, spread over so many `messages`; the same ones for the same seed.

    `ways` is where frames may be cut in two: an event stream has none on the way to the gateway.
    """
    rng = random.Random(seed)

    def fault() -> Fault:
        how = rng.choice(list(How))
        way = rng.choice([Direction.TO_GATEWAY, Direction.TO_CLIENT])
        match rng.randrange(8):
            case 0 | 1 | 2:
                return Truncate(way & ways or Direction.TO_CLIENT, how)
            case 3 | 4 | 5:
                return Cut(how)
            case 6:
                return HalfOpen(rng.uniform(0.02, 0.1), rng.choice([way, Direction.BOTH]))
            case _:
                return Delay(rng.uniform(0.05, 0.1), rng.uniform(0.001, 0.01), rng.uniform(0, 0.02))

    places = sorted(rng.randrange(messages) for _ in range(count))
    return [
        Step(place - before, fault()) for before, place in zip([0, *places], places, strict=False)
    ]
