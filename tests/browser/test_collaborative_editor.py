"""`<collaborative-editor>` over a session that does as it is told, and real replicas."""

import asyncio
import itertools
import json
from types import SimpleNamespace

import pytest
from js import Promise, document, window
from pyodide.code import run_js
from pyscript.js_modules import documents, editor

from components.collaborative_editor import CollaborativeEditor
from components.collaborators import initials, listed
from components.element import define, drawn
from services.browser import BrowserPlatform
from services.emitter import Emitter
from services.errors import ConfigurationError

numbers = itertools.count(1)

#: A replica as runtime/documents.js keeps them, and other people's, as their pages have them.
LABORATORY = """({ Y, awareness: protocol, EditorView }, replicas) => {
  const make = (name) => {
    const doc = new Y.Doc();
    return { doc, text: doc.getText("content"), awareness: new protocol.Awareness(doc), name };
  };
  const sync = (from, to) => {
    const update = Y.encodeStateAsUpdate(from.doc, Y.encodeStateVector(to.doc));
    Y.applyUpdate(to.doc, update, "remote");
  };
  return {
    open(number, content) {
      const ours = make("us");
      if (content) ours.text.insert(0, content);
      ours.awareness.setLocalState({ user: { id: "us", name: "Us" } });
      replicas.set(number, ours);
      return ours;
    },
    close(number) {
      replicas.get(number)?.awareness.destroy();
      replicas.get(number)?.doc.destroy();
      replicas.delete(number);
    },
    peer(ours, name) {
      const peer = make(name);
      sync(ours, peer);
      return peer;
    },
    sync,
    say(peer, ours, json) {
      peer.awareness.setLocalState(JSON.parse(json));
      const update = protocol.encodeAwarenessUpdate(peer.awareness, [peer.doc.clientID]);
      protocol.applyAwarenessUpdate(ours.awareness, update, "remote");
    },
    at(peer, anchor, head, name) {
      const place = (index) => Y.createRelativePositionFromTypeIndex(peer.text, index);
      const cursor = { anchor: place(anchor), head: place(head) };
      this.say(peer, peer.ours, JSON.stringify({ user: { id: name, name }, cursor }));
    },
    embed: (peer, index) => peer.text.insertEmbed(index, { image: "x" }),
    nest: (peer, index) => peer.text.insertEmbed(index, new Y.Map()),
    array(ours) {
      // For somebody the name stands for an array. Yjs has no event for what that holds.
      const other = new Y.Doc();
      other.getArray("content").insert(0, [1, { two: 2 }]);
      Y.applyUpdate(ours.doc, Y.encodeStateAsUpdate(other), "remote");
    },
    hasType: (ours, name) => ours.doc.share.has(name),
    observers: (ours) => ours.text._eH.l.length,
    hooks({ doc, text, awareness }) {
      const sets = [doc, awareness].flatMap(({ _observers }) => [..._observers.values()]);
      return text._eH.l.length + sets.reduce((sum, { size }) => sum + size, 0);
    },
    heard: (ours) => ours.awareness._observers.get("change")?.size ?? 0,
    type(view, text, at = view.state.selection.main.head) {
      const selection = { anchor: at + text.length };
      view.dispatch({ changes: { from: at, insert: text }, selection, userEvent: "input.type" });
    },
    remove: (view, from, to) => view.dispatch({ changes: { from, to }, userEvent: "delete" }),
    select: (view, anchor, head) => view.dispatch({ selection: { anchor, head } }),
    press(view, key, options) {
      const init = { key, bubbles: true, cancelable: true, ...JSON.parse(options) };
      const event = new KeyboardEvent("keydown", init);
      return view.contentDOM.dispatchEvent(event);
    },
    shown: (view) => view.state.doc.toString(),
    measure: (view) => view.measure(),
    cursor: (ours) => JSON.stringify(ours.awareness.getLocalState()?.cursor ?? null),
    withUser: (ours, user) => ours.awareness.setLocalState(user && { user: JSON.parse(user) }),
  };
}"""

_laboratory = []


async def laboratory():
    if not _laboratory:
        _laboratory.append(run_js(LABORATORY)(await documents.load(), documents.replicas))
    return _laboratory[0]


def person(client_id, name, hue=0, user_id=None):
    return SimpleNamespace(client_id=client_id, user_id=user_id or name, name=name, hue=hue)


