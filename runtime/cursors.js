// Where the others are in a text, and where oneself is: the field `cursor` of the awareness states,
// { anchor, head }, Yjs's relative positions, as y-codemirror.next has them.
//
// What others say is data of strangers and may be anything. Names are text, colours are classes, and
// what is drawn lies in layers of its own: the text has nothing in it that is no text.
import {
  Annotation,
  EditorSelection,
  layer,
  RectangleMarker,
  ViewPlugin,
  Y,
} from "../vendor/collaboration.js";
import { hueOf } from "./people.js";

const MOST = 100; // cursors drawn
const NAME_LIMIT = 32;
const FLAG_HEIGHT = 18; // pixels it takes above a line
const SHOWN_FOR = 2500; // milliseconds: as long as the animation in editor_theme.js

/** Marks that people have moved, come or gone. */
const looked = Annotation.define();

/** Shows the others' cursors, and tells them of one's own. */
export function cursors(text, awareness) {
  const plugin = ViewPlugin.define((view) => new Cursors(view, text, awareness));
  const peopleOf = (view) => view.plugin(plugin)?.shown ?? [];
  const update = ({ view, docChanged, transactions }) =>
    (docChanged && peopleOf(view).length > 0) ||
    transactions.some((transaction) => transaction.annotation(looked));
  return [
    plugin,
    layer({
      above: false,
      class: "cm-selections",
      update,
      markers: (view) => peopleOf(view).flatMap((person) => selectionOf(view, person)),
    }),
    layer({
      above: true,
      class: "cm-carets",
      update,
      markers: (view) => peopleOf(view).flatMap((person) => Caret.of(view, person)),
    }),
  ];
}

class Cursors {
  #view;
  #text;
  #awareness;
  #name; // of the text in its document
  #people = new Map(); // by client: those with a place in the text
  #lost = new Set(); // clients whose place is not there, or not yet
  #due = new Set(); // clients to look at in the next frame
  #isMine = false; // whether the cursor that is told is this editor's
  #hasMoved = false;
  #frame = 0;

