// Positions in a text: Python counts code points, JavaScript and Yjs UTF-16 code units.

const isHigh = (unit) => (unit & 0xfc00) === 0xd800;
const isLow = (unit) => (unit & 0xfc00) === 0xdc00;

/** Where in a text the characters of two code units are, in code points. */
export function pairsIn(text, from = 0) {
  const pairs = [];
  for (let at = 0; at < text.length - 1; at++) {
    if (isHigh(text.charCodeAt(at)) && isLow(text.charCodeAt(at + 1))) {
      pairs.push(from + at - pairs.length);
      at++;
    }
  }
  return pairs;
}

/** The code unit in a well-formed text that lies so many code points behind another. */
export function advance(text, at, count) {
  for (; count > 0; count--) at += isHigh(text.charCodeAt(at)) ? 2 : 1;
  return at;
}

/** Knows in a text that changes where its characters of two code units are. */
export class Pairs {
  #pairs; // ascending

  constructor(text) {
    this.#pairs = pairsIn(text);
  }

  get count() {
    return this.#pairs.length;
  }

  /** How many code units there are before a code point. */
  unitsBefore(position) {
    return position + this.#index(position);
  }

  /** Follow an edit of the text. */
  edit(position, removed, inserted) {
    const first = this.#index(position);
    const last = this.#index(position + removed);
    const fresh = pairsIn(inserted, position);
    const shift = inserted.length - fresh.length - removed;
    if (fresh.length === 0 && first === last) {
      for (let i = first; i < this.#pairs.length; i++) this.#pairs[i] += shift;
      return;
    }
    const behind = this.#pairs.slice(last).map((pair) => pair + shift);
    this.#pairs = this.#pairs.slice(0, first).concat(fresh, behind);
  }

  // How many pairs are before a code point.
  #index(position) {
    let low = 0;
    let high = this.#pairs.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#pairs[middle] < position) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
