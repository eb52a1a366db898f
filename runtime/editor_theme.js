// What a <text-editor> looks like. CodeMirror puts this into the style sheets of the root the editor
// stands in. The colours are those of components/theme.css, which know light and dark.
import { EditorView } from "../vendor/collaboration.js";

const MONOSPACE = 'ui-monospace, "Cascadia Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace';

// The flag with a name: there for a while after each move. See SHOWN_FOR in cursors.js.
const fading = { "0%, 75%": { opacity: 1 }, "100%": { opacity: 0 } };

export const theme = EditorView.theme({
  "&": { height: "100%", backgroundColor: "var(--surface)", color: "var(--text)" },
  "&.cm-focused": { outline: "none" },
  // Above the line numbers too, which have a background.
  "&.cm-focused::after": {
    content: '""',
    position: "absolute",
    inset: "0",
    zIndex: "300",
    boxShadow: "inset 0 0 0 2px var(--accent)",
    pointerEvents: "none",
  },
  ".cm-scroller": { fontFamily: MONOSPACE, fontSize: "0.875rem", lineHeight: 1.6, overscrollBehavior: "auto" },
  // Some phones zoom in to smaller text when it gets the focus.
  "@media (pointer: coarse)": { ".cm-scroller": { fontSize: "16px" } },
  ".cm-content": { padding: "0.75rem 0", caretColor: "var(--text)" },
  ".cm-line": { padding: "0 1rem 0 0.5rem" },
  ".cm-gutters": { border: "none", backgroundColor: "var(--surface)", color: "var(--text-quiet)" },
  ".cm-lineNumbers .cm-gutterElement": { minWidth: "2.5rem", padding: "0 0.375rem 0 0.5rem" },
  ".cm-placeholder": { color: "var(--text-quiet)" },
  ".cm-specialChar": { color: "var(--error)" },
  ".cm-dropCursor": { borderLeftColor: "var(--text)" },

  // Markdown
  ".md-heading": { fontWeight: "700", color: "var(--accent)" },
  ".md-strong": { fontWeight: "700" },
  ".md-emphasis": { fontStyle: "italic" },
  ".md-strike": { textDecoration: "line-through" },
  ".md-link": { color: "var(--accent)" },
  ".md-code": { color: "var(--success)" },
  ".md-quote, .md-marker": { color: "var(--text-quiet)" },

  // The others
  ".cm-selections, .cm-carets": { pointerEvents: "none" },
  ".selection": { backgroundColor: "color-mix(in srgb, var(--hue) 24%, transparent)" },
  ".caret": { width: "0", borderInlineStart: "2px solid var(--hue)", marginInlineStart: "-1px" },
  ".caret::before": {
    content: '""',
    position: "absolute",
    top: "-3px",
    left: "-4px",
    width: "6px",
    height: "6px",
    borderRadius: "50%",
    backgroundColor: "var(--hue)",
  },
  // What one points at: a little more than what one sees.
  ".caret::after": { content: '""', position: "absolute", inset: "-4px -7px auto -7px", height: "12px", pointerEvents: "auto" },
  ".flag": {
    position: "absolute",
    bottom: "100%",
    left: "-2px",
    maxWidth: "12rem",
    overflow: "hidden",
    padding: "0 0.375rem",
    borderRadius: "0.25rem 0.25rem 0.25rem 0",
    backgroundColor: "var(--hue)",
    color: "var(--on-hue)",
    font: "600 0.6875rem/1.5 system-ui, sans-serif",
    textOverflow: "ellipsis",
    whiteSpace: "pre",
    unicodeBidi: "isolate",
    opacity: 0,
  },
  ".low > .flag": { bottom: "auto", top: "100%", borderRadius: "0 0.25rem 0.25rem 0.25rem" },
  ".far > .flag": { left: "auto", right: "0", borderRadius: "0.25rem 0.25rem 0 0.25rem" },
  ".low.far > .flag": { borderRadius: "0.25rem 0 0.25rem 0.25rem" },
  ".moved > .flag": { animation: "cm-person-moved 2.5s forwards" },
  ".moved-again > .flag": { animation: "cm-person-moved-again 2.5s forwards" },
  ".caret:hover": { zIndex: 1 },
  ".caret:hover > .flag": { animation: "none", opacity: 1 },
  "@keyframes cm-person-moved": fading,
  "@keyframes cm-person-moved-again": fading,
  "@media (prefers-reduced-motion: reduce)": { ".flag": { animationTimingFunction: "step-end !important" } },
  "@media (forced-colors: active)": {
    ".flag": { border: "1px solid CanvasText", color: "CanvasText" },
    ".selection": { border: "1px dashed CanvasText" },
  },

  // Finding
  ".cm-panels": { borderColor: "var(--line) !important", backgroundColor: "var(--surface-raised)", color: "var(--text)" },
  ".cm-panel.cm-search": { display: "flex", flexWrap: "wrap", alignItems: "center", gap: "0.375rem", padding: "0.5rem 2.25rem 0.5rem 0.75rem" },
  // There is one selection.
  ".cm-panel.cm-search [name=select]": { display: "none" },
  ".cm-panel.cm-search br": { flexBasis: "100%", content: '""' },
  ".cm-panel.cm-search label": { display: "inline-flex", alignItems: "center", gap: "0.25rem", margin: 0, fontSize: "0.8125rem" },
  ".cm-panel.cm-search input, .cm-panel.cm-search button, .cm-panel.cm-search label": { margin: 0 },
  ".cm-panel.cm-search [name=close]": { top: "0.5rem", right: "0.5rem", width: "1.75rem", height: "1.75rem", color: "var(--text)", cursor: "pointer" },
  ".cm-textfield:focus-visible": { outlineOffset: "0" },
  ".cm-textfield": { border: "1px solid var(--control-line)", borderRadius: "0.375rem", backgroundColor: "var(--surface)", fontSize: "0.875rem", padding: "0.25rem 0.5rem", maxWidth: "100%" },
  ".cm-button": { border: "1px solid var(--line)", borderRadius: "0.375rem", background: "var(--surface)", fontSize: "0.8125rem", padding: "0.25rem 0.625rem" },
  ".cm-searchMatch": { backgroundColor: "color-mix(in srgb, var(--warning) 30%, transparent)" },
  ".cm-searchMatch-selected": { backgroundColor: "color-mix(in srgb, var(--warning) 60%, transparent)" },
});
