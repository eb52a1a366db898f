from __future__ import annotations

import itertools
import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server import datasets
from server.datasets import CHUNK, DATASETS, Dataset, Production
from server.validation import MAX_INTEGER
from tests.support.gateway import ROOT

TRADES, SENSORS = DATASETS["trades"], DATASETS["sensors"]

any_dataset = st.sampled_from(list(DATASETS.values()))


def rows(dataset: Dataset, count: int = 5000) -> list[dict[str, Any]]:
    return list(itertools.chain.from_iterable(dataset.chunks(0, count)))


@given(any_dataset, st.integers(0, MAX_INTEGER))
def test_a_row_is_a_function_of_its_number(dataset: Dataset, number: int) -> None:
    row = dataset.row(number)
    assert row == dataset.row(number)
    assert row["id"] == number
    assert [field for field in dataset.fields if field in row] == list(row)
    assert json.loads(datasets.encode(row)) == row


def test_rows_are_the_same_in_every_process() -> None:
    code = "from server.datasets import *; print([d.row(12345) for d in DATASETS.values()])"
    command = [sys.executable, "-c", code]
    printed = {
        subprocess.run(
            command, cwd=ROOT, env={"PYTHONHASHSEED": seed}, capture_output=True, text=True
        ).stdout
        for seed in ("1", "2")
    }
    assert printed == {f"{[dataset.row(12345) for dataset in DATASETS.values()]}\n"}


@given(any_dataset, st.integers(0, 10**7))
def test_time_goes_on(dataset: Dataset, number: int) -> None:
    one, other = (dataset.row(n)["time"] for n in (number, number + 1))
    assert isinstance(one, int)
    assert isinstance(other, int)
    assert one < other


def test_time_goes_on_irregularly() -> None:
    times = [row["time"] for row in rows(TRADES)]
    steps = {after - before for before, after in itertools.pairwise(times)}
    assert len(steps) > 50


def test_trades() -> None:
    made = rows(TRADES)
    assert all(list(row) == list(TRADES.fields) for row in made)
    assert {tuple(map(type, row.values())) for row in made} == {(int, int, str, float, int)}
    assert all(row["price"] == round(row["price"], 2) > 0 for row in made)
    symbols = [row["symbol"] for row in made]
    shares = sorted(symbols.count(symbol) for symbol in set(symbols))
    assert len(shares) == 12
    assert 0 < 10 * shares[0] < shares[-1]
    quantities = sorted(row["quantity"] for row in made)
    assert quantities[0] == 10
    assert sum(quantities) / len(quantities) > 2 * quantities[len(quantities) // 2]


def test_prices_wander() -> None:
    """From one trade to the next a price changes little, over all of them by more."""
    prices = [row["price"] for row in rows(TRADES, 100_000) if row["symbol"] == "ALDR"]
    steps = [abs(b / a - 1) for a, b in itertools.pairwise(prices)]
    assert 0 < max(steps) < 0.01
    assert max(prices) / min(prices) > 1.2


def test_sensors() -> None:
    made = rows(SENSORS, 20_000)
    assert all(list(row)[:4] == list(SENSORS.fields)[:4] for row in made)
    assert any(not str(row["station"]).isascii() for row in made)
    missing = sum(row["temperature"] is None for row in made)
    assert 0.015 < missing / len(made) < 0.025
    noted = [row["note"] for row in made if "note" in row]
    assert 0.02 < len(noted) / len(made) < 0.05
    assert all(isinstance(note, str) and note for note in noted)
    temperatures = [row["temperature"] for row in made if row["temperature"] is not None]
    assert all(-30 < t < 50 for t in temperatures)


@given(any_dataset, st.integers(0, 5000), st.integers(0, 5000))
def test_chunks_are_the_rows_in_pieces(dataset: Dataset, start: int, length: int) -> None:
    chunks = list(dataset.chunks(start, start + length))
    assert all(0 < len(chunk) <= CHUNK for chunk in chunks)
    numbers = [row["id"] for chunk in chunks for row in chunk]
    assert numbers == list(range(start, start + length))


def test_a_chunk_is_not_made_before_it_is_asked_for() -> None:
    made: list[int] = []

    def row(number: int) -> datasets.Row:
        made.append(number)
        return {"id": number}

    chunks = Dataset("numbers", ("id",), row).chunks(0, 10**12)
    assert made == []
    next(chunks)
    assert len(made) == CHUNK
    next(chunks)
    assert len(made) == 2 * CHUNK


class Clock:
    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


def test_rows_appear_at_their_rate() -> None:
    clock = Clock()
    production = Production(100, 20, clock=clock)
    assert (production.count(), production.head()) == (100, 99)
    clock.time += 0.04
    assert production.count() == 100
    clock.time += 0.02
    assert production.count() == 101
    clock.time += 3600
    assert production.count() == 101 + 3600 * 20


def test_when_a_row_will_be_there() -> None:
    clock = Clock()
    production = Production(100, 20, clock=clock)
    assert production.seconds_until(99) == 0
    assert production.seconds_until(100) == pytest.approx(0.05)
    assert production.seconds_until(119) == pytest.approx(1)
    clock.time += 0.5
    assert production.seconds_until(119) == pytest.approx(0.5)
    clock.time += 0.6
    assert production.seconds_until(119) == 0


def test_without_a_rate_there_are_no_new_rows() -> None:
    clock = Clock()
    production = Production(0, 0, clock=clock)
    clock.time += 10**6
    assert (production.count(), production.head()) == (0, -1)
    assert production.seconds_until(0) is None
    assert Production(1, 0, clock=clock).seconds_until(0) == 0


def test_what_is_encoded_is_one_line() -> None:
    assert datasets.encode([{"a": "é\n"}, None]) == '[{"a":"é\\n"},null]'
    with pytest.raises(ValueError):
        datasets.encode(float("nan"))
