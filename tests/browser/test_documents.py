"""services/browser_documents.py with real Yjs and real IndexedDB."""

import asyncio
import json
import random
from contextlib import contextmanager

import js
import pytest
from pyodide.ffi import create_proxy, to_js
from pyscript.js_modules import documents

from services import errors
from services.browser import BrowserPlatform
from services.document import DocumentSession

NOTHING = bytes([0, 0])
"""The update that says nothing."""

platform = BrowserPlatform()


class Heard:
    """A listener that keeps what it hears."""

    def __init__(self):
        self.batches = []
        self.presences = []
        self.crowds = []

    @property
    def updates(self):
        return [update for batch in self.batches for update in batch]

    def edited(self, updates):
        self.batches.append(updates)

    def presence(self, update):
        self.presences.append(update)

    def people(self, people):
        self.crowds.append(people)


@pytest.fixture
def opened():
    """Open replicas, as (replica, what it tells); all are destroyed after the test."""
    replicas = []

    async def make():
        heard = Heard()
        replica = await platform.open_replica(heard)
        replicas.append(replica)
        return replica, heard

    yield make
    for replica in replicas:
        replica.destroy()
    assert documents.replicas.size == 0


@pytest.fixture
def stores():
    """Open stores of one document; all are closed, and what is kept is deleted, after the test."""
    name = f"test {random.random()}"
    there = []

    async def make(failed=None):
        failures = []
        store = await platform.open_document_store(name, failed or failures.append)
        there.append(store)
        store.failures = failures
        store.document = name
        return store

    yield make
    for store in there:
        store.close()


def inside(replica):
    return documents.replicas.get(replica.number)


def share(*replicas):
    """Let all have what any has."""
    for one in replicas:
        for other in replicas:
            if one is not other:
                assert other.apply([one.update_since(other.vector())]) == []


async def settle():
    """Let pass what waits for a task or two."""
    for _ in range(5):
        await asyncio.sleep(0.005)


# Texts


async def test_edits_are_made_one_after_another_and_told_as_one_update(opened):
    replica, heard = await opened()
    replica.edit([(0, 0, "Hello"), (5, 0, " world"), (0, 1, "J"), (5, 6, "!"), (3, 2, "")])
    assert replica.text == "Jel!"
    assert len(heard.updates) == 1
    replica.edit([])
    assert len(heard.updates) == 1
    other, told = await opened()
    assert other.apply(heard.updates) == []
    assert other.text == "Jel!"
    await settle()
    assert told.updates == [], "what came from others is not told back"
    assert replica.number != other.number
    assert replica.client_id != other.client_id


async def test_edits_do_what_they_do_to_a_string(opened):
    replica, _ = await opened()
    rng = random.Random(1)
    text = ""
    for alphabet in ("ab\n", "ab🏔é漢👩‍🚀", "ab"):
        for _ in range(60):
            edits = []
            for _ in range(rng.choice([1, 2, 30])):
                at = rng.randint(0, len(text))
                if edits and rng.random() < 0.6:  # where the last one was: typed and corrected
                    at = min(len(text), max(0, edits[-1][0] + rng.choice([-1, 0, 1])))
                count = rng.choice([0, 0, 1, 3])
                count = min(count, len(text) - at)
                inserted = "".join(rng.choices(alphabet, k=rng.choice([0, 1, 1, 4])))
                edits.append((at, count, inserted))
                text = text[:at] + inserted + text[at + count :]
            replica.edit(edits)
            assert replica.text == text
    other, _ = await opened()
    share(replica, other)
    assert other.text == text


async def test_the_editors_own_changes_are_followed(opened):
    replica, heard = await opened()
    text = inside(replica).text
    text.insert(0, "a🏔b")  # in code units
    replica.edit([(2, 1, "c🏔"), (0, 1, "")])
    assert replica.text == "🏔c🏔"
    text.delete(0, 2)
    replica.edit([(2, 0, "!")])
    assert replica.text == "c🏔!"
    await settle()
    assert len(heard.updates) == 4
    other, _ = await opened()
    assert other.apply(heard.updates) == []
    assert other.text == "c🏔!"
    other.edit([(1, 1, ""), (2, 0, "?")])
    assert other.text == "c!?"
    share(other, replica)
    replica.edit([(3, 0, "🏔"), (3, 1, "")])
    assert replica.text == "c!?"


async def test_half_of_a_pair_is_a_replacement_character(opened):
    replica, _ = await opened()
    inside(replica).text.insert(0, "a\ud83cb")
    assert replica.text == "a\ufffdb"
    replica.edit([(2, 1, "c")])
    assert replica.text == "a\ufffdc"


