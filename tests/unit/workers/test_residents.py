"""Datasets in a worker answer as if each question were the first."""

from __future__ import annotations

import marshal
import re

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from services.errors import InvalidCall, NotTransferable
from services.operation import marked
from tests.unit.workers.rows import FIELDS, OTHERS, TEXTS
from workers import residents
from workers.aggregates import aggregate
from workers.conditions import matching
from workers.grouping import grouped
from workers.moving import histogram, moving
from workers.ordering import keys_of, ordered
from workers.residents import LONGEST_WINDOW, MOST_VIEWS, Resident, Residents
from workers.tables import RowTable

NUMBERS = st.integers(-2, 3) | st.sampled_from([0.5, float("nan"), float("inf"), 10**400])
# Often the same: views are asked for again.
WHERES = st.none() | st.sampled_from(
    [
        {"field": "a", "operator": "greater", "value": 0},
        {"field": "a", "value": None},
        {"any": [{"field": "b", "value": 1}, {"field": "ö", "operator": "less", "value": "b"}]},
        {"all": []},
        {"any": []},
    ]
)
KEYS = st.none() | st.lists(
    st.fixed_dictionaries(
        {"field": st.sampled_from(FIELDS)}, optional={"order": st.sampled_from(["asc", "desc"])}
    ),
    min_size=1,
    max_size=2,
)
VALUES = st.none() | NUMBERS | TEXTS | OTHERS
ROWS = st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, VALUES)), max_size=5)


class Residence(RuleBasedStateMachine):
    """One dataset beside the plain rows, which are looked at anew for every question."""

    @initialize(rows=ROWS, limit=st.none() | st.integers(1, 6))
    def load(self, rows, limit):
        self.residents = Residents()
        self.operations = self.residents.operations()
        self.limit = limit
        self.rows = []
        self.had = set()
        self.come = 0
        answer = self.ask("load", list(rows), limit=limit)
        self.took(rows, answer)

    def ask(self, name, *values, **options):
        function = self.operations[name]
        checked = marked(function)[0].check({"dataset": 1, **options})
        # As it comes over the wire: never the same objects twice.
        values, checked = marshal.loads(marshal.dumps((values, checked)))
        return function(*values, **checked)

    def took(self, rows, answer):
        self.rows += rows
        self.come += len(rows)
        self.had.update(field for row in rows for field in row)
        if self.limit is not None:
            self.rows = self.rows[-self.limit :]
        assert answer["count"] == len(self.rows)
        assert answer["dropped"] == self.come - len(self.rows)
        assert set(answer["fields"]) == self.had

    @rule(rows=ROWS)
    def append(self, rows):
        self.took(rows, self.ask("append", list(rows)))

    def fresh(self, where, keys):
        """A table of the same rows that nobody has asked anything, and the rows of a view."""
        table = RowTable(marshal.loads(marshal.dumps(self.rows)))
        table._fields.update(dict.fromkeys(self.had))
        numbers = list(range(len(table))) if where is None else matching(table, where)
        return table, numbers if keys is None else ordered(
            table, keys_of(None, "asc", keys), numbers
        )

    def same(self, ask, compute):
        try:
            expected = compute()
        except InvalidCall as error:
            with pytest.raises(InvalidCall, match=re.escape(error.message)):
                ask()
        else:
            assert repr(ask()) == repr(expected)

    @rule(where=WHERES, keys=KEYS, start=st.integers(0, 4), length=st.integers(0, 9))
    def window(self, where, keys, start, length):
        def compute():
            table, numbers = self.fresh(where, keys)
            rows = [table.rows[n] for n in numbers[start : start + length]]
            return {"rows": rows, "count": len(numbers)}

        self.same(
            lambda: self.ask("window", where=where, keys=keys, start=start, stop=start + length),
            compute,
        )

    @rule(where=WHERES, keys=KEYS)
    def count(self, where, keys):
        self.same(
            lambda: self.ask("count", where=where, keys=keys),
            lambda: len(self.fresh(where, keys)[1]),
        )

    @rule(where=WHERES, field=st.sampled_from(FIELDS), name=st.sampled_from(["sum", "max"]))
    def aggregate(self, where, field, name):
        def compute():
            table, numbers = self.fresh(where, None)
            column = table.column(field)
            values = [column[n] for n in numbers]
            return [aggregate(name, values, len(numbers))]

        wanted = [{"operation": name, "field": field}]
        self.same(lambda: self.ask("aggregate", where=where, wanted=wanted), compute)

    @rule(where=WHERES, field=st.sampled_from(FIELDS))
    def group_by(self, where, field):
        def compute():
            table, numbers = self.fresh(where, None)
            return grouped(table, [field], [("count", None, None)], numbers)

        wanted = [{"operation": "count"}]
        self.same(
            lambda: self.ask("group_by", where=where, field=field, aggregates=wanted), compute
        )

    @rule(where=WHERES, field=st.sampled_from(FIELDS))
    def histogram(self, where, field):
        def compute():
            table, numbers = self.fresh(where, None)
            column = table.column(field)
            values = [column[n] for n in numbers]
            return histogram(values, bins=3, low=None, high=None)

        self.same(lambda: self.ask("histogram", where=where, field=field, bins=3), compute)

    @rule(where=WHERES, span=st.none() | st.just(2))
    def moving(self, where, span):
        def compute():
            table, numbers = self.fresh(where, None)
            columns = [table.column(name) for name in ("a", "b")]
            times, values = ([column[n] for n in numbers] for column in columns)
            return moving(times, values, span=span, operation="count", points=3)

        self.same(
            lambda: self.ask(
                "moving",
                where=where,
                time_field="a",
                field="b",
                span=span,
                operation="count",
                points=3,
            ),
            compute,
        )

    @invariant()
    def few_views_are_kept(self):
        if hasattr(self, "residents"):
            resident = self.residents._residents[1]
            assert len(resident._views) <= MOST_VIEWS
            assert repr(resident.table.rows) == repr(self.rows)