class Session:
    """A DocumentSession without a server."""

    def __init__(self, document_id, content=""):
        self.document_id = document_id
        self.content = content
        self.replica_number = None
        self.state = "closed"
        self.synced = False
        self.unsynced_changes = 0
        self.read_only = False
        self.is_kept = True
        self.collaborators = []
        self.last_close = None
        self.failure = None
        self.hold = None
        self.connects = 0
        self.is_left = False
        self.emitter = Emitter(print)
        self.on = self.emitter.on

    async def join(self):
        self.laboratory = await laboratory()
        if self.hold is not None:
            await self.hold.wait()
        if self.failure is not None:
            raise self.failure
        if self.is_left:
            raise ConfigurationError("left")
        self.replica_number = next(numbers)
        self.ours = self.laboratory.open(self.replica_number, self.content)
        self.state = "connecting"

    def leave(self):
        self.is_left = True
        if self.replica_number is not None:
            self.laboratory.close(self.replica_number)
        self.replica_number = None
        self.state = "closed"
        self.emitter.emit("status", {})

    def connect(self):
        self.connects += 1

    def becomes(self, **values):
        for name, value in values.items():
            setattr(self, name, value)
        self.emitter.emit("status", {})

    def comes(self, *people):
        self.collaborators = [*self.collaborators, *people]
        for each in people:
            said = {"userId": each.user_id, "name": each.name, "clientId": each.client_id}
            self.emitter.emit("collaborator-joined", said)

    def goes(self, who):
        self.collaborators = [each for each in self.collaborators if each is not who]
        said = {"userId": who.user_id, "name": who.name, "clientId": who.client_id}
        self.emitter.emit("collaborator-left", said)

    def peer(self, name="Ada"):
        peer = self.laboratory.peer(self.ours, name)
        peer.ours = self.ours
        return peer


class Sessions(list):
    """What opens documents, and remembers them."""

    def __init__(self, prepare=lambda session: None):
        super().__init__()
        self._prepare = prepare

    def __call__(self, document_id):
        if document_id.startswith("!"):
            raise ConfigurationError(f"document id: expected none with !, came {document_id}")
        session = Session(document_id)
        self._prepare(session)
        self.append(session)
        return session


# What follows are the tests.


async def put(stage, sessions, document_id="notes", platform=None, auth=None, **attributes):
    """Put an editor into the page; return its shadow root."""
    tag = f"tested-editor-{next(numbers)}"
    define(
        type("Tested", (CollaborativeEditor,), {"tag": tag}),
        open_document=sessions,
        platform=platform or BrowserPlatform(),
        auth=auth,
    )
    host = document.createElement(tag)
    if document_id is not None:
        host.setAttribute("document-id", document_id)
    for name, value in attributes.items():
        host.setAttribute(name, value)
    stage.append(host)
    await drawn()
    return host.shadowRoot


async def opened(stage, until, content="", **attributes):
    """Put an editor into the page and wait until one can type; return all there is to it."""
    sessions = Sessions(lambda session: setattr(session, "content", content))
    root = await put(stage, sessions, **attributes)
    await until(lambda: view_of(root), "an editor")
    (session,) = sessions
    return SimpleNamespace(
        root=root,
        sessions=sessions,
        session=session,
        ours=session.ours,
        view=view_of(root),
        lab=session.laboratory,
    )


def view_of(root):
    node = root.querySelector("text-editor")
    return node.view.editor if node and node.view else None


def text(root, selector):
    node = root.querySelector(selector)
    return " ".join(node.textContent.split()) if node else None


def content(it):
    """What the text is, and what the editor has; they must be the same."""
    theirs = it.ours.text.toString()
    assert it.lab.shown(it.view) == theirs
    return theirs


async def frames(count=2):
    """Let that many frames come and go."""
    for _ in range(count):
        await Promise.new(lambda resolve, _: window.requestAnimationFrame(resolve))
        await asyncio.sleep(0)
    await drawn()


class Clock:
    """The browser, but its timers only run when a test says so."""

    def __init__(self):
        self.browser = BrowserPlatform()
        self.timers = []

    def __getattr__(self, name):
        return getattr(self.browser, name)

    def call_later(self, delay, callback):
        entry = (delay, callback)
        self.timers.append(entry)
        return lambda: self.timers.remove(entry) if entry in self.timers else None

    def passes(self):
        due, self.timers = self.timers, []
        for _, callback in due:
            callback()


# Editing


async def test_what_one_types_is_in_the_text(stage, until):
    it = await opened(stage, until)
    it.lab.type(it.view, "Hello")
    it.lab.type(it.view, " world\nnext")
    assert content(it) == "Hello world\nnext"
    it.lab.remove(it.view, 0, 6)
    assert content(it) == "world\nnext"