async def test_ten_thousand_edits_in_one_call(opened):
    replica, heard = await opened()
    rng = random.Random(2)
    characters = []
    edits = []
    for _ in range(10_000):
        at = rng.randint(0, len(characters))
        if rng.random() < 0.3 and at < len(characters):
            edits.append((at, 1, ""))
            del characters[at]
        else:
            character = rng.choice("abc🏔")
            edits.append((at, 0, character))
            characters.insert(at, character)
    replica.edit(edits)
    assert replica.text == "".join(characters)
    assert len(heard.updates) == 1


@pytest.mark.parametrize(
    ("edit", "wrong"),
    [
        ((6, 0, "x"), "edit 1: expected a position ≤ 5, came 6"),
        ((5, 1, ""), "edit 1: expected to delete at most 0 characters at 5, came 1"),
        ((2**40, 0, ""), "edit 1: expected a position ≤ 5"),
        ((10**400, 0, ""), "edit 1: position: expected a whole number, came an integer of"),
        ((-1, 0, "x"), "edit 1: position: expected a whole number, came -1"),
        ((0, -1, "x"), "edit 1: count: expected a whole number, came -1"),
        ((True, 0, "x"), "edit 1: position: expected a whole number, came true"),
        ((0, 1.0, "x"), r"edit 1: count: expected a whole number, came 1\.0"),
        ((0, 0, b"x"), "edit 1: text: expected text, came 1 bytes"),
        ((0, 0, None), "edit 1: text: expected text, came null"),
        ((0, 0, "\ud83c"), "edit 1: text: expected whole characters"),
        ((0, 0), r"edit 1: expected \(position, count, text\), came an array of 2"),
        ((0, 0, "x", 1), r"edit 1: expected \(position, count, text\), came an array of 4"),
        (None, r"edit 1: expected \(position, count, text\), came null"),
    ],
)
async def test_edits_that_cannot_be_change_nothing(opened, edit, wrong):
    replica, heard = await opened()
    replica.edit([(0, 0, "a🏔b")])
    before = replica.vector()
    with pytest.raises(errors.InvalidEdit, match=wrong):
        replica.edit([(3, 0, "cd"), edit])
    assert (replica.text, replica.vector(), len(heard.updates)) == ("a🏔b", before, 1)


# Updates


async def test_two_replicas_exchange_what_they_lack(opened):
    one, _ = await opened()
    two, _ = await opened()
    one.edit([(0, 0, "one")])
    two.edit([(0, 0, "two")])
    assert one.vector() != two.vector()
    share(one, two)
    assert one.text == two.text
    assert sorted(one.text) == sorted("onetwo")
    assert one.vector() == two.vector()
    assert one.update_since(two.vector()) == NOTHING
    whole, _ = await opened()
    assert whole.apply([one.update_since()]) == []
    assert whole.text == one.text


async def test_updates_come_in_any_order_and_twice(opened):
    one, heard = await opened()
    for n in range(20):
        one.edit([(n, 0, "abcdefghijklmnopqrst"[n])])
        await settle()
    updates = heard.updates
    assert len(updates) == 20
    other, _ = await opened()
    assert other.apply(updates[10:]) == []
    assert (other.text, other.lacks_updates) == ("", True)
    assert other.apply(updates[:12][::-1]) == []
    assert (other.text, other.lacks_updates) == (one.text, False)
    assert other.apply([]) == []


async def test_replicas_converge(opened):
    rng = random.Random(3)
    replicas = [(await opened()) for _ in range(4)]
    inboxes = [[] for _ in replicas]
    for _ in range(300):
        at = rng.randrange(4)
        replica, heard = replicas[at]
        if rng.random() < 0.5:
            length = len(replica.text)
            position = rng.randint(0, length)
            count = min(rng.choice([0, 0, 1, 4]), length - position)
            replica.edit([(position, count, rng.choice(["", "a", "🏔", "bc漢"]))])
        else:
            inbox = inboxes[at]
            rng.shuffle(inbox)
            taken = rng.randint(0, len(inbox))
            assert replica.apply(inbox[:taken]) == []
            del inbox[:taken]
        await asyncio.sleep(0)
        for batch in heard.batches:
            for other, inbox in enumerate(inboxes):
                if other != at:
                    inbox.extend(batch)
        heard.batches.clear()
    share(*(replica for replica, _ in replicas))
    share(*(replica for replica, _ in replicas))
    assert len({replica.text for replica, _ in replicas}) == 1
    assert not any(replica.lacks_updates for replica, _ in replicas)


async def test_under_load_updates_are_told_together_and_in_order(opened):
    replica, heard = await opened()
    for n in range(500):
        replica.edit([(n, 0, "x")])
    assert len(heard.batches) == 1, "the first at once"
    await settle()
    assert len(heard.updates) == 500
    assert len(heard.batches) < 10
    other, _ = await opened()
    for update in heard.updates:
        assert other.apply([update]) == []
        assert not other.lacks_updates


