"""Datasets that need no store: each row is a function of its number, and of nothing else.

So a row is the same whenever and however often it is asked for, also after a restart, and what a
client missed is made anew instead of being kept for it.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

Row = dict[str, int | float | str | None]

#: Rows that are made at a time: some milliseconds' work, and the most that an event carries.
CHUNK = 1000

_json = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


@dataclass(frozen=True)
class Dataset:
    """Rows with ids from 0 on. How many of them exist, is `Production`'s to say."""

    name: str
    #: What a row may have, in this order. One that lacks a field lacks its key.
    fields: tuple[str, ...]
    #: Makes the row of an id.
    row: Callable[[int], Row]

    def chunks(self, start: int, stop: int) -> Iterator[list[Row]]:
        """Yield the rows from `start` up to but without `stop`, at most `CHUNK` at a time.

        None is made before it is asked for.
        """
        for first in range(start, stop, CHUNK):
            yield [self.row(number) for number in range(first, min(first + CHUNK, stop))]


class Production:
    """How many rows there are: `rows_at_start`, and `rate` more each second from now on."""

    def __init__(
        self, rows_at_start: int, rate: int, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rows_at_start = rows_at_start
        self._rate = rate
        self._clock = clock
        self._started = clock()

    def count(self) -> int:
        """Return the number of rows that exist."""
        return self._rows_at_start + int(self._elapsed() * self._rate)

    def head(self) -> int:
        """Return the id of the last row, -1 if there is none."""
        return self.count() - 1

    def seconds_until(self, number: int) -> float | None:
        """Return the seconds until the row `number` exists, 0 if it does; None if it never will."""
        missing = number + 1 - self._rows_at_start
        if missing <= 0:
            return 0
        return max(0, missing / self._rate - self._elapsed()) if self._rate else None

    def _elapsed(self) -> float:
        return self._clock() - self._started


def encode(value: object) -> str:
    """Return JSON without a space or a line end in it."""
    return _json.encode(value)


#: 2026-01-05T08:00:00Z: where the datasets' time begins. It has to be fixed, as their rows are.
_EPOCH = 1_767_600_000_000

_MASK = 2**64 - 1


def _noise(number: int, salt: int) -> int:
    """Return 64 bits that look random, but follow from `number` (the finaliser of SplitMix64)."""
    bits = (number * 0x9E3779B97F4A7C15 + salt) & _MASK
    bits = ((bits ^ bits >> 30) * 0xBF58476D1CE4E5B9) & _MASK
    bits = ((bits ^ bits >> 27) * 0x94D049BB133111EB) & _MASK
    return bits ^ bits >> 31


def _fraction(bits: int, shift: int) -> float:
    """Return 16 of the bits as a number from 0 to below 1."""
    return (bits >> shift & 0xFFFF) / 0x10000


def _moment(number: int, step: int, fraction: float) -> int:
    """Return a time that always increases with `number`, by `step` milliseconds on average."""
    return _EPOCH + number * step + int(fraction * step)


#: Ticker, share of the trades in 1/256, and the price around which it wanders.
_TICKERS = (
    ("ALDR", 60, 182.5),
    ("BRYO", 48, 41.2),
    ("CYNT", 36, 310.0),
    ("DUVA", 28, 12.75),
    ("EPSO", 22, 96.4),
    ("FJRD", 18, 540.0),
    ("GRVL", 14, 7.9),
    ("HOLT", 10, 228.3),
    ("IVRE", 8, 63.1),
    ("JUPE", 6, 1250.0),
    ("KVLR", 4, 3.4),
    ("LYNQ", 2, 87.6),
)

#: Ticker, phase and price for each of 256 equally likely numbers.
_SHARES = tuple(
    (ticker, 1.7 * position, price)
    for position, (ticker, share, price) in enumerate(_TICKERS)
    for _ in range(share)
)


def _trade(number: int) -> Row:
    bits = _noise(number, 1)
    ticker, phase, price = _SHARES[bits & 0xFF]
    # Slow, middling and fast; what one trade adds to the one before is next to nothing.
    wander = (
        0.12 * math.sin(number / 9000 + phase)
        + 0.03 * math.sin(number / 1100 + 2.3 * phase)
        + 0.006 * math.sin(number / 97 + 5.1 * phase)
        + 0.002 * (_fraction(bits, 8) - 0.5)
    )
    return {
        "id": number,
        "time": _moment(number, 50, _fraction(bits, 24)),
        "symbol": ticker,
        "price": round(price * (1 + wander), 2),
        # Pareto's: half of them are 17 at most, a few tens of thousands.
        "quantity": int(10 * (1 - _fraction(bits, 40)) ** -0.8),
    }


#: Station and its mean temperature. 16 of them, equally likely.
_STATIONS = (
    ("Aalborg", 8.6),
    ("Bodø", 5.4),
    ("Córdoba", 18.2),
    ("Dakar", 24.9),
    ("Évora", 16.1),
    ("Fürth", 9.8),
    ("Győr", 11.0),
    ("Hobart", 13.1),
    ("İzmir", 17.9),
    ("Jeju", 16.2),
    ("Київ", 9.0),
    ("Łódź", 8.9),
    ("München", 9.7),
    ("Niš", 12.2),
    ("大阪", 17.1),
    ("Þórshöfn", 3.9),
)

_NOTES = (
    "calibrated",
    "battery low",
    "sensor replaced – Gerät getauscht",
    '<b>not</b> bold & "quoted"',
)


def _reading(number: int) -> Row:
    bits = _noise(number, 2)
    station, mean = _STATIONS[bits & 0xF]
    row: Row = {
        "id": number,
        "time": _moment(number, 1000, _fraction(bits, 4)),
        "station": station,
        "temperature": None,
    }
    if _fraction(bits, 20) >= 0.02:
        # A day's 86,400 s are as many rows, a year's 365 times as many.
        day = 4 * math.sin(math.tau * number / 86_400)
        year = 9 * math.sin(math.tau * number / (365 * 86_400))
        row["temperature"] = round(mean + day + year + 3 * (_fraction(bits, 36) - 0.5), 1)
    kind = bits >> 52 & 0x7F
    if kind < len(_NOTES):
        row["note"] = _NOTES[kind]
    return row


DATASETS = {
    dataset.name: dataset
    for dataset in (
        Dataset("trades", ("id", "time", "symbol", "price", "quantity"), _trade),
        Dataset("sensors", ("id", "time", "station", "temperature", "note"), _reading),
    )
}