async def test_real_input_reaches_the_text(stage, until):
    it = await opened(stage, until, "one")
    it.view.focus()
    it.lab.select(it.view, 3, 3)
    document.execCommand("insertText", False, " two")
    await until(lambda: it.ours.text.toString() == "one two", "the typed text")
    assert content(it) == "one two"


async def test_what_others_type_is_in_the_editor(stage, until):
    it = await opened(stage, until, "one\ntwo")
    peer = it.session.peer()
    peer.text.insert(7, " three")
    peer.text.delete(0, 4)
    it.lab.sync(peer, it.ours)
    assert content(it) == "two three"


async def test_both_at_once_end_up_the_same(stage, until):
    it = await opened(stage, until, "0123456789")
    peer = it.session.peer()
    it.lab.type(it.view, "ours ", 0)
    it.lab.remove(it.view, 10, 12)
    peer.text.insert(10, " theirs")
    peer.text.delete(4, 3)
    it.lab.sync(peer, it.ours)
    it.lab.sync(it.ours, peer)
    assert content(it) == peer.text.toString()
    assert content(it).startswith("ours ")
    assert content(it).endswith(" theirs")


async def test_undo_takes_back_ones_own_edits_only(stage, until):
    it = await opened(stage, until, "base ")
    peer = it.session.peer()
    it.lab.type(it.view, "mine ", 5)
    peer.text.insert(5, "theirs ")
    it.lab.sync(peer, it.ours)
    it.lab.press(it.view, "z", json.dumps({"ctrlKey": True}))
    assert content(it) == "base theirs "
    it.lab.press(it.view, "z", json.dumps({"ctrlKey": True}))
    assert content(it) == "base theirs "
    it.lab.press(it.view, "y", json.dumps({"ctrlKey": True}))
    assert sorted(content(it).split()) == ["base", "mine", "theirs"]
    it.lab.press(it.view, "z", json.dumps({"ctrlKey": True}))
    it.lab.press(it.view, "Z", json.dumps({"ctrlKey": True, "shiftKey": True, "keyCode": 90}))
    assert "mine" in content(it)


async def test_tab_is_left_to_the_browser(stage, until):
    it = await opened(stage, until, "text")
    it.view.focus()
    assert it.lab.press(it.view, "Tab", "{}")  # nobody has prevented the default
    assert content(it) == "text"


async def test_the_editor_says_what_it_is(stage, until):
    it = await opened(stage, until, heading="Shared notes")
    area = it.root.querySelector(".editor-content")
    assert area.isContentEditable
    assert area.getAttribute("role") == "textbox"
    assert area.getAttribute("aria-multiline") == "true"
    assert area.getAttribute("aria-label") == "Shared notes"
    assert not area.hasAttribute("aria-readonly")
    assert text(it.root, ".cm-placeholder") == "Start typing …"
    it.root.host.setAttribute("heading", "Minutes")
    await frames()
    assert text(it.root, "h2") == "Minutes"
    assert it.root.querySelector(".editor-content").getAttribute("aria-label") == "Minutes"


async def test_read_only_takes_no_edits_and_says_so(stage, until):
    it = await opened(stage, until, "text")
    it.lab.type(it.view, "my ", 0)
    it.session.becomes(state="open", synced=True, read_only=True)
    await frames()
    area = it.root.querySelector(".editor-content")
    assert area.getAttribute("aria-readonly") == "true"
    it.view.focus()
    document.execCommand("insertText", False, "x")
    it.lab.press(it.view, "Enter", "{}")
    it.lab.press(it.view, "z", json.dumps({"ctrlKey": True}))
    await frames()
    assert content(it) == "my text"
    it.session.becomes(read_only=False)
    await frames()
    it.lab.press(it.view, "z", json.dumps({"ctrlKey": True}))
    assert content(it) == "text"


async def test_markdown_is_lit_up_and_fences_are_followed(stage, until):
    it = await opened(stage, until, "# One\n**two** and `three`\n```\n# no heading\n```\n# Two")

    def lit(kind):
        return [node.textContent for node in it.root.querySelectorAll(f".md-{kind}")]

    assert "".join(lit("heading")) == "# One# Two"
    assert lit("strong") == ["**two**"]
    assert lit("code") == ["`three`", "```", "# no heading", "```"]
    at = it.lab.shown(it.view).index("```")
    it.lab.remove(it.view, at, at + 4)
    assert "".join(lit("heading")) == "# One# no heading"
    assert lit("code")[-1] == "# Two"