async def test_a_page_that_is_left_tells_at_once(opened):
    replica, heard = await opened()
    replica.set_user({"name": "Ada"})
    replica.edit([(0, 0, "a")])
    replica.edit([(1, 0, "b")])
    inside(replica).awareness.setLocalStateField("cursor", 1)
    assert (len(heard.updates), len(heard.presences)) == (1, 1)
    js.dispatchEvent(js.Event.new("pagehide"))
    assert (len(heard.updates), len(heard.presences)) == (2, 2)
    js.dispatchEvent(js.Event.new("pageshow"))
    replica.edit([(2, 0, "c")])
    await settle()
    assert len(heard.updates) == 3


async def test_what_is_no_state_vector(opened):
    replica, _ = await opened()
    replica.edit([(0, 0, "text")])
    for vector in (b"", b"\x01", b"\xff" * 9, b"\x00\x00", b"\xff\xff\xff\xff\x0f\x01\x01"):
        with pytest.raises(errors.InvalidFrame, match="state vector"):
            replica.update_since(vector)
    assert replica.update_since(b"\x00") == replica.update_since()


async def test_updates_that_are_none_change_nothing(opened):
    author, heard = await opened()
    for n in range(6):
        author.edit([(n, 0, "a🏔é"[n % 3])])
        await settle()
    author.edit([(1, 3, "")])
    await settle()
    good = [*heard.updates, author.update_since()]
    replica, _ = await opened()
    rng = random.Random(4)
    refused = 0
    for _ in range(1_500):
        update = bytearray(rng.choice(good))
        kind = rng.randrange(4)
        if kind == 0:
            del update[rng.randrange(len(update)) :]
        elif kind == 1:
            for _ in range(rng.randint(1, 3)):
                update[rng.randrange(len(update))] ^= 1 << rng.randrange(8)
        elif kind == 2:
            update = bytearray(rng.randbytes(rng.randrange(40)))
        else:
            at = rng.randrange(len(update))
            update[at:at] = b"\xff" * rng.randint(1, 5)
        before = (replica.text, replica.vector())
        faults = replica.apply([bytes(update)])
        if faults:
            refused += 1
            assert "expected an update of Yjs, came" in faults[0]
            assert (replica.text, replica.vector()) == before
    assert refused > 500
    # Some of them are updates that nobody made; the document takes them as any Yjs would.
    length = len(replica.text)
    replica.edit([(length, 0, "still 🏔"), (length, 1, "S")])
    assert replica.text.endswith("Still 🏔")
    other, _ = await opened()
    assert other.apply([NOTHING, b"\x01", replica.update_since(), b"junk"])[0].startswith(
        "expected"
    )


async def test_good_updates_among_bad_ones_are_applied(opened):
    author, _ = await opened()
    author.edit([(0, 0, "good")])
    update = author.update_since()
    replica, _ = await opened()
    faults = replica.apply([b"", update[:-3], b"\xff\xff\xff\xff\x7f", update, b"\x01\x01"])
    assert len(faults) == 4
    assert replica.text == "good"
    author.edit([(4, 0, "!")])
    share(author, replica)
    assert replica.text == "good!"


@pytest.mark.parametrize(
    "update",
    [
        [1, 1, 7, 0, 0, 0, 0],  # nothing, gone
        [1, 1, 7, 0, 0, 255, 255, 255, 255, 255, 255, 255, 15, 0],  # 2**52 characters, gone
        [1, 1, 7, 0, 0x84, 7, 5, 1, 97, 0],  # behind what the same client has yet to write
        [1, 1, 7, 0, 0x84, 7, 0, 1, 97, 0],  # behind itself
        [0, 1, 7, 1, 0, 0],  # deletes nothing
        [255, 255, 255, 255, 15, 1, 7],  # four thousand million clients
        [1, 255, 255, 255, 255, 15, 7, 0],  # as many pieces of text
        [1, 1, 7, 0, 4, 1, 1, 97, 255, 255, 255, 255, 15],  # a text as long
        [1, 1, 7, 0, 8, 1, 1, 97, 255, 255, 255, 255, 15, 126],  # as many values
        [1, 1, 7, 0, 8, 1, 1, 97, 1, *[117, 1] * 5_000, 126, 0],  # an array in an array in …
        [1, 1, 7, 0, 9, 1, 1, 97, 1, 97, 118, 1, 4, *b"guid", 125, 5, 0],  # a document named 5
    ],
    ids=range(11),
)
async def test_updates_that_would_break_yjs_are_refused(opened, update):
    replica, _ = await opened()
    replica.edit([(0, 0, "text")])
    before = replica.vector()
    assert len(replica.apply([bytes(update)])) == 1
    assert (replica.text, replica.vector(), replica.lacks_updates) == ("text", before, False)


