from __future__ import annotations

import asyncio
import json

import pytest

from services import y_messages
from services.document import DocumentSession
from services.errors import ConfigurationError, Disconnected, InvalidEdit, StorageFailed
from services.y_messages import Awareness, PermissionDenied, SyncStep1, SyncStep2, Update
from tests.support.fake_documents import FakeDocumentServer
from tests.support.fake_platform import FakePlatform, settle

pytestmark = pytest.mark.anyio

EVENTS = (
    "synced",
    "change",
    "collaborator-joined",
    "collaborator-left",
    "error",
    "connected",
    "disconnected",
    "reconnect-failed",
)
ADA, BOB = {"id": "u1", "name": "Ada"}, {"id": "u2", "name": "Bob"}


def session_of(platform, document_id="notes", **options):
    session = DocumentSession(document_id, platform=platform, **options)
    session.seen = []
    for name in EVENTS:
        session.on(name, lambda payload, name=name: session.seen.append((name, payload)))
    return session


async def joined(platform, document_id="notes", **options):
    session = session_of(platform, document_id, **options)
    await session.join()
    return session


def names(session):
    return [name for name, _ in session.seen]


async def rest(server, *platforms):
    """Let everything that is under way arrive, and every question be asked."""
    for _ in range(4):
        server.settle()
        await settle()
        for platform in platforms:
            platform.advance(0.3)
    server.settle()


@pytest.fixture
def server(platform):
    server = FakeDocumentServer()
    server.attend(platform)
    return server


def other_page(server, **options):
    platform = FakePlatform(**options)
    server.attend(platform)
    return platform


def sent(socket):
    return [y_messages.decode(frame) for frame in socket.sent if isinstance(frame, bytes)]


# Joining


async def test_two_pages_end_with_the_same_text(platform, server):
    there = other_page(server)
    one, other = await joined(platform), await joined(there)
    await rest(server, platform, there)
    one.insert(0, "hello world")
    other.insert(0, "Oh, ")
    await rest(server, platform, there)
    assert one.text == other.text == server.text
    assert sorted(one.text) == sorted("hello worldOh, ")
    assert one.synced
    assert one.unsynced_changes == 0


async def test_it_can_be_edited_before_there_is_a_connection(platform):
    session = await joined(platform)
    session.insert(0, "hello")
    assert (session.text, session.state, session.synced) == ("hello", "connecting", False)
    assert session.unsynced_changes == 1


async def test_the_url_holds_the_id_as_one_segment_whatever_it_is(platform):
    await joined(platform, "a/b ../'\"?#%é")
    assert platform.socket.url == (
        "wss://page.example/app/ws/documents/a%2Fb%20..%2F%27%22%3F%23%25%C3%A9"
    )


@pytest.mark.parametrize("document_id", ["", ".", "..", "a\nb", "x" * 201, 5, None, "\ud800"])
def test_what_can_be_no_id_is_told_at_once(platform, document_id):
    with pytest.raises(ConfigurationError, match="document_id: expected 1 to 200 characters"):
        DocumentSession(document_id, platform=platform)


@pytest.mark.parametrize("user", ["Ada", {"id": 1}, {"name": 5}, {"name": "a", "more": object()}])
def test_what_can_be_no_user_is_told_at_once(platform, user):
    with pytest.raises(ConfigurationError, match="user: expected"):
        DocumentSession("notes", user=user, platform=platform)


async def test_nobody_joins_twice_or_after_leaving(platform):
    session = await joined(platform)
    with pytest.raises(Disconnected):
        await session.join()
    session.leave()
    with pytest.raises(Disconnected):
        await session.join()


async def test_leaving_while_joining_leaves_nothing_behind(platform):
    session = session_of(platform)
    joining = asyncio.create_task(session.join())
    await asyncio.sleep(0)
    session.leave()
    with pytest.raises(Disconnected):
        await joining
    assert all(replica.is_destroyed for replica in platform.replicas)
    assert all(store.is_closed for store in platform.stores)
    assert (platform.watchers, platform.timers, platform.sockets) == (0, 0, [])
    assert platform.origin.channels == []


