// What strangers send, before Yjs gets it: Yjs reads and integrates in one go, and where it fails
// half-way it keeps the half.

// Clocks count characters, and other implementations of Yjs count in 32 bits.
const LAST_CLOCK = 2 ** 32 - 1;

// JSON in JSON, in what is no text. A browser's stack ends at some thousands; the gateway, and
// other servers made of yrs, keep formats nested 127 deep: to refuse one is to refuse the document.
const DEEPEST = 128;

const MOST_PEOPLE = 512;
const LONGEST_STATE = 16_384; // bytes
const LONGEST_USER = 2048; // characters

const SURROGATE = /[\ud800-\udfff]/;
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Whether a text has a character outside the basic plane, which is two code units. */
export const hasPairs = (text) => SURROGATE.test(text);

/** Whether a value has at most so many levels of arrays and objects. */
function isShallow(value, levels = DEEPEST) {
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return true;
  return levels > 0 && Object.values(value).every((inner) => isShallow(inner, levels - 1));
}

/**
 * Look through an update. Returns `{ fault }`, a text, if Yjs would fail at it, or else whether it
 * brings characters outside the basic plane (`pairs`) and things that are no text (`others`).
 */
export function examine(Y, update) {
  const found = { fault: null, pairs: false, others: false };
  try {
    const { structs, ds } = Y.decodeUpdate(update);
    for (const struct of structs) examineStruct(Y, struct, found);
    for (const [client, deletions] of ds.clients) {
      for (const { clock, len } of deletions) expectRange(client, clock, len);
    }
  } catch (error) {
    found.fault = `expected an update of Yjs, came ${update.length} bytes: ${error.message}`;
  }
  return found;
}

function expectRange(client, clock, length) {
  if (!Number.isSafeInteger(client)) throw new RangeError(`client ${client}`);
  if (length < 1 || clock + length > LAST_CLOCK) throw new RangeError(`${length} from ${clock}`);
}

function examineStruct(Y, struct, found) {
  const { client, clock } = struct.id;
  expectRange(client, clock, struct.length);
  if (!(struct instanceof Y.Item)) return;
  for (const id of [struct.origin, struct.rightOrigin, struct.parent]) {
    if (!(id instanceof Y.ID)) continue;
    expectRange(id.client, id.clock, 1);
    // Yjs waits for what others have yet to send, but takes this for something it has.
    if (id.client === client && id.clock >= clock) {
      throw new RangeError(`${clock} refers to ${id.clock}, which comes later`);
    }
  }
  const { content } = struct;
  if (content instanceof Y.ContentString) {
    found.pairs ||= hasPairs(content.str);
    return;
  }
  found.others ||= struct.countable;
  if (content.doc && typeof content.doc.guid !== "string") throw new TypeError("a document's id");
  const value = content.arr ?? content.embed ?? content.value ?? content.doc?.meta;
  if (!isShallow(value)) throw new RangeError(`nested deeper than ${DEEPEST}`);
}

/** Whether bytes are a state vector and nothing else. */
export function isVector(bytes) {
  try {
    const reader = new Reader(bytes);
    for (let count = reader.number(); count > 0; count--) {
      reader.number();
      reader.number();
    }
    return reader.isAtEnd;
  } catch {
    return false;
  }
}

/**
 * Take an awareness update apart: `[{ client, bytes }]`. Throws if it is none, or has too many
 * states, or one that is too long or nested too deep.
 */
export function statesOf(update) {
  const reader = new Reader(update);
  const count = reader.number();
  if (count > MOST_PEOPLE) throw new RangeError(`${count} states, expected ${MOST_PEOPLE} at most`);
  const states = [];
  while (states.length < count) {
    const from = reader.at;
    const client = reader.number();
    reader.number();
    const text = reader.bytes(reader.number());
    if (text.length > LONGEST_STATE) throw new RangeError(`a state of ${text.length} bytes`);
    const state = JSON.parse(strict.decode(text));
    if (!isShallow(state)) throw new RangeError(`a state nested deeper than ${DEEPEST}`);
    states.push({ client, bytes: update.subarray(from, reader.at) });
  }
  return states;
}

/** An awareness update of some of those. */
export function updateOf(states) {
  // Their number takes one byte or two: see Reader.
  const count = states.length < 128 ? [states.length] : [states.length % 128 | 128, states.length >> 7];
  const parts = [count, ...states.map(({ bytes }) => bytes)];
  const update = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    update.set(part, at);
    at += part.length;
  }
  return update;
}

/** For how many more there is room: whoever comes on top is not listened to. */
export const roomIn = (states) => MOST_PEOPLE - states.size;

/** What somebody says of themselves, as JSON that Python can read: "{}" if it is no object. */
export function userText(state) {
  const user = state?.user;
  if (typeof user !== "object" || user === null || Array.isArray(user)) return "{}";
  const text = JSON.stringify(user);
  if (text.length > LONGEST_USER) return "{}";
  // ECMA-262: JSON.stringify writes half of a surrogate pair, and only that, as \ud800 to \udfff.
  return text.replace(/\\(?:(ud[89a-f]..)|.)/g, (escape, half) => (half ? "\ufffd" : escape));
}

// The variable-length numbers of lib0, which Yjs is encoded with.
class Reader {
  #bytes;
  at = 0;

  constructor(bytes) {
    this.#bytes = bytes;
  }

  get isAtEnd() {
    return this.at === this.#bytes.length;
  }

  number() {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = this.bytes(1)[0];
      value += (byte & 127) * factor;
      if (!Number.isSafeInteger(value)) throw new RangeError("a number beyond 2**53");
      if (byte < 128) return value;
    }
  }

  bytes(length) {
    if (length > this.#bytes.length - this.at) throw new RangeError("it ends too early");
    return this.#bytes.subarray(this.at, (this.at += length));
  }
}
