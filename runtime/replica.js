// One replica: a Yjs document with a text, and who else is at it.
import { batches } from "./batches.js";
import { Pairs, advance } from "./code_points.js";
import { COLOURS, hueOf } from "./people.js";
import {
  examine,
  hasPairs,
  isVector,
  roomIn,
  statesOf,
  updateOf,
  userText,
} from "./update_checks.js";

const PRESENCE_EVERY = 50; // milliseconds
const MOST_REMEMBERED = 4096;

/** The origin of transactions that bring what others did. */
export const REMOTE = "remote";
const EDIT = "edit";

/**
 * Make one. `listener` has edited(updates, together; their lengths, or undefined if it is one),
 * presence(update) and people(JSON of [[client, hue, user], ...]); after `withdraw` it hears
 * nothing more. Positions and lengths that come from Python are in code points.
 */
export function create(Y, protocol, listener) {
  const doc = new Y.Doc();
  const text = doc.getText("content");
  const edits = editing(doc, text);
  const inbox = batches((updates) => {
    if (updates.length === 1) listener.edited(updates[0], undefined);
    else listener.edited(joined(updates), updates.map(({ length }) => length));
  });
  const crowd = people(doc, protocol, listener);

  doc.on("update", (update, origin) => {
    if (origin === REMOTE) return;
    edits.follow(origin, () => examine(Y, update));
    inbox.add(update);
  });

  // What comes from others is checked, but what Yjs makes of it cannot be known beforehand.
  const receive = (update, transaction) => {
    const { fault, pairs, others } = examine(Y, update);
    if (fault !== null) return fault;
    edits.expect({ pairs, others });
    try {
      Y.applyUpdate(doc, update, REMOTE);
      edits.sweep(Y, transaction);
      return null;
    } catch (error) {
      return `expected an update of Yjs, came ${update.length} bytes: ${error.message}`;
    }
  };

  // Tasks may never come again for a page that is left.
  const flush = () => {
    inbox.flush();
    crowd.flush();
  };
  addEventListener("pagehide", flush);

  const methods = {
    clientId: () => doc.clientID,
    text: () => text.toString().toWellFormed(),
    lacksUpdates: () => doc.store.pendingStructs !== null || doc.store.pendingDs !== null,
    edit: edits.edit,
    editOne: (position, removed, inserted) =>
      edits.edit([position, removed, inserted.length], inserted), // which is ASCII
    vector: () => Y.encodeStateVector(doc),
    updateSince(vector) {
      if (vector !== undefined && !isVector(vector)) return undefined;
      return Y.encodeStateAsUpdate(doc, vector);
    },
    /** Take updates, together. Returns undefined, or what is wrong with some. */
    apply(bytes, lengths = [bytes.length]) {
      const faults = [];
      let at = 0;
      transact(doc, REMOTE, (transaction) => {
        for (const length of lengths) {
          const fault = receive(bytes.subarray(at, (at += length)), transaction);
          if (fault !== null) faults.push(fault);
        }
      });
      crowd.rename();
      return faults.length > 0 ? faults : undefined;
    },
    ...crowd.methods,
  };

  return {
    parts: { doc, text, awareness: crowd.awareness },
    methods,
    withdraw() {
      removeEventListener("pagehide", flush);
      inbox.flush();
      crowd.withdraw();
      inbox.close();
      listener = { edited() {}, presence() {}, people() {} };
    },
    end: () => doc.destroy(),
  };
}

// Like doc.transact, but an exception in what a transaction leads to never ends the document.
function transact(doc, origin, change) {
  const isFirst = doc._transactionCleanups.length === 0;
  try {
    doc.transact(change, origin);
  } catch (error) {
    reportError(error);
    // Yjs waits for its last transaction to be done, which is not so where that has thrown.
    if (isFirst) doc._transactionCleanups = [];
  }
}

function joined(updates) {
  const all = new Uint8Array(updates.reduce((length, update) => length + update.length, 0));
  let at = 0;
  for (const update of updates) {
    all.set(update, at);
    at += update.length;
  }
  return all;
}