async def test_leaving_leaves_nothing_behind(platform, server):
    session = await joined(platform, user=ADA)
    await rest(server, platform)
    session.insert(0, "x")
    session.leave()
    session.leave()
    assert (platform.watchers, platform.timers, platform.open_sockets) == (0, 0, 0)
    assert platform.origin.channels == []
    assert platform.replicas[0].is_destroyed
    assert platform.stores[0].is_closed
    assert (session.replica_number, session.text, session.state) == (None, "", "closed")


async def test_what_was_written_last_is_kept_and_sent_however_soon_one_leaves(platform, server):
    session = await joined(platform)
    await rest(server, platform)
    platform.replicas[0].holds_back = True
    session.insert(0, "the last words")
    session.leave()
    server.settle()
    assert server.text == "the last words"
    assert (await joined(FakePlatform(origin=platform.origin))).text == "the last words"


async def test_it_cannot_be_edited_unless_joined(platform):
    session = session_of(platform)
    with pytest.raises(Disconnected):
        session.insert(0, "x")


async def test_a_wrong_edit_is_told_and_changes_nothing(platform):
    session = await joined(platform)
    session.insert(0, "hello")
    with pytest.raises(InvalidEdit):
        session.edit([(0, 0, "x"), (99, 0, "y")])
    assert session.text == "hello"


# Being in step


async def test_changes_count_as_unsynced_until_the_server_has_answered_after_them(platform, server):
    session = await joined(platform)
    await rest(server, platform)
    session.insert(0, "a")
    session.insert(1, "b")
    assert (session.unsynced_changes, session.synced) == (2, False)
    await rest(server, platform)
    assert (session.unsynced_changes, session.synced) == (0, True)


async def test_the_answer_to_a_question_before_a_change_does_not_confirm_it(platform, server):
    session = await joined(platform)
    await rest(server, platform)
    platform.advance(1)
    session.insert(0, "a")  # asks at once
    session.insert(1, "b")  # behind the question
    server.settle()
    assert session.unsynced_changes == 1
    await rest(server, platform)
    assert session.unsynced_changes == 0


async def test_what_was_made_offline_is_not_confirmed_before_the_server_was_told(platform):
    session = await joined(platform)
    session.insert(0, "offline")
    platform.socket.accept()
    question, _ = sent(platform.socket)
    assert isinstance(question, SyncStep1)
    platform.socket.deliver_raw(y_messages.encode(SyncStep2(b"\0\0")))
    session.insert(0, "online")
    platform.advance(1)
    platform.socket.deliver_raw(y_messages.encode(SyncStep2(b"\0\0")))
    # It never said what it has, so nobody knows that it has what was made before.
    assert session.unsynced_changes == 2
    platform.socket.deliver_raw(y_messages.encode(SyncStep1(b"\0")))
    platform.advance(1)
    platform.socket.deliver_raw(y_messages.encode(SyncStep2(b"\0\0")))
    assert session.unsynced_changes == 0


async def test_few_questions_are_asked_however_fast_somebody_types(platform, server):
    session = await joined(platform)
    await rest(server, platform)
    before = len(sent(platform.socket))
    for n in range(50):
        session.insert(n, "x")
        platform.advance(0.02)
        server.settle()
    await rest(server, platform)
    messages = sent(platform.socket)[before:]
    assert sum(isinstance(message, Update) for message in messages) == 50
    assert sum(isinstance(message, SyncStep1) for message in messages) <= 7
    assert session.synced


async def test_synced_is_told_once_each_time(platform, server):
    session = await joined(platform)
    await rest(server, platform)
    assert names(session).count("synced") == 1
    session.insert(0, "x")
    await rest(server, platform)
    assert names(session).count("synced") == 2


async def test_wait_synced_waits_for_the_server(platform, server):
    session = await joined(platform)
    session.insert(0, "x")
    waiting = asyncio.create_task(session.wait_synced())
    await settle()
    assert not waiting.done()
    await rest(server, platform)
    await waiting
    assert server.text == "x"