  constructor(view, text, awareness) {
    this.#view = view;
    this.#text = text;
    this.#awareness = awareness;
    this.#name = Y.findRootTypeKey(text);
    awareness.on("change", this.#hear);
    this.#look(awareness.getStates().keys());
  }

  get shown() {
    return [...this.#people.values()].slice(0, MOST);
  }

  update({ docChanged, changes, selectionSet, focusChanged }) {
    if (docChanged) {
      for (const person of this.#people.values()) {
        person.anchor = changes.mapPos(person.anchor, 1);
        person.head = changes.mapPos(person.head, 1);
      }
      this.#look(this.#lost);
    }
    if (focusChanged && !this.#view.hasFocus) this.#withdraw();
    else if (docChanged || selectionSet || focusChanged) this.#move();
  }

  destroy() {
    this.#awareness.off("change", this.#hear);
    cancelAnimationFrame(this.#frame);
    this.#withdraw();
  }

  #hear = ({ added, updated, removed }) => this.#look([...added, ...updated, ...removed]);

  #look(clients) {
    for (const client of clients) {
      if (client === this.#awareness.clientID) this.#move();
      else this.#due.add(client);
    }
    if (this.#due.size) this.#request();
  }

  #move() {
    this.#hasMoved = true;
    this.#request();
  }

  // Once in a frame, however much has happened.
  #request() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      if (this.#due.size) this.#read();
      if (this.#hasMoved) this.#tell();
    });
  }

  // The others

  #read() {
    const states = this.#awareness.getStates();
    let isChanged = false;
    const due = [...this.#due];
    this.#due.clear();
    for (const client of due) isChanged = this.#readOne(client, states.get(client)) || isChanged;
    if (isChanged) this.#view.dispatch({ annotations: looked.of(true) });
  }

  #readOne(client, state) {
    this.#lost.delete(client);
    const cursor = state?.cursor;
    const head = this.#placeOf(cursor?.head);
    const anchor = this.#placeOf(cursor?.anchor);
    if (head === null || anchor === null) {
      // What it refers to may come yet.
      if (cursor) this.#lost.add(client);
      return this.#people.delete(client);
    }
    const before = this.#people.get(client);
    const told = `${signOf(cursor.anchor)} ${signOf(cursor.head)}`;
    const hasMoved = before?.told !== told;
    this.#people.set(client, {
      client,
      anchor,
      head,
      told,
      name: nameOf(state.user),
      hue: hueOf(state.user),
      moves: (before?.moves ?? 0) + hasMoved,
      movedAt: hasMoved ? performance.now() : before.movedAt,
    });
    return true;
  }

  #placeOf(given) {
    if (given === null || typeof given !== "object") return null;
    const { type = null, tname = null, item = null, assoc = 0 } = given;
    // Yjs would make a type of any name it is asked for.
    if (type !== null || (tname !== null && tname !== this.#name)) return null;
    if (item === null ? tname === null : !isID(item)) return null;
    try {
      const { createRelativePositionFromJSON, createAbsolutePositionFromRelativePosition } = Y;
      const relative = createRelativePositionFromJSON({ tname, item, assoc: assoc < 0 ? -1 : 0 });
      const place = createAbsolutePositionFromRelativePosition(relative, this.#text.doc);
      if (place?.type !== this.#text) return null;
      return Math.min(place.index, this.#view.state.doc.length);
    } catch {
      return null; // Yjs trusts its peers
    }
  }

  // Oneself

  #tell() {
    this.#hasMoved = false;
    const state = this.#awareness.getLocalState();
    if (state === null || !this.#view.hasFocus) return;
    const { anchor, head } = this.#view.state.selection.main;
    const cursor = { anchor: this.#positionOf(anchor), head: this.#positionOf(head) };
    this.#isMine = true;
    if (JSON.stringify(state.cursor) !== JSON.stringify(cursor)) {
      this.#awareness.setLocalStateField("cursor", cursor);
    }
  }

  #withdraw() {
    if (this.#isMine && this.#awareness.getLocalState()?.cursor) {
      this.#awareness.setLocalStateField("cursor", null);
    }
    this.#isMine = this.#hasMoved = false;
  }

  #positionOf(index) {
    const { type, tname, item, assoc } = Y.createRelativePositionFromTypeIndex(this.#text, index);
    // With its nulls: y-codemirror.next reads what came as it is, and fails where they are missing.
    return { type, tname, item, assoc };
  }
}

// Tells positions apart; `given` has been found to be one.
const signOf = ({ item, tname }) => (item ? `${item.client}:${item.clock}` : tname);

const isCount = (value) => Number.isSafeInteger(value) && value >= 0;
const isID = (value) => typeof value === "object" && isCount(value.client) && isCount(value.clock);

function nameOf(user) {
  const given = typeof user?.name === "string" ? user.name.slice(0, 4 * NAME_LIMIT).trim() : "";
  const characters = [...(given || "Somebody")];
  return characters.length > NAME_LIMIT ? `${characters.slice(0, NAME_LIMIT - 1).join("")}…` : characters.join("");
}

function selectionOf(view, { anchor, head, hue }) {
  if (anchor === head) return [];
  const range = EditorSelection.range(anchor, head);
  return RectangleMarker.forRange(view, `selection hue-${hue}`, range);
}

class Caret {
  static of(view, person) {
    const [box] = RectangleMarker.forRange(view, "", EditorSelection.cursor(person.head));
    return box ? [new Caret(view, person, box)] : [];
  }

  constructor(view, person, { left, top, height }) {
    const { client, hue, name, moves, movedAt } = person;
    Object.assign(this, { client, hue, name, moves, movedAt, left, top, height });
    this.isLow = top < FLAG_HEIGHT; // no room for the flag above
    this.isFar = left > view.scrollDOM.clientWidth / 2; // … or to the right
  }

  eq(other) {
    return KEYS.every((key) => this[key] === other[key]);
  }

  draw() {
    const caret = document.createElement("div");
    const flag = document.createElement("span");
    flag.className = "flag";
    caret.append(flag);
    this.#show(caret);
    return caret;
  }

  update(caret, { client }) {
    if (client !== this.client) return false;
    this.#show(caret);
    return true;
  }

  #show(caret) {
    const { hue, isLow, isFar, left, top, height, name } = this;
    const classes = ["caret", `hue-${hue}`];
    if (isLow) classes.push("low");
    if (isFar) classes.push("far");
    // Another animation of the same looks: so it begins anew with each move.
    if (performance.now() - this.movedAt < SHOWN_FOR) classes.push(this.moves % 2 ? "moved" : "moved-again");
    caret.className = classes.join(" ");
    caret.dataset.client = this.client;
    caret.style.left = `${left}px`;
    caret.style.top = `${top}px`;
    caret.style.height = `${height}px`;
    caret.firstChild.textContent = name;
  }
}

const KEYS = ["client", "hue", "name", "moves", "left", "top", "height", "isLow", "isFar"];