/** The text, edited in code points. */
function editing(doc, text) {
  // Most texts have no character of two code units, and then the two are the same. In one that
  // has or had some, `pairs` knows where they are; null if somebody else has changed the text.
  let hasSome = false;
  let pairs = null;
  // Whether anybody has sent things that are no text: they would take a place in it.
  let hasOthers = false;

  const expect = (found) => {
    hasSome ||= found.pairs;
    hasOthers ||= found.others;
    pairs = null;
  };

  const change = (position, removed, inserted) => {
    let index = position;
    let length = removed;
    if (pairs !== null) {
      index = pairs.unitsBefore(position);
      length = pairs.unitsBefore(position + removed) - index;
      pairs.edit(position, removed, inserted);
    }
    if (length > 0) text.delete(index, length);
    if (inserted !== "") text.insert(index, inserted);
  };

  return {
    expect,

    /** Follow a transaction of this page; `look` examines its update. */
    follow(origin, look) {
      if (origin === EDIT) return;
      if (hasSome) pairs = null;
      else expect(look());
    },

    /** Delete, where they come, things that are no text: positions are those in the text. */
    sweep(Y, transaction) {
      if (!hasOthers) return;
      for (let item = text._start; item !== null; item = item.right) {
        const isOther = !(item.content instanceof Y.ContentString);
        if (isOther && item.countable && !item.deleted) item.delete(transaction);
      }
    },

    /**
     * Make edits, one after another: `numbers` has all positions, then how many characters each
     * deletes, then how many it inserts; the characters are in `inserted`. Returns undefined, or,
     * having changed nothing, [which cannot be, the length of the text there].
     */
    edit(numbers, inserted) {
      const count = numbers.length / 3;
      const arePairs = hasPairs(inserted);
      hasSome ||= arePairs;
      if (hasSome) pairs ??= new Pairs(text.toString());
      let length = text.length - (pairs?.count ?? 0);
      for (let i = 0; i < count; i++) {
        const position = numbers[i];
        const removed = numbers[count + i];
        if (position > length || removed > length - position) return [i, length];
        length += numbers[2 * count + i] - removed;
      }
      transact(doc, EDIT, () => {
        const run = runs(change);
        let at = 0;
        for (let i = 0; i < count; i++) {
          const own = numbers[2 * count + i];
          const end = arePairs ? advance(inserted, at, own) : at + own;
          run.add(numbers[i], numbers[count + i], inserted.slice(at, end), own);
          at = end;
        }
        run.end();
      });
      return undefined;
    },
  };
}

/** Makes one edit of several that continue each other: what is typed, and what is corrected. */
function runs(change) {
  let start = 0;
  let removed = 0;
  let inserted = "";
  let own = 0; // how many characters that are

  const end = () => {
    if (removed > 0 || own > 0) change(start, removed, inserted);
    removed = own = 0;
    inserted = "";
  };

  return {
    end,
    add(position, count, text, length) {
      if (count === 0 && position === start + own) {
        inserted += text;
        own += length;
        return;
      }
      const isEnd = length === 0 && count <= own && position + count === start + own;
      if (isEnd && inserted.length === own) {
        inserted = inserted.slice(0, own - count);
        own -= count;
        return;
      }
      if (own === 0 && length === 0 && (position === start || position + count === start)) {
        start = position;
        removed += count;
        return;
      }
      end();
      start = position;
      removed = count;
      inserted = text;
      own = length;
    },
  };
}

const goneFrom = ({ meta, states, clientID }) =>
  [...meta.keys()].filter((client) => client !== clientID && !states.has(client));

