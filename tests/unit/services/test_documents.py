from __future__ import annotations

import json

import pytest

from services.documents import Documents
from tests.support.fake_documents import FakeDocumentServer
from tests.support.fake_origin import FakeOrigin
from tests.support.fake_platform import settle
from tests.support.session_tabs import ADA, FakeGateway, SessionTab, calm

pytestmark = pytest.mark.anyio


@pytest.fixture
async def tab(anyio_backend):
    tab = SessionTab(FakeGateway(), FakeOrigin(), 1)
    yield tab
    await calm()
    tab.close()
    assert tab.platform.reported == []


def said(socket):
    return [json.loads(frame) for frame in socket.sent if isinstance(frame, str)]


async def test_a_guest_has_a_name_and_no_token(tab):
    documents = Documents("./ws/documents/", auth=tab.auth, platform=tab.platform)
    session = documents.open("notes")
    await session.join()
    await settle()
    tab.platform.socket.accept()
    assert said(tab.platform.socket) == []
    assert session._user["id"].startswith("guest-")
    session.leave()
    documents.close()


async def test_a_user_has_a_token_and_what_is_kept_is_theirs(tab):
    documents = Documents("./ws/documents/", auth=tab.auth, platform=tab.platform)
    before = documents.open("notes")
    await before.join()
    before.insert(0, "a guest's")
    before.leave()
    await tab.auth.login("ada", "secret")
    session = documents.open("notes")
    await session.join()
    await settle()
    tab.platform.socket.accept()
    assert [frame["type"] for frame in said(tab.platform.socket)] == ["auth"]
    assert (session.text, session._user["name"]) == ("", ADA["name"])
    session.leave()
    documents.close()


async def test_an_open_document_is_told_the_next_token(tab):
    server = FakeDocumentServer()
    await tab.auth.login("ada", "secret")
    documents = Documents("./ws/documents/", auth=tab.auth, platform=tab.platform)
    session = documents.open("notes")
    await session.join()
    await settle()
    server.attend(tab.platform)
    server.settle()
    (first,) = said(tab.platform.socket)
    await tab.auth.refresh()
    await settle()
    _, second = said(tab.platform.socket)
    assert second["type"] == "auth"
    assert second["payload"]["token"] != first["payload"]["token"]
    documents.close()
    await tab.auth.refresh()
    await settle()
    assert len(said(tab.platform.socket)) == 2
    session.leave()
