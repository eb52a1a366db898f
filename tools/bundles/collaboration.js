// Yjs and CodeMirror as one module: a second copy of Yjs on a page breaks both (yjs#438).
export * as Y from "yjs";
export * as awareness from "y-protocols/awareness";

export {
  Annotation,
  Compartment,
  EditorSelection,
  EditorState,
  RangeSet,
  RangeValue,
  StateField,
} from "@codemirror/state";
export {
  Decoration,
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
export { search, searchKeymap } from "@codemirror/search";
