// The same in plain JavaScript: Yjs, CodeMirror with y-codemirror.next, and y-websocket.
import { defaultKeymap } from "@codemirror/commands";
import { EditorState } from "@codemirror/state";
import { EditorView, keymap, lineNumbers } from "@codemirror/view";
import { yCollab, yUndoManagerKeymap } from "y-codemirror.next";
import { WebsocketProvider } from "y-websocket";
import * as Y from "yjs";

window.ours = {};

let doc, text, provider, view;

const now = () => performance.timeOrigin + performance.now();

// By UTF-16 code units, which the trace's code points are: it has nothing outside the BMP.
function edit(target, [position, count, inserted]) {
  if (count) target.delete(position, count);
  if (inserted) target.insert(position, inserted);
}

const synced = () =>
  provider.synced ? Promise.resolve() : new Promise((resolve) => provider.once("sync", resolve));

window.peer = {
  async open(id, { url = new URL("./ws/documents", location).href.replace("http", "ws"), share = true }) {
    doc = new Y.Doc();
    text = doc.getText("content");
    provider = new WebsocketProvider(url, id, doc, { disableBc: !share });
    const editing = [keymap.of([...yUndoManagerKeymap, ...defaultKeymap]), lineNumbers()];
    const extensions = [...editing, EditorView.lineWrapping, yCollab(text, provider.awareness)];
    view = new EditorView({
      state: EditorState.create({ doc: text.toString(), extensions }),
      parent: document.querySelector("#editor"),
    });
  },

  async join(id, options) {
    const start = performance.now();
    await this.open(id, options);
    await synced();
    if (!text.length) throw new Error("expected a text");
    return performance.now() - start;
  },

  // With `updates` every change is encoded, as it is as soon as somebody is to hear of it.
  apply(patches, size, updates) {
    const edits = JSON.parse(patches);
    const alone = new Y.Doc();
    const told = [];
    if (updates) alone.on("update", (update) => told.push(update));
    const target = alone.getText("content");
    const start = performance.now();
    if (size === 1) for (const one of edits) edit(target, one);
    else {
      for (let first = 0; first < edits.length; first += size) {
        alone.transact(() => edits.slice(first, first + size).forEach((one) => edit(target, one)));
      }
    }
    const taken = performance.now() - start;
    return JSON.stringify([taken, Y.encodeStateAsUpdate(alone).length, target.toString()]);
  },

  leave() {
    view.destroy();
    provider.destroy();
    doc.destroy();
    text = undefined;
  },
};

/** The part of the page one types in. */
const typedIn = () => {
  const editor = document.querySelector("text-editor");
  return (editor?.shadowRoot ?? editor ?? document).querySelector(".cm-content");
};

/** Focus the editor, at its end. */
window.focusEditor = () => typedIn().focus();

// From a key to the frame that shows it: the message comes behind the frame's own work.
const painted = [];
window.addEventListener(
  "keydown",
  ({ timeStamp }) => {
    requestAnimationFrame(() => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = () => painted.push(performance.now() - timeStamp);
      port2.postMessage(null);
    });
  },
  { capture: true },
);
window.painted = () => JSON.stringify(painted.splice(0));

// From a key in one tab to the document's change in another: all tabs share one clock.
const pressed = [];
window.addEventListener(
  "keydown",
  ({ timeStamp }) => pressed.push(performance.timeOrigin + timeStamp),
  { capture: true },
);
window.pressed = () => JSON.stringify(pressed.splice(0));

// Ours is in the page's own modules.
const { replicas } = await import(new URL("./runtime/documents.js", location).href);

/** How long the text of the open document is. */
window.textLength = () => (text ?? [...replicas.values()].at(-1)?.text)?.length ?? 0;

// A cursor that moves is no news.
const changed = [];
let known = 0;
window.watchEditor = () => {
  known = window.textLength();
  const look = () => {
    if (window.textLength() === known) return;
    known = window.textLength();
    changed.push(now());
  };
  const what = { childList: true, characterData: true, subtree: true };
  new MutationObserver(look).observe(typedIn(), what);
};
window.changed = () => JSON.stringify(changed.splice(0));
window.peersReady = true;