async def test_types_in_types_without_end_do_not_end_the_document(opened):
    def number(value):
        return bytes([value]) if value < 128 else bytes([value & 127 | 128, *number(value >> 7)])

    levels = 20_000
    replica, heard = await opened()
    items = b"".join(b"\x07\x00\x07" + number(n) + b"\x02" for n in range(levels - 1))
    head = b"\x01" + number(levels) + b"\x07\x00"
    nested = head + b"\x07\x01\x01z\x02" + items + b"\x00"
    with silenced_errors():
        assert replica.apply([nested]) == []
        assert len(replica.apply([b"\x00\x01\x07\x01\x00\x01"])) == 1  # deletes the outermost
    replica.edit([(0, 0, "goes on")])
    await settle()
    assert replica.text == "goes on"
    assert len(heard.updates) == 1
    other, _ = await opened()
    other.edit([(0, 0, "and ")])
    assert replica.apply([other.update_since()]) == []
    assert sorted(replica.text) == sorted("goes onand ")


async def test_what_is_no_text_takes_no_place_in_it(opened):
    stranger, heard = await opened()
    text = inside(stranger).text
    text.insert(0, "ab")
    text.insertEmbed(1, to_js({"image": "x"}, dict_converter=js.Object.fromEntries))
    text.format(0, 2, to_js({"bold": True}, dict_converter=js.Object.fromEntries))
    await settle()
    replica, told = await opened()
    assert replica.apply(heard.updates) == []
    assert replica.text == "ab"
    replica.edit([(2, 0, "c"), (1, 1, "B")])
    assert replica.text == "aBc"
    assert len(told.updates) == 1
    share(replica, stranger)
    assert inside(stranger).text.toString() == "aBc"
    assert inside(stranger).text.length == 3


async def test_somebody_who_writes_under_our_id_gets_it(opened):
    replica, heard = await opened()
    replica.set_user({"name": "Ada"})
    mine = replica.client_id
    number = []
    while mine > 127:
        number.append(mine & 127 | 128)
        mine >>= 7
    number.append(mine)
    # The letter "x" in the text "content", in our name.
    forged = bytes([1, 1, *number, 0, 4, 1, 7, *b"content", 1, *b"x", 0])
    before = replica.client_id
    assert replica.apply([forged]) == []
    assert replica.client_id != before
    replica.edit([(1, 0, "y")])
    other, told = await opened()
    await asyncio.sleep(0.12)
    for update in heard.presences:
        other.apply_presence(update)
    share(replica, other)
    await settle()
    assert replica.text == other.text == "xy"
    assert [person.client_id for person in told.crowds[-1]] == [replica.client_id]


# People


async def test_people_see_one_another(opened):
    ada, heard = await opened()
    bob, told = await opened()
    ada.set_user({"id": "ada", "name": "Ada 🏔"})
    assert len(heard.presences) == 1, "at once"
    bob.apply_presence(heard.presences[0])
    assert told.crowds == [], "once for all that a task brings"
    await settle()
    (person,) = told.crowds[-1]
    assert person.client_id == ada.client_id
    assert 0 <= person.hue <= 7
    assert (person.user["id"], person.user["name"]) == ("ada", "Ada 🏔")
    assert person.user["color"].startswith("#")
    assert person.user["colorLight"].startswith(person.user["color"])
    bob.apply_presence(ada.presence())
    await settle()
    assert len(told.crowds) == 1, "nothing is new but the clock"
    ada.set_user({"id": "ada", "name": "Ada"})
    ada.set_user({"id": "ada", "name": "Countess"})
    bob.apply_presence(ada.presence())
    await settle()
    assert [person.user["name"] for person in told.crowds[-1]] == ["Countess"]
    ada.set_user(None)
    await asyncio.sleep(0.12)
    bob.apply_presence(heard.presences[-1])
    await settle()
    assert told.crowds[-1] == []


