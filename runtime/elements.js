// The bridge between custom elements and their Python halves.
//
// A custom element must be a JavaScript class, so here is one, the same for every
// tag. All it does is tell Python what happened to it, through a single function
// for all elements: no element owns a proxy, so none can leak one. Elements are
// known to Python by number; the number of one that was garbage-collected is
// reported too, and only then does its Python half go.
import { html, noChange, nothing, render as litRender, repeat } from "../vendor/lit.js";

// PyScript patches attachShadow to look for scripts in every shadow root at every change. We
// have none; a page that loads this module before PyScript's keeps the browser's own.
const { attachShadow } = Element.prototype;

let tell = () => {};
let count = 0;

const collected = new FinalizationRegistry((number) => tell(number, "collected"));

/** Hand over the Python function that hears `(number, event, ...details)`. */
export const listen = (python) => {
  tell = python;
};

/** Register a tag; its elements share the style sheets made of the given CSS texts. */
export const define = (tag, observed, ...css) => {
  const sheets = css.map((text) => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(text);
    return sheet;
  });

  customElements.define(
    tag,
    class extends HTMLElement {
      static observedAttributes = [...observed];
      #number = ++count;

      constructor() {
        super();
        attachShadow.call(this, { mode: "open" }).adoptedStyleSheets = sheets;
        collected.register(this, this.#number);
      }

      connectedCallback() {
        tell(this.#number, "connected", this);
      }

      disconnectedCallback() {
        tell(this.#number, "disconnected");
      }

      attributeChangedCallback(name, old, value) {
        // Parsed attributes are reported before the element is connected: it reads those then.
        if (this.isConnected) tell(this.#number, "attribute", name, old, value);
      }
    },
  );
};

/** Call Python back once, in the next animation frame. */
export const requestFrame = () => requestAnimationFrame(() => tell(0, "frame"));

// Template strings, by the number Python gave them. lit-html knows a template by
// the identity of its strings array, so each array is made once and kept.
const templates = new Map();

/**
 * Render a tree that `components/encoding.py` encoded as JSON into an element's
 * shadow root: `[[[template, strings], ...], node]`, the first part being the
 * templates not sent before.
 */
export const render = (number, root, json) => {
  const [fresh, tree] = JSON.parse(json);
  for (const [template, strings] of fresh) {
    templates.set(template, Object.freeze(Object.assign(strings, { raw: strings })));
  }
  litRender(decode(tree, number), root);
};

// A key alone stands for an item that stays as it is.
const keyOf = (item) => (Array.isArray(item) ? item[0] : item);

const decode = (node, number) => {
  if (node === null) return nothing;
  if (!Array.isArray(node)) return node;
  const [kind, ...rest] = node;
  switch (kind) {
    case "template":
      return html(templates.get(rest[0]), ...rest.slice(1).map((value) => decode(value, number)));
    case "list":
      return rest.map((value) => decode(value, number));
    case "keyed":
      return repeat(rest, keyOf, (item) => (Array.isArray(item) ? decode(item[1], number) : noChange));
    case "listener":
      return (event) => tell(number, "event", rest[0], event);
    case "value":
      return rest[0];
  }
};
