// A page with nothing but a <text-editor> in a shadow root, for test_text_editor.py.
import "./runtime/editor.js";
import { load, replicas } from "./runtime/documents.js";

const { awareness, Y } = await load();
const doc = new Y.Doc();
const text = doc.getText("content");
replicas.set(1, { doc, text, awareness: new awareness.Awareness(doc) });

const host = document.createElement("div");
host.attachShadow({ mode: "open" });
const editor = document.createElement("text-editor");
editor.setAttribute("replica", "1");
editor.setAttribute("label", "Notes");
host.shadowRoot.append(editor);
const after = document.createElement("button");
document.body.append(host, after);

window.violations = [];
document.addEventListener("securitypolicyviolation", ({ violatedDirective }) => {
  window.violations.push(violatedDirective);
});
Object.assign(window, { doc, text, editor, after });