# Texts of strangers


@pytest.mark.parametrize(
    "hostile", ["\r\n", "\r", "a\r\nb\rc\n", "\u2028\u2029\x85", "\0\u202e", "😀" * 3, "\ufeff"]
)
async def test_positions_are_right_whatever_breaks_its_lines(stage, until, hostile):
    it = await opened(stage, until, f"<{hostile}>")
    it.lab.type(it.view, "!", it.view.state.doc.length)
    assert content(it) == f"<{hostile}>!"
    peer = it.session.peer()
    peer.text.insert(0, f"{hostile}>")
    it.lab.sync(peer, it.ours)
    it.lab.type(it.view, "?", it.view.state.doc.length)
    assert content(it) == f"{hostile}><{hostile}>!?"


async def test_what_is_no_text_is_one_character_and_can_go(stage, until):
    it = await opened(stage, until, "before after")
    peer = it.session.peer()
    it.lab.embed(peer, 6)
    it.lab.nest(peer, 0)
    peer.text.format(2, 3, json_object(bold=True))
    it.lab.sync(peer, it.ours)
    assert it.lab.shown(it.view) == "\ufffcbefore\ufffc after"
    it.lab.type(it.view, "!", 14)
    assert it.ours.text.toString() == "before after!"
    it.lab.remove(it.view, 7, 8)
    it.lab.remove(it.view, 0, 1)
    assert content(it) == "before after!"


async def test_an_editor_opens_over_what_is_no_text(stage, until):
    it = await opened(stage, until, "ab")
    peer = it.session.peer()
    it.lab.embed(peer, 1)
    it.lab.sync(peer, it.ours)
    it.lab.array(it.ours)
    node = it.root.querySelector("text-editor")
    number = node.getAttribute("replica")
    node.setAttribute("replica", "")
    node.setAttribute("replica", number)
    await until(lambda: view_of(it.root), "the editor again")
    view = view_of(it.root)
    assert sorted(it.lab.shown(view)) == ["a", "b", "\ufffc", "\ufffc", "\ufffc"]


async def test_content_that_yjs_does_not_tell_of_shifts_nothing(stage, until):
    it = await opened(stage, until, "abc")
    it.lab.array(it.ours)
    it.lab.type(it.view, "d", it.view.state.doc.length)
    peer = it.session.peer()
    peer.text.insert(0, "> ")
    it.lab.sync(peer, it.ours)
    await asyncio.sleep(0.05)
    shown = it.lab.shown(it.view)
    assert len(shown) == it.ours.text.length == 8
    assert shown.replace("\ufffc", "") == it.ours.text.toString() == "> abcd"
    it.lab.remove(it.view, shown.index("c"), shown.index("c") + 1)
    assert it.ours.text.toString() == "> abd"


async def test_a_torn_pair_of_surrogates_is_what_the_text_says(stage, until):
    it = await opened(stage, until, "x😀y")
    peer = it.session.peer()
    peer.text.insert(2, "-")
    it.lab.sync(peer, it.ours)
    await until(lambda: it.lab.shown(it.view) == it.ours.text.toString(), "the same text")
    it.lab.type(it.view, "!", 5)
    assert it.ours.text.toString().endswith("y!")


# Where the others are


def json_object(**values):
    return window.JSON.parse(json.dumps(values))


def carets(it):
    it.lab.measure(it.view)
    return {
        caret.firstChild.textContent: caret
        for caret in it.root.querySelectorAll(".cm-carets > .caret")
    }


async def test_cursors_of_others_are_shown_with_their_names(stage, until):
    it = await opened(stage, until, "first\nsecond\nthird")
    ada, bo = it.session.peer("Ada"), it.session.peer("Bo")
    it.lab.at(ada, 0, 0, "Ada")
    it.lab.at(bo, 6, 12, "Bo")
    await until(lambda: set(carets(it)) == {"Ada", "Bo"}, "two cursors")
    assert it.root.querySelectorAll(".cm-selections > .selection").length >= 1
    assert text(it.root, ".cm-content").startswith("first")  # nothing in the text that is no text
    assert "moved" in carets(it)["Ada"].className
    before = carets(it)["Bo"].getBoundingClientRect().left
    it.lab.at(bo, 7, 7, "Bo")
    await until(lambda: carets(it)["Bo"].getBoundingClientRect().left < before, "a move")
    assert not it.root.querySelector(".cm-selections > .selection")