async def test_cursors_move_without_python_and_are_told_now_and_then(opened):
    ada, heard = await opened()
    bob, told = await opened()
    awareness = inside(ada).awareness
    awareness.setLocalStateField("cursor", 1)
    assert awareness.getLocalState() is js.JSON.parse("null"), "nobody is here yet"
    ada.set_user({"name": "Ada"})
    bob.apply_presence(ada.presence())
    await settle()
    began = js.performance.now()
    moves = 0
    while js.performance.now() - began < 300:
        moves += 1
        awareness.setLocalStateField("cursor", moves)
        await asyncio.sleep(0.002)
    await asyncio.sleep(0.1)
    assert moves > 20
    assert 3 <= len(heard.presences) <= 10
    bob.apply_presence(heard.presences[-1])
    await settle()
    assert len(told.crowds) == 1
    states = inside(bob).awareness.states
    assert states.get(ada.client_id).cursor == moves, "the latest wins"
    ada.set_user(None)
    awareness.setLocalStateField("cursor", 1)
    awareness.setLocalState(to_js({"cursor": 1}, dict_converter=js.Object.fromEntries))
    bob.apply_presence(ada.presence())
    assert not states.has(ada.client_id), "an editor revives nobody"
    ada.set_user({"name": "Ada"})
    assert awareness.getLocalState().user.name == "Ada"
    awareness.setLocalState(to_js({"user": 3}, dict_converter=js.Object.fromEntries))
    assert awareness.getLocalState().user.name == "Ada", "nor renames them"


async def test_presence_of_all_and_who_is_forgotten(opened):
    ada, _ = await opened()
    bob, told = await opened()
    cy, news = await opened()
    ada.set_user({"name": "Ada"})
    bob.set_user({"name": "Bob"})
    update = ada.presence()
    bob.apply_presence(update)
    cy.apply_presence(bob.presence(of_all=True))
    await settle()
    assert {person.user["name"] for person in news.crowds[-1]} == {"Ada", "Bob"}
    bob.forget_people()
    await settle()
    assert told.crowds[-1] == []
    assert inside(bob).awareness.states.size == 1
    bob.apply_presence(update)
    await settle()
    assert [person.user["name"] for person in told.crowds[-1]] == ["Ada"], "with the same clock"
    cy.apply_presence(cy.presence(of_all=True))
    assert inside(cy).awareness.states.size == 2


async def test_nobody_else_says_who_is_here(opened):
    replica, _ = await opened()
    replica.set_user({"name": "Ada"})
    mine = replica.client_id
    replica.apply_presence(awareness_update((mine, 2**40, {"user": {"name": "Eve"}})))
    replica.apply_presence(awareness_update((mine, 2**41, None)))
    state = inside(replica).awareness.getLocalState()
    assert state.user.name == "Ada"
    assert inside(replica).awareness.meta.get(mine).clock < 100


async def test_strangers_may_say_anything(opened):
    replica, heard = await opened()
    deep = json.loads("[" * 60 + "]" * 60)
    states = [
        1,
        "text",
        True,
        [],
        {},
        {"user": None},
        {"user": 5},
        {"user": ["name"]},
        {"user": {"name": "x" * 3_000}},
        {"user": {"name": deep}},
        {"user": {"id": {"toString": 1}, "name": {"valueOf": 1}}},
        {"user": {"__proto__": {"id": 1}, "constructor": 1}},
        {"user": {"name": "half \ud83c \\ud83c"}},
        {"user": {"id": 10**400 if False else 1e308, "color": "url(javascript:1)"}},
    ]
    update = awareness_update(*((n + 1, 1, state) for n, state in enumerate(states)))
    replica.apply_presence(update)
    await settle()
    people = {person.client_id: person for person in heard.crowds[-1]}
    assert len(people) == len(states)
    assert all(type(person.hue) is int and 0 <= person.hue <= 7 for person in people.values())
    assert all(people[n].user == {} for n in range(1, 10))
    assert people[10].user == {"name": deep}
    assert people[12].user == {"__proto__": {"id": 1}, "constructor": 1}
    assert people[13].user == {"name": "half \ufffd \\ud83c"}
    json.dumps([person.user for person in people.values()], ensure_ascii=False).encode()


@pytest.mark.parametrize(
    "update",
    [
        b"",
        b"\x01",
        b"\xff\xff\xff\xff\x7f",
        b"\x01\x01\x01\x05null",
        b"\x01\x01\x01\x03nul",
        b"\x01\x01\x01\x02\xff\xff",
        b"\x01\x01\xff\xff\xff\xff\xff\xff\xff\xff\x7f\x04null",
        b"\x01\xff\xff\xff\xff\xff\xff\xff\xff\x7f\x01\x04null",
        b"\x02\x01\x01\x04null",
    ],
)
async def test_what_is_no_awareness_update(opened, update):
    replica, heard = await opened()
    with pytest.raises(errors.InvalidFrame, match="awareness update"):
        replica.apply_presence(update)
    await settle()
    assert heard.crowds == []