async def test_wait_synced_ends_with_the_session(platform):
    session = await joined(platform)
    waiting = asyncio.create_task(session.wait_synced())
    await settle()
    session.leave()
    with pytest.raises(Disconnected):
        await waiting


async def test_a_server_that_gives_no_answer_is_left_for_another_connection(platform):
    session = await joined(platform, heartbeat_interval=30, heartbeat_timeout=10)
    platform.socket.accept()
    platform.socket.deliver_raw(y_messages.encode(SyncStep2(b"\0\0")))
    platform.advance(41)
    assert platform.sockets[0].gone
    assert session.state in ("waiting", "connecting")
    assert ("disconnected", {"code": 4000, "reason": "heartbeat timeout"}) in session.seen


# Away and back


async def test_what_two_pages_write_while_apart_is_merged_on_return(platform, server):
    there = other_page(server)
    one, other = await joined(platform), await joined(there)
    await rest(server, platform, there)
    one.insert(0, "The end.")
    await rest(server, platform, there)
    server.cut(platform.socket)
    one.insert(0, "First. ")
    other.insert(8, " Really.")
    await rest(server, there)
    assert (one.unsynced_changes, other.unsynced_changes) == (1, 0)
    platform.advance(5)
    await rest(server, platform, there)
    assert one.text == other.text == server.text == "First. The end. Really."
    assert one.unsynced_changes == 0


async def test_a_reload_of_an_offline_page_keeps_its_edits(platform, server):
    session = await joined(platform)
    await rest(server, platform)
    session.insert(0, "known. ")
    await rest(server, platform)
    server.cut(platform.socket)
    session.insert(7, "offline.")
    again = FakePlatform(origin=platform.origin)
    platform.origin.kill(platform)
    session = await joined(again)
    assert (session.text, session.unsynced_changes) == ("known. offline.", 1)
    server.attend(again)
    await rest(server, again)
    assert (server.text, session.unsynced_changes) == ("known. offline.", 0)
    (record,) = platform.origin.documents.values()
    assert record.unsent == 0


async def test_the_text_of_others_is_kept_too(platform, server):
    there = other_page(server)
    other = await joined(there)
    await joined(platform)
    await rest(server, platform, there)
    other.insert(0, "from afar")
    await rest(server, platform, there)
    again = await joined(FakePlatform(origin=platform.origin))
    assert again.text == "from afar"


async def test_another_owner_does_not_see_what_is_kept(platform):
    session = await joined(platform, owner="u1")
    session.insert(0, "secret")
    session.leave()
    assert (await joined(FakePlatform(origin=platform.origin), owner="u2")).text == ""
    assert (await joined(FakePlatform(origin=platform.origin), owner="u1")).text == "secret"


async def test_without_storage_it_works_and_says_that_nothing_is_kept(platform, server):
    platform.refuse_storage = True
    session = await joined(platform)
    await rest(server, platform)
    session.insert(0, "x")
    await rest(server, platform)
    assert (session.is_kept, server.text) == (False, "x")
    assert ("error", {"error": "SecurityError: storage is denied"}) in session.seen
    with pytest.raises(StorageFailed):
        await session.flush()


async def test_storage_that_breaks_later_is_told(platform, server):
    session = await joined(platform)
    platform.stores[0].fail(StorageFailed("QuotaExceededError: full"))
    assert not session.is_kept
    assert ("error", {"error": "QuotaExceededError: full"}) in session.seen
    session.insert(0, "goes on")
    await rest(server, platform)
    assert server.text == "goes on"


async def test_keep_false_keeps_nothing(platform):
    session = await joined(platform, keep=False)
    session.insert(0, "x")
    assert (session.is_kept, platform.stores) == (False, [])


# Tabs of one browser


async def test_tabs_share_without_any_server(platform):
    there = FakePlatform(origin=platform.origin)
    one, other = await joined(platform), await joined(there)
    one.insert(0, "hello")
    await settle()
    other.insert(5, " there")
    await settle()
    assert one.text == other.text == "hello there"
    assert (one.is_shared, one.unsynced_changes, other.unsynced_changes) == (True, 2, 2)


