from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path, PurePosixPath

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from server.site import Site, is_public

pytestmark = pytest.mark.anyio

FILES = {
    "index.html": "<!doctype html>",
    "main.py": "print()",
    "pyscript.toml": "",
    "package.json": "{}",
    ".env": "SECRET",
    "data/events.db": "SECRET",
    "server/app.py": "SECRET",
    "runtime/interpreter.mjs": "export {}",
    "vendor/pyodide/pyodide.asm.wasm": "\0asm",
    "vendor/wheels/a-1-py3-none-any.whl": "PK",
    "vendor/.stamp": "",
    "components/element.py": "",
}


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "vendor" / "link.txt").symlink_to(tmp_path / "data" / "events.db")
    (tmp_path / "vendor" / "out.txt").symlink_to("/etc/passwd")
    app = Starlette(routes=[Mount("/", app=Site(directory=tmp_path))])
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://site") as client:
        yield client


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/index.html", "text/html; charset=utf-8"),
        ("/main.py", "text/x-python; charset=utf-8"),
        ("/pyscript.toml", "application/toml"),
        ("/runtime/interpreter.mjs", "text/javascript; charset=utf-8"),
        ("/vendor/pyodide/pyodide.asm.wasm", "application/wasm"),
        ("/vendor/wheels/a-1-py3-none-any.whl", "application/zip"),
        ("/components/element.py", "text/x-python; charset=utf-8"),
    ],
)
async def test_the_page_is_served(client: httpx.AsyncClient, path: str, media_type: str) -> None:
    response = await client.get(path)
    assert response.status_code == 200
    assert response.headers["content-type"] == media_type
    assert response.headers["cache-control"] == "no-cache"
    assert response.headers["x-content-type-options"] == "nosniff"
    again = await client.get(path, headers={"If-None-Match": response.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "path",
    [
        "/package.json",
        "/.env",
        "/data/events.db",
        "/server/app.py",
        "/vendor/.stamp",
        "/vendor",
        "/vendor/",
        "/runtime/../.env",
        "/runtime/%2e%2e/.env",
        "/runtime/..%2f.env",
        "/%2e%2e/%2e%2e/etc/passwd",
        "//etc/passwd",
        "/vendor/out.txt",
        "/missing.html",
        "/index.html%00",
        "/vendor/" + "x" * 300,
    ],
)
async def test_nothing_else_is(client: httpx.AsyncClient, path: str) -> None:
    response = await client.get(path)
    assert response.status_code == 404
    assert "SECRET" not in response.text


async def test_the_page_is_read_only(client: httpx.AsyncClient) -> None:
    assert (await client.post("/index.html")).status_code == 405


@pytest.mark.parametrize("name", ["pyproject.toml", "package-lock.json", "Makefile", "uv.lock"])
def test_top_level_files_that_are_no_part_of_the_page(name: str) -> None:
    assert not is_public(PurePosixPath(name))


@pytest.mark.parametrize("name", ["services/__init__.py", "favicon.svg", "other.html", "style.css"])
def test_files_that_are(name: str) -> None:
    assert is_public(PurePosixPath(name))