async def test_a_cursor_goes_along_with_the_text(stage, until):
    it = await opened(stage, until, "0123456789")
    ada = it.session.peer("Ada")
    it.lab.at(ada, 5, 5, "Ada")
    await until(lambda: carets(it), "a cursor")
    left = carets(it)["Ada"].getBoundingClientRect().left
    it.lab.type(it.view, "xx", 0)
    await frames()
    assert carets(it)["Ada"].getBoundingClientRect().left > left


async def test_a_cursor_in_text_that_has_not_come_yet_waits_for_it(stage, until):
    it = await opened(stage, until, "abc")
    ada = it.session.peer("Ada")
    ada.text.insert(3, "def")
    it.lab.at(ada, 5, 5, "Ada")
    await frames()
    assert not carets(it)
    it.lab.sync(ada, it.ours)
    await until(lambda: carets(it), "the cursor")


async def test_many_at_one_place(stage, until):
    it = await opened(stage, until, "abc")
    for number in range(150):
        it.lab.at(it.session.peer(), 1, 1, f"Person {number}")
    await until(lambda: len(carets(it)) == 100, "as many cursors as are drawn")


HOSTILE = [
    None,
    "text",
    7,
    [],
    {"cursor": "x"},
    {"cursor": {"anchor": 1, "head": [2]}},
    {"cursor": {"anchor": {}, "head": {}}},
    {"cursor": {"anchor": {"tname": "evil"}, "head": {"tname": "evil"}}},
    {"cursor": {"anchor": {"tname": 5}, "head": {"tname": ["content"]}}},
    {"cursor": {"anchor": {"type": {"client": 1, "clock": 2}}, "head": {"type": 1}}},
    {"cursor": {"anchor": {"item": {"client": -1, "clock": 1e300}}, "head": {"item": "x"}}},
    {"cursor": {"anchor": {"item": {"client": 99, "clock": 99}}, "head": {"item": {}}}},
    {"cursor": {"anchor": {"tname": "content", "assoc": "x"}, "head": None}},
]


@pytest.mark.parametrize("state", HOSTILE, ids=range(len(HOSTILE)))
async def test_a_place_may_be_anything(stage, until, state):
    it = await opened(stage, until, "abc")
    if state is not None:
        for user in (None, 5, {"name": 5, "id": {"toString": 5}}, {"color": "red;}*{display:none"}):
            said = {**state, "user": user} if isinstance(state, dict) else state
            it.lab.say(it.session.peer(), it.ours, json.dumps(said))
    await frames(3)
    assert not carets(it)
    assert not it.lab.hasType(it.ours, "evil")
    assert not it.root.querySelector("text-editor .problem")
    it.lab.type(it.view, "d", 3)
    assert content(it) == "abcd"


async def test_a_name_is_text_and_short_and_a_colour_is_no_style(stage, until):
    it = await opened(stage, until, "abc")
    name = "<img src=x onerror=alert(1)>" + "\u202e" + "x" * 10_000
    place = {"type": None, "tname": "content", "item": None, "assoc": 0}
    user = {"name": name, "color": "url(https://evil.example/)", "id": {"toString": 5}}
    state = {"user": user, "cursor": {"anchor": place, "head": place}}
    it.lab.say(it.session.peer(), it.ours, json.dumps(state))
    await until(lambda: carets(it), "a cursor")
    ((shown, caret),) = carets(it).items()
    assert len(shown) <= 32
    assert not it.root.querySelector("img")
    assert "evil" not in (caret.getAttribute("style") or "")


async def test_ones_own_cursor_is_told_as_others_expect_it(stage, until):
    it = await opened(stage, until, "abc")
    it.view.focus()
    it.lab.select(it.view, 1, 3)
    await until(lambda: it.lab.cursor(it.ours) != "null", "a cursor")
    told = json.loads(it.lab.cursor(it.ours))
    # y-codemirror.next reads these without looking whether they are there.
    assert set(told["anchor"]) == set(told["head"]) == {"type", "tname", "item", "assoc"}
    assert told["head"]["tname"] == "content"
    it.view.contentDOM.blur()
    await until(lambda: it.lab.cursor(it.ours) == "null", "no cursor")


async def test_who_is_not_among_the_people_tells_no_cursor(stage, until):
    it = await opened(stage, until, "abc")
    it.lab.withUser(it.ours, None)
    it.view.focus()
    it.lab.select(it.view, 1, 1)
    await frames(3)
    assert it.ours.awareness.getLocalState() is None or it.lab.cursor(it.ours) == "null"
    it.lab.withUser(it.ours, json.dumps({"name": "Us"}))
    await until(lambda: it.lab.cursor(it.ours) != "null", "a cursor, now that one may")