async def test_a_tab_that_comes_later_gets_what_the_others_have_though_nothing_is_kept(platform):
    platform.refuse_storage = True
    there = FakePlatform(origin=platform.origin)
    one = await joined(platform)
    one.insert(0, "hello")
    other = await joined(there)
    await settle()
    assert other.text == "hello"
    # The one who can keep it does so for the one who cannot.
    assert (await joined(FakePlatform(origin=platform.origin), share=False)).text == "hello"


async def test_a_tab_with_a_connection_sends_for_one_without(platform, server):
    there = FakePlatform(origin=platform.origin)
    connected, alone = await joined(platform), await joined(there)
    await rest(server, platform)
    alone.insert(0, "by way of the other")
    await settle()
    await rest(server, platform)
    assert server.text == "by way of the other"
    assert connected.unsynced_changes == 0


async def test_a_tab_that_sends_itself_is_not_sent_for(platform, server):
    there = other_page(server, origin=platform.origin)
    one, other = await joined(platform), await joined(there)
    await rest(server, platform, there)
    before = len(platform.socket.sent)
    other.insert(0, "x")
    await settle()
    assert not any(isinstance(m, Update) for m in sent(platform.socket)[before:])
    assert one.text == "x"


async def test_documents_and_owners_are_apart(platform):
    tabs = [FakePlatform(origin=platform.origin) for _ in range(3)]
    one = await joined(platform)
    others = [
        await joined(tabs[0], "other"),
        await joined(tabs[1], url="wss://elsewhere.example/"),
        await joined(tabs[2], owner="somebody"),
    ]
    one.insert(0, "x")
    await settle()
    assert [other.text for other in others] == ["", "", ""]


async def test_two_sessions_of_one_page_share_as_tabs_do(platform):
    one, other = await joined(platform), await joined(platform)
    one.insert(0, "x")
    await settle()
    assert other.text == "x"


@pytest.mark.parametrize(
    "value",
    [
        ...,
        None,
        5,
        [],
        {},
        {"schema": 2, "sent": True, "kept": True, "frame": ""},
        {"schema": 1, "sent": 1, "kept": True, "frame": ""},
        {"schema": 1, "sent": True, "kept": True, "frame": 7},
        {"schema": 1, "sent": True, "kept": True, "frame": "§"},
        {"schema": 1, "sent": True, "kept": True, "frame": "AAAA"},
        {"schema": 1, "sent": True, "kept": True, "frame": "AAIDAQID"},
        {"schema": 1, "sent": True, "kept": True, "frame": "AgAA"},
    ],
)
async def test_what_a_hostile_tab_says_is_told_and_does_no_harm(platform, value):
    session = await joined(platform)
    session.insert(0, "safe")
    name = platform.origin.channels[0].name
    platform.origin.post(name, value)
    await settle()
    assert session.text == "safe"
    assert names(session)[-1] == "error"
    assert session.seen[-1][1]["error"].startswith("from another tab: ")
    assert platform.reported == []


# Who is there


async def test_others_are_there_with_their_names_until_they_leave(platform, server):
    there = other_page(server)
    one = await joined(platform, user=ADA)
    other = await joined(there, user=BOB)
    await rest(server, platform, there)
    assert [c.name for c in one.collaborators] == ["Bob"]
    assert [c.name for c in other.collaborators] == ["Ada"]
    bob = one.collaborators[0]
    payload = {"userId": "u2", "name": "Bob", "clientId": bob.client_id, "hue": bob.hue}
    assert ("collaborator-joined", payload) in one.seen
    other.leave()
    await rest(server, platform)
    assert one.collaborators == []
    assert ("collaborator-left", payload) in one.seen


async def test_a_page_that_is_left_is_gone_at_once_and_back_when_it_returns(platform, server):
    there = other_page(server)
    one = await joined(platform, user=ADA)
    await joined(there, user=BOB)
    await rest(server, platform, there)
    there.fire("left", True)
    server.settle()
    assert one.collaborators == []
    there.fire("returned")
    await rest(server, platform, there)
    assert [c.name for c in one.collaborators] == ["Bob"]