Residence.TestCase.settings = settings(
    max_examples=250,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestResidence = Residence.TestCase


def loaded(rows, limit=None):
    found = Residents()
    found.load(rows, dataset=1, limit=limit)
    return found


def test_the_same_question_again_sorts_nothing(monkeypatch):
    resident = Resident([{"a": n % 7} for n in range(100)], None)
    keys = [{"field": "a"}]
    where = {"field": "a", "operator": "less", "value": 3}
    first = list(resident.numbers(where, keys))

    def never(*_):
        pytest.fail("it was sorted or filtered again")

    monkeypatch.setattr(residents, "ordered", never)
    monkeypatch.setattr(residents, "matching", never)
    again = marshal.loads(marshal.dumps((where, keys)))
    assert list(resident.numbers(*again)) == first


def test_of_rows_that_are_added_only_these_are_looked_at(monkeypatch):
    resident = Resident([{"a": n} for n in range(100)], 100)
    where = {"field": "a", "operator": "at_least", "value": 50}
    resident.numbers(where, None)
    looked_at = []

    def noted(table, condition, rows):
        looked_at.extend(rows)
        return matching(table, condition, rows)

    monkeypatch.setattr(residents, "matching", noted)
    resident.append([{"a": 100}, {"a": 1}])
    assert list(resident.numbers(where, None)) == list(range(48, 99))
    assert looked_at == [98, 99]


def test_the_latest_views_are_kept():
    resident = Resident([{"a": 1}], None)
    for value in range(3 * MOST_VIEWS):
        resident.numbers({"field": "a", "value": value}, None)
    assert len(resident._views) == MOST_VIEWS


def test_a_view_that_raised_is_none():
    resident = Resident([{"a": 1}], None)
    for where, keys in (({"field": "x", "value": 1}, None), (None, [{"field": "x"}])):
        with pytest.raises(InvalidCall):
            resident.numbers(where, keys)
    assert len(resident._views) == 0


@pytest.mark.parametrize("where", [None, {"field": "a", "value": 9}], ids=str)
def test_a_key_that_there_is_not_is_refused_also_where_no_row_matches(where):
    resident = Resident([{"a": 1}], None)
    for keys in ([{"field": "x"}], [{"field": "a", "order": "up"}], []):
        with pytest.raises(InvalidCall):
            resident.numbers(where, keys)


@pytest.mark.parametrize(
    ("start", "stop"), [(-1, 1), (2, 1), (0, LONGEST_WINDOW + 1), (-5, -1)], ids=str
)
def test_a_window_that_cannot_be_is_refused(start, stop):
    with pytest.raises(InvalidCall, match="window: expected"):
        loaded([{"a": 1}]).window(dataset=1, start=start, stop=stop)


def test_a_dataset_is_there_until_it_is_released():
    found = loaded([{"a": 1}])
    assert found.count(dataset=1) == 1
    assert found.release(dataset=1) is None
    assert found.release(dataset=1) is None
    with pytest.raises(InvalidCall, match="dataset: expected one that is loaded, came 1"):
        found.count(dataset=1)


def test_datasets_do_not_know_of_one_another():
    found = loaded([{"a": 1}])
    found.load([{"b": 1}, {"b": 2}], dataset=2)
    found.append([{"a": 2}, {"a": 3}], dataset=1)
    assert (found.count(dataset=1), found.count(dataset=2)) == (3, 2)


def test_rows_that_are_none_are_not_taken():
    found = loaded([{"a": 1}])
    for wrong in ([5], [{"a": 1}, None], "rows", None):
        with pytest.raises(NotTransferable):
            found.append(wrong, dataset=1)
        with pytest.raises(NotTransferable):
            found.load(wrong, dataset=2)
    assert found.count(dataset=1) == 1
    with pytest.raises(InvalidCall):
        found.count(dataset=2)