async def test_states_have_bounds(opened):
    replica, heard = await opened()
    for states in (
        [(1, 1, {"a": "x" * 20_000})],
        [(1, 1, json.loads("[" * 200 + "]" * 200))],
        [(n, 1, {}) for n in range(1, 600)],
    ):
        with pytest.raises(errors.InvalidFrame):
            replica.apply_presence(awareness_update(*states))
    rng = random.Random(5)
    good = awareness_update((1, 1, {"user": {"name": "Ada"}}), (2, 1, None))
    for _ in range(500):
        update = bytearray(good)
        update[rng.randrange(len(update))] ^= 1 << rng.randrange(8)
        try:
            replica.apply_presence(bytes(update))
        except errors.InvalidFrame:
            continue
    for start in range(1, 10_000, 500):
        replica.apply_presence(awareness_update(*((n, 1, {}) for n in range(start, start + 500))))
    await settle()
    awareness = inside(replica).awareness
    assert awareness.states.size <= 513
    assert len(heard.crowds[-1]) <= 512
    for start in range(100_000, 120_000, 500):
        replica.apply_presence(awareness_update(*((n, 1, None) for n in range(start, start + 500))))
    assert awareness.meta.size < 6_000


async def test_who_is_silent_for_half_a_minute_is_gone(opened, until):
    ada, heard = await opened()
    bob, told = await opened()
    ada.set_user({"name": "Ada"})
    bob.apply_presence(ada.presence())
    await settle()
    before = len(heard.presences)
    inside(bob).awareness.meta.get(ada.client_id).lastUpdated -= 31_000
    inside(ada).awareness.meta.get(ada.client_id).lastUpdated -= 16_000
    await until(lambda: told.crowds[-1] == [], "Ada to be gone")
    await until(lambda: len(heard.presences) > before, "Ada to renew herself")
    bob.apply_presence(heard.presences[-1])
    await settle()
    assert len(told.crowds[-1]) == 1


async def test_destroyed_it_has_withdrawn_and_nothing_is_left(proxies):
    counting = """(() => {
        const [set, clear] = [globalThis.setInterval, globalThis.clearInterval];
        const there = new Set();
        globalThis.setInterval = (...all) => { const id = set(...all); there.add(id); return id; };
        globalThis.clearInterval = (id) => { there.delete(id); clear(id); };
        there.restore = () => Object.assign(globalThis, { setInterval: set, clearInterval: clear });
        return there;
    })()"""
    there = js.eval(counting)
    try:
        changes = []
        listener = js.eval("(told) => (event) => told.push(event.type, event.detail)")
        told = js.Array.new()
        hear = listener(told)
        documents.changes.addEventListener("opened", hear)
        documents.changes.addEventListener("destroyed", hear)
        heard = Heard()
        replica = await platform.open_replica(heard)
        number = replica.number
        assert there.size == 1
        replica.set_user({"name": "Ada"})
        for n in range(100):
            replica.edit([(n, 0, "x")])
        other = Heard()
        stranger = await platform.open_replica(other)
        parts = inside(replica)
        replica.destroy()
        replica.destroy()
        assert len(heard.updates) == 100, "what waited was told"
        stranger.apply_presence(heard.presences[0])
        stranger.apply_presence(heard.presences[-1])
        await settle()
        assert other.crowds == [], "came and went in one task"
        changes = list(told.to_py())
        assert changes == ["opened", number, "opened", stranger.number, "destroyed", number]
        parts.text.insert(0, "y")
        parts.awareness.setLocalState(None)
        await asyncio.sleep(0.1)
        assert len(heard.updates) == 100
        stranger.destroy()
        assert there.size == 0
        assert documents.replicas.size == 0
        documents.changes.removeEventListener("opened", hear)
        documents.changes.removeEventListener("destroyed", hear)
        del replica, stranger, parts, listener, hear, told, heard, other
        await proxies.settled(limit=8)
    finally:
        there.restore()


async def test_who_gives_up_opening_leaves_nothing(proxies, until):
    closed = []
    close = js.IDBDatabase.prototype.close
    wrapping = "(close, told) => function () { told(); return close.call(this); }"
    told = create_proxy(lambda: closed.append(True))
    js.IDBDatabase.prototype.close = js.eval(wrapping)(close, told)
    try:
        for wait in (0, 0, 0.001):
            tasks = [
                asyncio.ensure_future(platform.open_replica(Heard())),
                asyncio.ensure_future(platform.open_document_store("given up", print)),
            ]
            await asyncio.sleep(wait)
            for task in tasks:
                task.cancel()
            for answer in await asyncio.gather(*tasks, return_exceptions=True):
                if not isinstance(answer, asyncio.CancelledError):
                    getattr(answer, "destroy", getattr(answer, "close", None))()
        await until(lambda: len(closed) == 3, "the stores to be closed")
        assert documents.replicas.size == 0
    finally:
        js.IDBDatabase.prototype.close = close
    told.destroy()
    del told, close, answer, tasks, task
    await proxies.settled(limit=5)


# The store