async def test_a_page_that_is_closed_says_goodbye_to_the_other_tabs(platform):
    there = FakePlatform(origin=platform.origin)
    one = await joined(platform, user=ADA)
    await joined(there, user=BOB)
    await settle()
    assert [c.name for c in one.collaborators] == ["Bob"]
    there.fire("left", False)
    await settle()
    assert one.collaborators == []


async def test_who_has_another_name_tells_it(platform, server):
    there = other_page(server)
    one = await joined(platform)
    other = await joined(there, user=BOB)
    await rest(server, platform, there)
    other.set_user({"id": "u2", "name": "Robert"})
    await rest(server, platform, there)
    assert [c.name for c in one.collaborators] == ["Robert"]


async def test_what_strangers_say_of_themselves_does_no_harm(platform, server):
    session = await joined(platform)
    await rest(server, platform)
    for state in (b"5", b"[]", b'{"user":5}', b'{"user":{"name":{}}}', b"{", b"\xff"):
        update = b"\x01\x07\x05" + y_messages.with_length(state)
        platform.socket.deliver_raw(y_messages.encode(Awareness(update)))
    assert platform.reported == []
    assert session.synced


# Whom the server lets


async def test_a_server_that_denies_writing_makes_it_read_only(platform, server):
    server.denies = "read-only"
    session = await joined(platform)
    await rest(server, platform)
    assert (session.read_only, session.synced) == (True, True)


async def test_changes_from_before_a_denial_stay_unsynced_and_are_sent_when_allowed(
    platform, server
):
    session = await joined(platform)
    session.insert(0, "kept")
    server.denies = "read-only"
    await rest(server, platform)
    assert (session.unsynced_changes, server.text) == (1, "")
    server.denies = None
    server.cut(platform.socket)
    platform.advance(5)
    await rest(server, platform)
    assert (session.unsynced_changes, server.text, session.read_only) == (0, "kept", False)


async def test_the_token_goes_into_the_first_frame_and_nowhere_else(platform, server):
    session = await joined(platform, token=lambda: "secret-token")
    await settle()
    assert "secret" not in platform.socket.url
    platform.socket.accept()
    first, *others = platform.socket.sent
    assert json.loads(first)["payload"] == {"token": "secret-token"}
    assert all(b"secret" not in frame for frame in others)
    assert "secret" not in json.dumps([value for _, value in platform.origin.posted])
    platform.socket.deliver("auth-ok", {"expiresIn": 300})
    assert names(session).count("error") == 0


async def test_a_refusal_ends_it_until_somebody_tries_again(platform, server):
    session = await joined(platform)
    platform.socket.drop(4403, "not yours")
    assert (session.state, session.last_close) == ("refused", (4403, "not yours"))
    platform.advance(600)
    assert len(platform.sockets) == 1
    session.connect()
    await rest(server, platform)
    assert session.synced


# What a server may say


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\xff" * 30,
        b"\x00\x02\x03\x01\x02\x03",
        b"\x00\x00\x01\xff",
        b"\x01\x02\x01\x01",
        b"\x09",
        "text",
        '{"type":"hello"}',
    ],
)
async def test_what_makes_no_sense_is_told_and_does_no_harm(platform, server, frame):
    session = await joined(platform)
    await rest(server, platform)
    session.insert(0, "safe")
    await rest(server, platform)
    platform.socket.deliver_raw(frame)
    assert "error" in names(session)
    await rest(server, platform)
    session.insert(4, "!")
    await rest(server, platform)
    assert (session.text, server.text, platform.reported) == ("safe!", "safe!", [])


async def test_an_update_before_its_predecessor_is_asked_for_again(platform, server):
    there = other_page(server)
    other = await joined(there)
    session = await joined(platform)
    await rest(server, platform, there)
    other.insert(0, "a")
    server.step(there.socket)
    lost = server._outbox[platform.socket].pop(0)
    assert isinstance(y_messages.decode(lost), Update)
    other.insert(1, "b")
    await rest(server, there)
    assert not session.synced
    await rest(server, platform, there)
    assert (session.text, session.synced) == ("ab", True)


