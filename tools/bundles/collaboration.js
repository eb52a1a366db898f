// Yjs and CodeMirror as one module: a second copy of Yjs on a page breaks both (yjs#438).
export * as Y from "yjs";
export * as awareness from "y-protocols/awareness";

export { Annotation, Compartment, EditorSelection, EditorState } from "@codemirror/state";
export {
  dropCursor,
  EditorView,
  highlightSpecialChars,
  keymap,
  layer,
  lineNumbers,
  placeholder,
  RectangleMarker,
  ViewPlugin,
} from "@codemirror/view";
export { defaultKeymap } from "@codemirror/commands";
export { defineLanguageFacet, HighlightStyle, Language, syntaxHighlighting } from "@codemirror/language";
export { search, searchKeymap } from "@codemirror/search";
export { tags } from "@lezer/highlight";
// Without the HTML, CSS and JavaScript that @codemirror/lang-markdown brings along.
export { GFM, parser as markdown } from "@lezer/markdown";
