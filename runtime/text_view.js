// A CodeMirror editor of one replica: runtime/editor.js makes it, when the library is there.
import {
  Compartment,
  defaultKeymap,
  dropCursor,
  EditorState,
  EditorView,
  highlightSpecialChars,
  keymap,
  lineNumbers,
  placeholder,
  search,
  searchKeymap,
} from "../vendor/collaboration.js";
import { cursors } from "./cursors.js";
import { theme } from "./editor_theme.js";
import { markdown } from "./markdown.js";
import { Binding } from "./text_binding.js";

const HINT = "Tab moves on. Control or Command with ] indents.";
const FIND = ["Mod-f", "F3", "Mod-g", "Escape"];

export class TextView {
  #binding;
  #doc;
  #label = new Compartment();
  #readOnly = new Compartment();
  #isGone = false;
  #gone = () => this.destroy();

  /** `failed` is told when the view can no longer follow the text. */
  constructor(parent, { text, awareness }, options, failed) {
    this.#binding = new Binding(text, failed);
    this.#doc = text.doc;
    this.editor = new EditorView({
      parent,
      doc: this.#binding.content(),
      extensions: [
        // A document counts each of \r\n: were they one line break here, positions would differ.
        EditorState.lineSeparator.of("\n"),
        EditorView.clipboardInputFilter.of((pasted) => pasted.replace(/\r\n?/g, "\n")),
        this.#label.of(labelled(options)),
        this.#readOnly.of(locked(options)),
        lineNumbers(),
        EditorView.lineWrapping,
        highlightSpecialChars(),
        placeholder("Start typing …"),
        dropCursor(),
        markdown,
        search({ top: true }),
        this.#binding.extension,
        cursors(text, awareness),
        keymap.of([...searchKeymap.filter(({ key }) => FIND.includes(key)), ...defaultKeymap]),
        theme,
      ],
    });
    this.#doc.on("destroy", this.#gone);
  }

  configure(options) {
    this.editor.dispatch({
      effects: [this.#label.reconfigure(labelled(options)), this.#readOnly.reconfigure(locked(options))],
    });
  }

  focus() {
    this.editor.focus();
  }

  destroy() {
    if (this.#isGone) return;
    this.#isGone = true;
    this.#doc.off("destroy", this.#gone);
    this.editor.destroy();
    this.#binding.destroy();
  }
}

const labelled = ({ label }) =>
  EditorView.contentAttributes.of({
    class: "editor-content",
    "aria-label": label,
    "aria-description": HINT,
    spellcheck: "true",
    autocapitalize: "sentences",
  });

// One can still move about in it and copy; a touch screen needs no keyboard for that.
const locked = ({ readOnly }) =>
  readOnly
    ? [EditorState.readOnly.of(true), EditorView.contentAttributes.of({ inputmode: "none" })]
    : [];