# Who is there


async def test_a_badge_for_each_other_person(stage, until):
    it = await opened(stage, until)
    it.session.comes(person(1, "Ada Lovelace", 3), person(2, "bo", 1))
    await frames(1)
    ada, bo = it.root.querySelectorAll(".collaborators .collaborator-badge")
    assert (ada.title, ada.getAttribute("aria-label")) == ("Ada Lovelace", "Ada Lovelace")
    assert (ada.textContent, bo.textContent) == ("AL", "B")
    assert "hue-3" in ada.className
    it.session.goes(it.session.collaborators[0])
    await frames(1)
    assert [badge.title for badge in it.root.querySelectorAll(".collaborator-badge")] == ["bo"]


async def test_one_person_in_many_tabs_is_one_person(stage, until):
    it = await opened(stage, until)
    it.session.comes(person(1, "Ada", 1, "7"), person(2, "Ada", 1, "7"), person(3, "Eve", 1, "7"))
    await frames(1)
    assert [badge.title for badge in it.root.querySelectorAll(".collaborator-badge")] == [
        "Ada",
        "Eve",
    ]


async def test_many_people_collapse(stage, until):
    it = await opened(stage, until)
    it.session.comes(*[person(number, f"Person {number}") for number in range(200)])
    await frames(1)
    assert it.root.querySelectorAll(".collaborator-badge").length == 5
    more = it.root.querySelector(".collaborator-more")
    assert more.textContent == "+195"
    assert more.title.startswith("Person 5, Person 6")
    assert more.title.endswith("and 165 others")


@pytest.mark.parametrize(
    ("name", "letters"),
    [
        ("Ada", "A"),
        ("ada king lovelace", "AL"),
        ("👩‍👩‍👧 family", "👩‍👩‍👧F"),
        ("e\u0301lan", "E\u0301"),
        ("李 小龙", "李小"),
        ("<b>", "<"),
    ],
)
def test_initials(name, letters):
    assert initials(name) == letters


def test_names_in_a_sentence():
    assert listed(["Ada"], 3) == "Ada"
    assert listed(["Ada", "Bo"], 3) == "Ada and Bo"
    assert listed(["Ada", "Bo", "Cy", "Di"], 3) == "Ada, Bo, Cy and 1 other"


async def test_coming_and_going_is_announced_once_and_not_as_a_flood(stage, until):
    clock = Clock()
    it = await opened(stage, until, platform=clock)
    clock.passes()
    people = [person(number, f"Person {number}") for number in range(20)]
    it.session.comes(*people)
    it.session.goes(people[0])
    await frames(1)
    assert text(it.root, ".announcement") == ""
    clock.passes()
    await frames(1)
    assert text(it.root, ".announcement") == "Person 1, Person 2, Person 3 and 16 others joined"
    it.session.goes(people[1])
    clock.passes()
    await frames(1)
    assert text(it.root, ".announcement") == "Person 1 left"


# What is said of the connection

REFUSED = (4403, "")
LOST = (1006, "")
WAS_OPEN = {"state": "open", "synced": True}


@pytest.mark.parametrize(
    ("before", "now", "words"),
    [
        ({}, {"state": "connecting"}, "Connecting …"),
        ({}, {"state": "open"}, "Connecting …"),
        ({}, WAS_OPEN, "Saved"),
        (WAS_OPEN, {"unsynced_changes": 1}, "Saved"),
        (WAS_OPEN, {"state": "waiting"}, "Offline · changes are kept in this browser"),
        (
            WAS_OPEN,
            {"state": "waiting", "unsynced_changes": 3},
            "Offline · 3 unsent changes, kept in this browser",
        ),
        (
            WAS_OPEN,
            {"state": "waiting", "unsynced_changes": 1, "is_kept": False},
            "Offline · 1 unsent change, NOT kept: this browser gives no storage",
        ),
        (
            {"state": "waiting"},
            {"state": "connecting"},
            "No server in reach · changes are kept in this browser and shared between its tabs",
        ),
        (
            {**WAS_OPEN, "unsynced_changes": 2},
            {"state": "waiting"},
            "Offline · 2 unsent changes, kept in this browser",
        ),
        (
            {},
            {"state": "failed", "last_close": LOST},
            "No server in reach · changes are kept in this browser"
            " and shared between its tabs Try again",
        ),
        (
            WAS_OPEN,
            {"state": "failed", "last_close": LOST},
            "Not connected · the network was lost, or the server is away (1006) Try again",
        ),
        (
            WAS_OPEN,
            {"state": "refused", "last_close": REFUSED, "unsynced_changes": 1},
            "Refused · not allowed (4403) · 1 unsent change, kept in this browser Try again",
        ),
        (WAS_OPEN, {"read_only": True}, "Read-only"),
        (
            WAS_OPEN,
            {"read_only": True, "unsynced_changes": 2},
            "Read-only · 2 changes of yours, kept in this browser",
        ),
    ],
)
async def test_the_status_in_words(stage, until, before, now, words):
    it = await opened(stage, until, platform=Clock())
    it.session.becomes(**before)
    it.session.becomes(
        **{"synced": before.get("synced", False) and now.get("state", "open") == "open", **now}
    )
    await frames(1)
    assert text(it.root, ".status") == words


