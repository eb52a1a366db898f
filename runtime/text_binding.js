// Keeps an editor and a Y.Text the same.
//
// y-codemirror.next does this too, for texts that hold nothing but text. A stranger can put other
// things into one: they have a length for Yjs, and after them every position would be a wrong one.
// Here each of them is a character (U+FFFC, as in Unicode), so that positions are the same on both
// sides, and one can delete it.
import { Annotation, EditorView, keymap, ViewPlugin, Y } from "../vendor/collaboration.js";

const OBJECT = "\ufffc";
const CHECK_AFTER = 500; // milliseconds

/** Marks what comes from the text. */
const received = Annotation.define();

export class Binding {
  #text;
  #failed;
  #undo;
  #view = null;
  #timer = 0;
  #writing = false;
  #foreign = false; // whether it holds what Yjs's own events do not tell of

  constructor(text, failed) {
    this.#text = text;
    this.#failed = failed;
    // One's own edits only: those made by this binding.
    this.#undo = new Y.UndoManager(text, { trackedOrigins: new Set([this]) });
    const undo = () => Boolean(this.#undo.undo()) || true;
    const redo = () => Boolean(this.#undo.redo()) || true;
    const commands = { historyUndo: undo, historyRedo: redo };
    const whereWritable = (run) => (view) => view.state.readOnly || run();
    this.extension = [
      ViewPlugin.define((view) => this.#follow(view)),
      EditorView.domEventHandlers({
        // The menus and gestures of the browser.
        beforeinput: ({ inputType }, view) => Boolean(commands[inputType] && whereWritable(commands[inputType])(view)),
      }),
      keymap.of([
        { key: "Mod-z", run: whereWritable(undo), preventDefault: true },
        { key: "Mod-y", mac: "Mod-Shift-z", run: whereWritable(redo), preventDefault: true },
        { key: "Mod-Shift-z", run: whereWritable(redo), preventDefault: true },
      ]),
    ];
  }

  /** The text, with a character for each thing in it that is none. */
  content() {
    let content = "";
    for (let item = this.#text._start; item; item = item.right) {
      if (item.deleted || !item.countable) continue;
      if (item.content instanceof Y.ContentString) {
        content += item.content.str;
      } else {
        content += OBJECT.repeat(item.length);
        this.#foreign = true;
      }
    }
    return content;
  }

  destroy() {
    this.#undo.destroy();
  }

  #follow(view) {
    this.#view = view;
    this.#text.observe(this.#read);
    return {
      update: (update) => this.#write(update),
      destroy: () => {
        this.#text.unobserve(this.#read);
        clearTimeout(this.#timer);
        this.#view = null;
      },
    };
  }

  // From the editor to the text.
  #write({ docChanged, selectionSet, transactions, changes, state }) {
    if (transactions.some((transaction) => transaction.annotation(received))) return;
    if (!docChanged) {
      if (selectionSet) this.#undo.stopCapturing(); // another place, another step
      return;
    }
    this.#writing = true;
    try {
      this.#text.doc.transact(() => {
        let shift = 0;
        changes.iterChanges((from, to, _, __, inserted) => {
          const text = inserted.toString();
          if (to > from) this.#text.delete(from + shift, to - from);
          if (text) this.#text.insert(from + shift, text);
          shift += text.length - (to - from);
        });
      }, this);
      if (this.#text.length !== state.doc.length) this.#soon(0);
    } catch (error) {
      queueMicrotask(() => this.#failed(error)); // an editor cannot be taken away in its own update
    } finally {
      this.#writing = false;
    }
  }

  // From the text to the editor.
  #read = (event, { origin }) => {
    if (origin === this) return;
    if (this.#writing) {
      this.#soon(0); // what somebody did at once when told of what was written
      return;
    }
    try {
      if (this.#foreign) this.#compare();
      else this.#apply(event.delta, origin === this.#undo);
    } catch {
      this.#soon(0); // it is not for whoever changed the text to hear of
    }
  };

  #apply(delta, isUndo) {
    const changes = [];
    let at = 0;
    for (const { insert, delete: deleted, retain } of delta) {
      if (insert !== undefined) {
        changes.push({ from: at, insert: typeof insert === "string" ? insert : OBJECT });
      } else if (deleted) {
        changes.push({ from: at, to: at + deleted });
        at += deleted;
      } else {
        at += retain;
      }
    }
    if (at > this.#view.state.doc.length) {
      this.#compare();
      return;
    }
    this.#put(changes, isUndo);
    if (this.#text.length !== this.#view.state.doc.length) this.#compare();
    // An edit between the halves of a surrogate pair changes both, and no event tells.
    else this.#soon(CHECK_AFTER);
  }

  #put(changes, isUndo = false) {
    if (!changes.length) return;
    const { state } = this.#view;
    const set = state.changes(changes);
    let selection;
    if (isUndo) set.iterChangedRanges((_, __, ___, to) => (selection = { anchor: to }));
    this.#view.dispatch({
      changes: set,
      selection,
      scrollIntoView: isUndo,
      annotations: received.of(true),
    });
  }

  #soon(delay) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#compare(), delay);
  }

  // Whatever the reason: what the text says counts.
  #compare() {
    if (!this.#view) return;
    try {
      const shown = this.#view.state.doc.toString();
      const text = this.content();
      if (shown === text) return;
      const most = Math.min(shown.length, text.length);
      let start = 0;
      while (start < most && shown[start] === text[start]) start += 1;
      let end = 0;
      while (end < most - start && shown.at(-1 - end) === text.at(-1 - end)) end += 1;
      this.#put([{ from: start, to: shown.length - end, insert: text.slice(start, text.length - end) }]);
    } catch (error) {
      this.#failed(error);
    }
  }
}