async def test_what_is_appended_is_there_after_a_reload(opened, stores):
    author, heard = await opened()
    store = await stores()
    assert await store.load() == ([], 0, "")
    for n in range(30):
        author.edit([(n, 0, "a🏔"[n % 2])])
    await settle()
    for update in heard.updates:
        store.append(update, unsent=1)
    store.sent(12)
    await store.flush()
    store.close()
    again = await stores()
    kept = await again.load()
    assert kept.unsent == 18
    assert 1 <= len(kept.updates) <= 30
    replica, _ = await opened()
    assert replica.apply(kept.updates) == []
    assert replica.text == author.text
    again.sent(100)
    again.append(NOTHING)
    assert (await again.load()).unsent == 0
    assert store.failures == again.failures == []


async def test_what_is_appended_last_is_written_without_being_waited_for(opened, stores):
    author, _ = await opened()
    author.edit([(0, 0, "last")])
    store = await stores()
    store.append(NOTHING)
    store.append(author.update_since(), unsent=1)
    store.close()
    store.append(b"too late")
    store.close()
    await store.flush()
    again = await stores()
    replica, _ = await opened()
    kept = await again.load()
    assert replica.apply(kept.updates) == []
    assert (replica.text, kept.unsent) == ("last", 1)


async def test_what_is_written_while_a_page_is_left_waits_for_nothing(stores):
    store = await stores()
    js.dispatchEvent(js.Event.new("pagehide"))
    try:
        for _ in range(20):
            store.append(NOTHING, unsent=1)
            store.sent(2)
    finally:
        js.dispatchEvent(js.Event.new("pageshow"))
    again = await stores()
    assert await again.load() == ([NOTHING] * 20, 0, "")


async def test_how_many_are_unsent_is_counted_in_order(stores):
    store = await stores()
    for _ in range(2):
        store.sent(5)
        for _ in range(10):
            store.append(NOTHING, unsent=3)
            store.sent(100)
        store.append(NOTHING, unsent=4)
        store.append(NOTHING, unsent=0)
        assert (await store.load()).unsent == 4
    for _ in range(10):
        store.sent(1)
        await store.flush()
    assert (await store.load()).unsent == 0


async def test_documents_are_kept_apart(stores):
    here = await stores()
    there = await platform.open_document_store("another", print)
    here.append(NOTHING, unsent=2)
    await here.flush()
    assert await there.load() == ([], 0, "")
    there.close()


async def test_several_tabs_keep_one_document(opened, stores):
    tabs = [await stores() for _ in range(4)]
    authors = [await opened() for _ in tabs]
    for n in range(120):
        for (author, heard), store in zip(authors, tabs, strict=True):
            author.edit([(n, 0, "x")])
            for update in heard.updates:
                store.append(update, unsent=1)
            heard.batches.clear()
        if n % 7 == 0:
            await asyncio.sleep(0.002)
    await settle()
    for (_, heard), store in zip(authors, tabs, strict=True):
        for update in heard.updates:
            store.append(update, unsent=1)
    await asyncio.gather(*(store.flush() for store in tabs))
    share(*(author for author, _ in authors))
    kept = await tabs[0].load()
    replica, _ = await opened()
    assert replica.apply(kept.updates) == []
    assert replica.text == authors[0][0].text == "x" * 480
    assert kept.unsent == 480
    assert not any(store.failures for store in tabs)


async def test_many_records_are_squashed(opened, stores):
    author, heard = await opened()
    store = await stores()
    for n in range(450):
        author.edit([(0, 1 if n else 0, "xy")])
        await asyncio.sleep(0)
        for update in heard.updates:
            store.append(update)
            await store.flush()
        heard.batches.clear()
    await settle()
    for update in heard.updates:
        store.append(update)
    kept = await store.load()
    assert len(kept.updates) <= 251
    replica, _ = await opened()
    assert replica.apply(kept.updates) == []
    assert replica.text == author.text
    store.close()
    again = await stores()
    await again.load()
    await again.flush()
    assert len((await again.load()).updates) <= 201


async def test_two_tabs_squash_at_once(opened, stores):
    author, heard = await opened()
    one = await stores()
    for n in range(210):
        author.edit([(n, 0, "x")])
    await settle()
    for update in heard.updates:
        one.append(update)
        await one.flush()
    two, three = await stores(), await stores()
    await asyncio.gather(two.load(), three.load())
    three.append(NOTHING)
    await asyncio.gather(two.flush(), three.flush())
    kept = await one.load()
    assert len(kept.updates) <= 2
    replica, _ = await opened()
    assert replica.apply(kept.updates) == []
    assert replica.text == "x" * 210