async def test_saving_is_told_when_it_takes_long_and_then_saved(stage, until):
    clock = Clock()
    it = await opened(stage, until, platform=clock)
    it.session.becomes(**WAS_OPEN)
    it.session.becomes(unsynced_changes=1)
    await frames(1)
    assert text(it.root, ".status") == "Saved"
    clock.passes()
    await frames(1)
    assert text(it.root, ".status") == "Saving …"
    it.session.becomes(unsynced_changes=0)
    await frames(1)
    assert text(it.root, ".status") == "Saved"
    assert not clock.timers
    assert text(it.root, ".announcement") == ""


async def test_going_offline_is_announced_once_however_much_is_typed(stage, until):
    clock = Clock()
    it = await opened(stage, until, platform=clock, heading="Notes")
    it.session.becomes(**WAS_OPEN)
    it.session.becomes(state="waiting", synced=False)
    clock.passes()
    await frames(1)
    said = "Notes: Offline changes are kept in this browser"
    assert text(it.root, ".announcement") == said
    for count in range(5):
        it.session.becomes(unsynced_changes=count)
    clock.passes()
    await frames(1)
    assert text(it.root, ".announcement") == said
    assert it.root.querySelector(".announcement").getAttribute("role") == "status"
    it.session.becomes(state="open", synced=True, unsynced_changes=0)
    clock.passes()
    await frames(1)
    assert text(it.root, ".announcement") == "Notes: Saved"


async def test_try_again_connects_and_the_focus_is_not_lost(stage, until):
    it = await opened(stage, until)
    it.session.becomes(state="refused", last_close=REFUSED)
    await frames(1)
    it.root.querySelector(".retry").focus()
    it.root.querySelector(".retry").click()
    assert it.session.connects == 1
    it.session.becomes(state="connecting")
    await frames(1)
    assert text(it.root, ".status") == "Connecting …"
    assert it.root.activeElement.localName == "h2"


async def test_leaving_the_page_asks_only_where_something_would_be_lost(stage, until):
    it = await opened(stage, until)

    def asks():
        event = window.Event.new("beforeunload", json_object(cancelable=True))
        window.dispatchEvent(event)
        return event.defaultPrevented

    it.session.becomes(unsynced_changes=1)
    assert not asks()
    it.session.becomes(is_kept=False)
    assert asks()
    it.session.becomes(unsynced_changes=0)
    assert not asks()
    it.session.becomes(unsynced_changes=1)
    it.root.host.remove()
    assert not asks()


# Opening and closing


async def test_says_that_it_is_loading_and_then_no_more(stage, until):
    hold = asyncio.Event()
    sessions = Sessions(lambda session: setattr(session, "hold", hold))
    root = await put(stage, sessions)
    assert text(root, ".loading") == "Loading the document …"
    assert root.querySelector(".panel").getAttribute("aria-busy") == "true"
    hold.set()
    await until(lambda: view_of(root), "an editor")
    assert not root.querySelector(".loading")


async def test_a_document_that_cannot_be_opened_says_why_and_can_be_tried_again(stage, until):
    failures = [ConfigurationError("no such thing"), None]
    sessions = Sessions(lambda session: setattr(session, "failure", failures.pop(0)))
    root = await put(stage, sessions)
    await until(lambda: root.querySelector(".problem"), "a problem")
    assert "no such thing" in text(root, ".problem")
    assert sessions[0].is_left
    root.querySelector(".retry").click()
    await until(lambda: view_of(root), "an editor")


async def test_an_id_that_the_service_refuses_at_once(stage):
    root = await put(stage, Sessions(), document_id="!x")
    assert "expected none with !" in text(root, ".problem")