async def test_a_full_socket_is_waited_for_and_nothing_is_lost(platform, server):
    session = await joined(platform, high_water=1000, user=ADA)
    await rest(server, platform)
    socket = platform.socket
    socket.buffered = 5000
    for n in range(100):
        session.insert(n, "x" * 40)
    handed = len(socket.sent)
    session.insert(0, "more")
    platform.advance(0.2)
    assert len(socket.sent) == handed
    socket.buffered = 0
    for _ in range(20):
        await rest(server, platform)
    assert server.text == session.text
    assert session.synced


def hear(platform, *messages):
    platform.socket.deliver_raw(
        *(m if isinstance(m, str) else y_messages.encode(m) for m in messages)
    )


NOTHING = SyncStep2(b"\0\0")
BUILT_ON_NOTHING = Update(b"\x01\x01\x07\x02\x84\x07\x01\x01c\x00")
AUTH_OK = '{"type":"auth-ok","payload":{"expiresIn":300}}'


def asked(platform, *, seconds=60):
    """Let time pass; yield whenever the server is asked something."""
    for _ in range(10 * seconds):
        before = len(platform.socket.sent)
        platform.advance(0.1)
        if any(isinstance(message, SyncStep1) for message in sent(platform.socket)[before:]):
            yield


async def test_what_builds_on_what_nobody_has_is_searched_for_more_and_more_rarely(platform):
    session = await joined(platform)
    platform.socket.accept()
    hear(platform, SyncStep1(b"\0"), NOTHING)
    assert session.synced
    hear(platform, BUILT_ON_NOTHING)
    assert not session.synced
    count = 0
    for _ in asked(platform):
        count += 1
        hear(platform, NOTHING)
        assert session.synced  # what the server has not sent, it has not got
    assert 5 <= count <= 12
    session.insert(0, "mine")
    platform.advance(0.3)
    hear(platform, NOTHING)
    assert session.synced


async def test_what_cannot_be_read_is_asked_for_more_and_more_rarely_and_is_not_in_step(platform):
    session = await joined(platform)
    platform.socket.accept()
    hear(platform, SyncStep1(b"\0"), SyncStep2(b"\x05\x05\x05"))
    for _ in asked(platform):
        hear(platform, SyncStep2(b"\x05\x05\x05"))
        assert not session.synced
    assert 5 <= names(session).count("error") <= 12
    for _ in asked(platform):
        hear(platform, NOTHING)
    assert session.synced


async def test_what_the_server_lacks_is_not_in_step_before_it_has_that(platform, server):
    session = await joined(platform)
    await rest(server, platform)
    session.insert(0, "x")
    await rest(server, platform)
    assert session.synced
    # It comes back without its data.
    server.cut(platform.socket)
    platform.advance(5)
    platform.socket.accept()
    hear(platform, SyncStep1(b"\0"), NOTHING)
    assert (session.unsynced_changes, session.synced) == (0, False)
    platform.advance(0.3)
    hear(platform, NOTHING)
    assert session.synced


async def test_what_a_guest_may_not_does_not_bind_who_has_logged_in(platform):
    session = await joined(platform, token="t")
    session.insert(0, "x")
    await settle()
    platform.socket.accept()
    hear(platform, PermissionDenied("read-only"))
    assert not session.read_only  # nobody has read the token
    hear(platform, AUTH_OK, SyncStep1(b"\0"))
    assert isinstance(sent(platform.socket)[-1], SyncStep2)
    hear(platform, NOTHING)
    platform.advance(0.3)
    hear(platform, NOTHING)
    assert (session.read_only, session.unsynced_changes, session.synced) == (False, 0, True)


async def test_a_server_that_knows_no_token_may_deny_as_well(platform):
    session = await joined(platform, token="t")
    await settle()
    platform.socket.accept()
    hear(platform, PermissionDenied("read-only"), SyncStep1(b"\0"), NOTHING)
    assert session.read_only


async def test_a_guest_who_logs_in_on_the_same_connection_may_write(platform):
    tokens = [None]
    session = await joined(platform, token=lambda: tokens[0])
    await settle()
    platform.socket.accept()
    hear(platform, PermissionDenied("read-only"), SyncStep1(b"\0"), NOTHING)
    assert session.read_only
    tokens[0] = "t"
    await session.authenticate()
    hear(platform, AUTH_OK)
    assert not session.read_only


