from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.document_store import DocumentStoreError, SQLiteDocumentStore, Stored

pytestmark = pytest.mark.anyio


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SQLiteDocumentStore]:
    store = SQLiteDocumentStore(tmp_path / "documents.db")
    yield store
    store.close()


async def test_what_is_appended_is_loaded(store: SQLiteDocumentStore, tmp_path: Path) -> None:
    assert await store.load("a") == Stored([], 0)
    await store.append("a", [b"1", b"2"])
    await store.append("b", [b"x"])
    last = await store.append("a", [b"3"])
    other = SQLiteDocumentStore(tmp_path / "documents.db")
    assert await other.load("a") == Stored([b"1", b"2", b"3"], last)
    assert (await other.load("b")).updates == [b"x"]
    other.close()


async def test_squash_leaves_what_came_later(store: SQLiteDocumentStore) -> None:
    until = await store.append("a", [b"1", b"2"])
    await store.append("b", [b"x"])
    await store.append("a", [b"3"])
    await store.squash("a", [b"12", b"pending"], until=until)
    stored = await store.load("a")
    assert sorted(stored.updates) == [b"12", b"3", b"pending"]
    assert (await store.load("b")).updates == [b"x"]


@pytest.mark.parametrize("document", ["'; DROP TABLE updates; --", "ü/大阪", "x" * 200, "\u2028"])
async def test_any_id(store: SQLiteDocumentStore, document: str) -> None:
    await store.append(document, [b"x"])
    assert (await store.load(document)).updates == [b"x"]


async def test_all_or_none(store: SQLiteDocumentStore) -> None:
    with pytest.raises(DocumentStoreError):
        await store.append("a", [b"1", object()])  # type: ignore[list-item]
    assert await store.load("a") == Stored([], 0)


async def test_positions_are_never_used_twice(store: SQLiteDocumentStore) -> None:
    first = await store.append("a", [b"1"])
    await store.squash("a", [], until=first)
    assert await store.append("a", [b"1"]) > first


async def test_the_file_shrinks(store: SQLiteDocumentStore, tmp_path: Path) -> None:
    for _ in range(20):
        last = await store.append("a", [b"x" * 100_000])
    await store.squash("a", [b"x"], until=last)
    store.close()
    assert (tmp_path / "documents.db").stat().st_size < 50_000


async def test_a_file_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "documents.db").write_bytes(b"no database" * 100)
    with pytest.raises(DocumentStoreError):
        SQLiteDocumentStore(tmp_path / "documents.db")
    with pytest.raises(DocumentStoreError):
        SQLiteDocumentStore(tmp_path)


async def test_a_store_that_fails(store: SQLiteDocumentStore, tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "documents.db")
    database.execute("DROP TABLE updates")
    database.close()
    with pytest.raises(DocumentStoreError):
        await store.append("a", [b"x"])
    with pytest.raises(DocumentStoreError):
        await store.load("a")
