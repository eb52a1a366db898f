// Replicas of documents, for services/browser_documents.py and for the editors of this page.
//
// What they need is loaded with the first document: a page that opens none pays nothing.

/** The replicas of this page by number: `{ doc, text, awareness }`. */
export const replicas = new Map();

/** Tells of "opened" and "destroyed"; the event's `detail` is the replica's number. */
export const changes = new EventTarget();

let library = null;
let count = 0;

/** Yjs and CodeMirror, once for the page, when the first document is opened. */
export const load = () => {
  library ??= import("../vendor/collaboration.js");
  library.catch(() => (library = null)); // the next document tries again
  return library;
};

/** Load what replicas need; returns `make(listener)`, for which see `create` in replica.js. */
export async function prepare() {
  const [{ Y, awareness }, { create }] = await Promise.all([load(), import("./replica.js")]);
  return (listener) => make(create(Y, awareness, listener));
}

function make({ parts, methods, withdraw, end }) {
  const number = ++count;
  replicas.set(number, parts);
  changes.dispatchEvent(new CustomEvent("opened", { detail: number }));
  return {
    number,
    ...methods,
    destroy() {
      if (!replicas.has(number)) return;
      withdraw();
      replicas.delete(number);
      // An editor lets go of it while it is still whole.
      changes.dispatchEvent(new CustomEvent("destroyed", { detail: number }));
      end();
    },
  };
}

/** Open what this browser keeps of a document; see `open` in document_store.js. */
export async function openStore(name, listener) {
  const [{ Y }, store] = await Promise.all([load(), import("./document_store.js")]);
  return store.open(Y, name, listener);
}