# What other tabs say they have sent


async def told_by_a_tab(platform, server):
    """Return a session that another tab, with a connection of its own, has told something."""
    there = other_page(server, origin=platform.origin)
    one, other = await joined(platform), await joined(there)
    await rest(server, platform, there)
    other.insert(0, "x")
    await settle()
    return one, there


async def test_what_a_tab_sent_into_a_dead_connection_is_sent_by_another(platform, server):
    one, there = await told_by_a_tab(platform, server)
    # It dies, and what it sent never arrived.
    server.cut(there.socket)
    platform.origin.kill(there)
    assert (one.text, server.text) == ("x", "")
    for _ in range(50):
        platform.advance(1)
        server.settle()
    assert server.text == "x"


async def test_what_the_server_has_passed_on_is_not_sent_again(platform, server):
    one, there = await told_by_a_tab(platform, server)
    await rest(server, platform, there)
    before = len(platform.socket.sent)
    for _ in range(50):
        platform.advance(1)
        server.settle()
    assert not any(isinstance(message, Update) for message in sent(platform.socket)[before:])
    one.leave()
    assert platform.timers == 0


async def test_a_tab_that_comes_does_not_make_the_others_send_the_document(platform, server):
    tabs = [other_page(server, origin=platform.origin) for _ in range(4)]
    one, *_ = [await joined(tab) for tab in (platform, *tabs[:3])]
    one.insert(0, "long" * 1000)
    await rest(server, platform, *tabs[:3])
    await joined(tabs[3])
    await rest(server, platform, *tabs)
    before = sum(map(len, platform.socket.sent))
    one.insert(0, "x")
    await settle()
    assert sum(map(len, platform.socket.sent)) - before < 200


# When joining goes wrong


@pytest.mark.parametrize("turns", range(1, 5))
async def test_who_no_longer_waits_for_joining_leaves_nothing_behind(platform, turns):
    session = session_of(platform)
    joining = asyncio.create_task(session.join())
    for _ in range(turns):
        await asyncio.sleep(0)
    is_joined = joining.done()
    joining.cancel()
    await settle()
    session.leave()
    assert is_joined == (joining.done() and not joining.cancelled())
    assert all(replica.is_destroyed for replica in platform.replicas)
    assert all(store.is_closed for store in platform.stores)
    assert (platform.watchers, platform.timers) == (0, 0)


async def test_what_cannot_be_read_of_what_is_kept_is_told_and_the_rest_is_kept(platform):
    platform.broken_records = 2
    session = await joined(platform)
    assert session.is_kept
    assert (
        "error",
        {"error": "in this browser's storage: 2 records cannot be read"},
    ) in session.seen


async def test_a_long_change_takes_its_time_on_a_slow_network(platform, server):
    session = await joined(platform)
    await rest(server, platform)
    socket = platform.socket
    socket.buffered = 500_000
    session.insert(0, "x" * 500_000)
    for left in range(500_000, 0, -8_000):  # 64 kbit a second
        socket.buffered = left
        platform.advance(1)
    assert (session.state, platform.sockets) == ("open", [socket])
    socket.buffered = 0
    await rest(server, platform)
    assert session.synced


async def test_a_long_change_does_not_hide_that_the_network_is_dead(platform, server):
    session = await joined(platform)
    await rest(server, platform)
    socket = platform.socket
    socket.buffered = 500_000
    session.insert(0, "x" * 500_000)
    for _ in range(45):
        platform.advance(1)
    assert socket.gone
    assert ("disconnected", {"code": 4000, "reason": "heartbeat timeout"}) in session.seen


async def test_a_denial_is_told_as_it_comes(platform):
    session = await joined(platform)
    statuses = []
    session.on("status", lambda _: statuses.append(session.read_only))
    platform.socket.accept()
    platform.socket.deliver_raw(y_messages.encode(PermissionDenied("")))
    assert statuses[-1] is True
