// Markdown, lit up where one sees it.
//
// A parser reads a paragraph as a whole, at every keystroke, and a text may be one paragraph of a
// hundred thousand characters. So this looks at the lines in sight, each for itself; all it knows of
// the others is where a fence (```) begins or ends a block of code.
import {
  Decoration,
  RangeSet,
  RangeValue,
  StateField,
  ViewPlugin,
} from "../vendor/collaboration.js";

const FENCE = /^ {0,3}(`{3,}|~{3,})/;
const LINES = [
  [/^ {0,3}#{1,6}(?=\s|$)/, "heading"],
  [/^ {0,3}>/, "quote"],
];
const MARKER = /^\s{0,20}(?:[-*+]|\d{1,9}[.)])(?=\s)|^ {0,3}#{1,6}(?=\s|$)|^ {0,3}>+/;
// Each part is bounded: no line makes this slow.
const INLINE = new RegExp(
  [
    /\\[!-/:-@[-`{-~]/,
    /(?<code>(?<ticks>`+)[^`]{1,500}\k<ticks>(?!`))/,
    /(?<strong>\*\*(?=[^\s*])[^*]{0,500}[^\s*]?\*\*|(?<!\w)__(?=[^\s_])[^_]{0,500}__(?!\w))/,
    /(?<emphasis>\*(?=[^\s*])[^*]{1,500}\*|(?<!\w)_(?=[^\s_])[^_]{1,500}_(?!\w))/,
    /(?<strike>~~(?=[^\s~])[^~]{1,500}~~)/,
    /(?<link>!?\[[^[\]]{0,500}\]\([^()\s]{0,500}\)|https?:\/\/[^\s<>()]{1,500})/,
  ]
    .map(({ source }) => source)
    .join("|"),
  "g",
);
const KINDS = ["code", "strong", "emphasis", "strike", "link"];
const FARTHEST = 10_000; // characters of one line
const MOST = 1_000; // marks in sight

const mark = (kind) => Decoration.mark({ class: `md-${kind}` });
const marks = Object.fromEntries([...KINDS, "heading", "quote", "marker"].map((kind) => [kind, mark(kind)]));

class Fence extends RangeValue {
  constructor(sign) {
    super();
    this.sign = sign;
  }

  eq({ sign }) {
    return sign === this.sign;
  }
}

/** Where fences are: found once, then only where lines change. */
const fences = StateField.define({
  create: ({ doc }) => RangeSet.of(fencesIn(doc, 0, doc.length)),
  update(found, { docChanged, changes, newDoc }) {
    if (!docChanged) return found;
    found = found.map(changes);
    changes.iterChangedRanges((_, __, from, to) => {
      const start = newDoc.lineAt(from).from;
      const end = newDoc.lineAt(to).to;
      found = found.update({
        filterFrom: start,
        filterTo: end,
        filter: () => false,
        add: fencesIn(newDoc, start, end),
      });
    });
    return found;
  },
});

function fencesIn(doc, from, to) {
  const found = [];
  let at = from;
  const first = doc.lineAt(from).number;
  for (const line of doc.iterLines(first, doc.lineAt(to).number + 1)) {
    const [, sign] = FENCE.exec(line) ?? [];
    if (sign) found.push(new Fence(sign).range(at));
    at += line.length + 1;
  }
  return found;
}

const highlighter = ViewPlugin.fromClass(
  class {
    constructor(view) {
      this.decorations = highlight(view);
    }

    update({ docChanged, viewportChanged, view }) {
      if (docChanged || viewportChanged) this.decorations = highlight(view);
    }
  },
  { decorations: ({ decorations }) => decorations },
);

function highlight(view) {
  const { doc } = view.state;
  const found = [];
  const put = (kind, from, to) => to > from && found.length < MOST && found.push(marks[kind].range(from, to));
  const fence = view.state.field(fences).iter();
  let open = null; // the fence of the block one is in
  for (const { from, to } of view.visibleRanges) {
    for (let at = from; at <= to; ) {
      const line = doc.lineAt(at);
      for (; fence.value && fence.from < line.from; fence.next()) open = after(open, fence.value.sign);
      const isFence = fence.value && fence.from === line.from;
      const end = Math.min(line.to, to, at + FARTHEST);
      if (open || isFence) put("code", at, end);
      else highlightLine(put, doc.sliceString(at, end), at, at === line.from);
      at = line.to + 1;
    }
  }
  return Decoration.set(found, true);
}

// A block ends with a fence like its own.
const after = (open, sign) => {
  if (!open) return sign;
  return sign[0] === open[0] && sign.length >= open.length ? null : open;
};

function highlightLine(put, text, at, isStart) {
  if (isStart) {
    for (const [start, kind] of LINES) {
      if (start.test(text)) put(kind, at, at + text.length);
    }
    const [marker = ""] = MARKER.exec(text) ?? [];
    put("marker", at, at + marker.length);
  }
  for (const { index, 0: whole, groups } of text.matchAll(INLINE)) {
    const kind = KINDS.find((name) => groups[name] !== undefined);
    if (kind) put(kind, at + index, at + index + whole.length);
  }
}

export const markdown = [fences, highlighter];