@pytest.mark.parametrize("document_id", [None, "", "  "])
async def test_without_an_id_there_is_nothing_to_open(stage, until, document_id):
    sessions = Sessions()
    root = await put(stage, sessions, document_id=document_id)
    assert "no document-id" in text(root, ".problem")
    assert not sessions
    root.host.setAttribute("document-id", "notes")
    await until(lambda: view_of(root), "an editor")


async def test_another_id_is_another_document(stage, until):
    contents = iter(["first", "second"])
    sessions = Sessions(lambda session: setattr(session, "content", next(contents)))
    root = await put(stage, sessions, document_id="one")
    await until(lambda: view_of(root), "an editor")
    sessions[0].comes(person(1, "Ada"))
    root.host.setAttribute("document-id", "two")
    assert sessions[0].is_left
    await until(lambda: view_of(root) and text(root, ".cm-content") == "second", "the other")
    assert not root.querySelector(".collaborator-badge")
    assert not sessions[0].emitter.has("status")
    root.host.setAttribute("document-id", "two")
    assert len(sessions) == 2


async def test_many_ids_in_a_row_end_with_the_last(stage, until):
    holds = [asyncio.Event() for _ in range(5)]
    waiting = iter(holds)

    def prepare(session):
        session.content, session.hold = session.document_id, next(waiting)

    sessions = Sessions(prepare)
    root = await put(stage, sessions, document_id="id-0")
    for number in range(1, 5):
        root.host.setAttribute("document-id", f"id-{number}")
        await asyncio.sleep(0)
    for hold in reversed(holds):
        hold.set()
        await frames(2)
    await until(lambda: view_of(root), "an editor")
    assert text(root, ".cm-content") == "id-4"
    assert [session.is_left for session in sessions] == [True] * 4 + [False]
    assert not root.querySelector(".problem, .failure")


async def test_logging_in_or_out_opens_the_document_anew(stage, until):
    auth = Emitter(print)
    sessions = Sessions()
    root = await put(stage, sessions, auth=auth)
    await until(lambda: view_of(root), "an editor")
    for event in ("login", "logout"):
        auth.emit(event, {})
        assert sessions[-2].is_left
        await until(lambda: view_of(root), "an editor again")
    assert [session.document_id for session in sessions] == ["notes"] * 3


async def test_two_editors_of_one_text(stage, until):
    it = await opened(stage, until, "abc")
    second = document.createElement("text-editor")
    second.setAttribute("replica", it.root.querySelector("text-editor").getAttribute("replica"))
    stage.append(second)
    await until(lambda: second.view, "the second")
    it.lab.type(it.view, "x", 0)
    it.lab.type(second.view.editor, "y", 4)
    assert content(it) == it.lab.shown(second.view.editor) == "xabcy"


async def test_away_from_the_page_nothing_is_left_behind(stage, until):
    it = await opened(stage, until, "abc")
    host, ours = it.root.host, it.ours
    it.view.focus()
    it.lab.at(it.session.peer(), 1, 1, "Ada")
    await until(lambda: carets(it), "a cursor")
    host.remove()
    assert it.session.is_left
    assert not it.session.emitter.has("status")
    assert not it.session.emitter.has("collaborator-joined")
    assert it.lab.observers(ours) == 0
    assert it.lab.heard(ours) == 0
    assert editor.editors.size == 0
    stage.append(host)
    await until(lambda: view_of(host.shadowRoot), "an editor again")
    assert len(it.sessions) == 2


async def test_a_text_editor_that_goes_leaves_the_replica_as_it_was(stage, until):
    it = await opened(stage, until, "abc")
    before = it.lab.hooks(it.ours)
    number = it.root.querySelector("text-editor").getAttribute("replica")
    for _ in range(5):
        second = document.createElement("text-editor")
        second.setAttribute("replica", number)
        stage.append(second)
        await until(lambda second=second: second.view, "an editor")
        it.lab.type(second.view.editor, "x", 0)
        second.remove()
        second = document.createElement("text-editor")
        second.setAttribute("replica", number)
        stage.append(second)
        second.remove()  # before there is a library
    await frames(3)
    assert it.lab.hooks(it.ours) == before
    assert editor.editors.size == 1
    assert content(it) == "xxxxxabc"


async def test_an_editor_that_came_and_went_leaves_no_proxy(stage, until, proxies):
    async def once():
        it = await opened(stage, until, "abc")
        it.session.becomes(unsynced_changes=1, is_kept=False)
        it.root.host.remove()

    await laboratory()
    await once()
    await proxies.settled(6)