/** Who is at the document. */
function people(doc, protocol, listener) {
  const awareness = new protocol.Awareness(doc);
  const set = awareness.setLocalState.bind(awareness);
  let user = null;
  let isMuted = false;
  let timer;
  let isNews = false;
  let deaf = false;
  const told = new Map(); // what Python knows of others, by client: JSON
  const suspects = new Set(); // those who may have changed

  // An editor tells where its cursor is, but neither who this is nor that it is here at all.
  awareness.setLocalState = (state) => {
    if (state === null || user !== null) set(state && { ...state, user });
  };
  awareness.setLocalState(null);

  const tell = () => {
    isNews = false;
    if (!deaf) listener.presence(encode([awareness.clientID]));
  };

  const encode = (clients) => protocol.encodeAwarenessUpdate(awareness, clients);

  const tellSoon = () => {
    isNews = true;
    if (timer !== undefined) return;
    timer = setTimeout(() => {
      timer = undefined;
      if (isNews) tellSoon();
    }, PRESENCE_EVERY);
    tell();
  };

  const look = () => {
    let isChanged = false;
    for (const client of suspects) {
      const state = awareness.states.get(client);
      if (client === awareness.clientID || !awareness.states.has(client)) {
        isChanged = told.delete(client) || isChanged;
        continue;
      }
      const text = userText(state);
      const entry = `[${client},${hueOf(JSON.parse(text))},${text}]`;
      if (told.get(client) !== entry) {
        told.set(client, entry);
        isChanged = true;
      }
    }
    suspects.clear();
    if (isChanged && !deaf) listener.people(`[${[...told.values()].join()}]`);
  };

  const others = ({ added, updated, removed }) =>
    [...added, ...updated, ...removed].filter((client) => client !== awareness.clientID);

  awareness.on("change", (changed) => {
    const clients = others(changed);
    if (clients.length === 0) return;
    if (suspects.size === 0) queueMicrotask(look); // for all that this task brings
    for (const client of clients) suspects.add(client);
  });

  awareness.on("update", ({ added, updated, removed }) => {
    const isOwn = [added, updated, removed].some((ids) => ids.includes(awareness.clientID));
    if (isOwn && !isMuted) tellSoon();
  });

  const forget = (clients) => {
    const removed = clients.filter((client) => awareness.states.delete(client));
    for (const client of clients) awareness.meta.delete(client);
    if (removed.length === 0) return;
    for (const event of ["change", "update"]) {
      awareness.emit(event, [{ added: [], updated: [], removed }, "forgotten"]);
    }
  };

  const methods = {
    setUser(json) {
      const fields = JSON.parse(json);
      if (fields === null) {
        user = null;
        if (awareness.getLocalState() !== null) awareness.setLocalState(null);
        return;
      }
      const color = COLOURS[hueOf(fields)];
      user = { ...fields, color, colorLight: `${color}33` };
      awareness.setLocalState({ ...awareness.getLocalState() });
    },

    presence(ofAll) {
      isMuted = true;
      awareness.setLocalState(awareness.getLocalState()); // with a new clock
      isMuted = false;
      const clients = ofAll ? [...awareness.states.keys()] : [];
      return encode([...new Set([awareness.clientID, ...clients])]);
    },

    /** Returns undefined, or what is wrong. */
    applyPresence(update) {
      let states;
      try {
        states = statesOf(update);
      } catch (error) {
        return `expected an awareness update, came ${update.length} bytes: ${error.message}`;
      }
      let room = roomIn(awareness.states);
      const heard = states.filter(({ client }) => {
        if (client === awareness.clientID) return false;
        return awareness.states.has(client) || room-- > 0;
      });
      protocol.applyAwarenessUpdate(awareness, updateOf(heard), REMOTE);
      // It remembers all who ever were there.
      if (awareness.meta.size > MOST_REMEMBERED) forget(goneFrom(awareness));
      return undefined;
    },

    forgetPeople() {
      forget([...awareness.meta.keys()].filter((client) => client !== awareness.clientID));
    },
  };

  return {
    awareness,
    methods,

    /** Yjs takes another id where somebody else writes under ours. */
    rename() {
      if (awareness.clientID === doc.clientID) return;
      const state = awareness.getLocalState();
      if (state !== null) awareness.setLocalState(null);
      this.flush();
      awareness.clientID = doc.clientID;
      if (state === null) return;
      // The first clock is 0, which says nothing to those who have not heard of an id.
      awareness.setLocalState(null);
      awareness.setLocalState(state);
    },

    flush() {
      if (isNews) tell();
    },

    withdraw() {
      methods.setUser("null");
      this.flush();
      deaf = true;
      clearTimeout(timer);
    },
  };
}