async def test_a_broken_record_loses_only_itself(opened, stores):
    author, _ = await opened()
    author.edit([(0, 0, "good")])
    store = await stores()
    store.append(author.update_since())
    store.append(b"\xff\xff\xff")
    await store.flush()
    await put_record({"name": store.document, "update": "text"})
    await put_record({"name": store.document})
    again = await stores()
    kept = await again.load()
    assert len(kept.updates) == 1
    assert "3 of 4 records" in kept.fault
    assert again.failures == [], "the rest is kept, and goes on being kept"
    again.append(NOTHING, unsent=1)
    await again.flush()
    kept = await (await stores()).load()
    assert len(kept.updates) <= 2
    assert kept.fault == "", "what cannot be read was thrown away"


async def test_denied_storage(monkeypatch, proxies):
    denied = """(() => {
        const own = Object.getOwnPropertyDescriptor(globalThis, "indexedDB");
        Object.defineProperty(globalThis, "indexedDB", {
            configurable: true,
            get() { throw new DOMException("denied", "SecurityError"); },
        });
        return () => Object.defineProperty(globalThis, "indexedDB", own);
    })()"""
    restore = js.eval(denied)
    try:
        with pytest.raises(errors.StorageFailed, match="SecurityError"):
            await platform.open_document_store("denied", print)
    finally:
        restore()
    del restore
    await proxies.settled(limit=5)


async def test_storage_that_is_full(stores):
    store = await stores()
    store.append(NOTHING, unsent=1)
    await store.flush()
    with full_storage():
        store.append(NOTHING, unsent=1)
        store.append(NOTHING, unsent=1)
        with pytest.raises(errors.StorageFailed, match="QuotaExceededError"):
            await store.flush()
    await settle()
    (failure,) = store.failures
    assert "QuotaExceededError" in str(failure)
    store.append(NOTHING)
    store.sent(1)
    with pytest.raises(errors.StorageFailed):
        await store.load()
    with pytest.raises(errors.StorageFailed):
        await store.flush()
    assert len(store.failures) == 1
    assert await (await stores()).load() == ([NOTHING], 1, ""), "what was written is whole"


async def test_a_database_that_is_deleted(stores, until):
    store = await stores()
    store.append(NOTHING)
    await store.flush()
    deleted = []
    request = js.indexedDB.deleteDatabase("realtime-documents")
    request.onsuccess = deleted.append
    await until(lambda: deleted, "the database to be deleted")
    (failure,) = store.failures
    assert "deleted or replaced" in str(failure)
    with pytest.raises(errors.StorageFailed):
        await store.flush()
    assert await (await stores()).load() == ([], 0, "")


async def test_closed_stores_leave_nothing(proxies):
    for n in range(5):
        store = await platform.open_document_store(f"left {n}", print)
        store.append(NOTHING)
        await store.load()
        store.append(NOTHING)
        store.close()
        await store.flush()
        await settle()
        del store
    await proxies.settled(limit=5)


def awareness_update(*entries):
    """Encode (client, clock, state) as y-protocols does."""

    def number(value):
        return bytes([value]) if value < 128 else bytes([value & 127 | 128]) + number(value >> 7)

    update = number(len(entries))
    for client, clock, state in entries:
        text = json.dumps(state).encode()
        update += number(client) + number(clock) + number(len(text)) + text
    return update


@contextmanager
def silenced_errors():
    """Keep what is reported as uncaught out of the console."""
    ignore = js.eval("(event) => event.preventDefault()")
    js.addEventListener("error", ignore)
    try:
        yield
    finally:
        js.removeEventListener("error", ignore)


@contextmanager
def full_storage():
    breaking = """(() => {
        const own = IDBObjectStore.prototype.add;
        IDBObjectStore.prototype.add = () => { throw new DOMException("", "QuotaExceededError"); };
        return () => { IDBObjectStore.prototype.add = own; };
    })()"""
    restore = js.eval(breaking)
    try:
        yield
    finally:
        restore()


async def put_record(record):
    putting = """(record) => new Promise((resolve, reject) => {
        const request = indexedDB.open("realtime-documents");
        request.onsuccess = () => {
            const transaction = request.result.transaction("updates", "readwrite");
            transaction.objectStore("updates").add(record);
            transaction.oncomplete = () => { request.result.close(); resolve(); };
            transaction.onabort = reject;
        };
    })"""
    await js.eval(putting)(to_js(record, dict_converter=js.Object.fromEntries))


async def test_a_session_that_is_left_at_once_keeps_what_was_written_last():
    name = f"left {random.random()}"
    options = {"url": "./nowhere/", "share": False, "max_reconnect_attempts": 0}
    session = DocumentSession(name, **options)
    await session.join()
    for position, letter in enumerate("words"):
        session.insert(position, letter)  # only the first is told at once
    session.leave()
    again = DocumentSession(name, **options)
    await again.join()
    assert (again.text, again.unsynced_changes) == ("words", 5)
    again.leave()
    assert documents.replicas.size == 0
