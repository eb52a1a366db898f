// Replicas of documents, for services/browser_documents.py and for the editors of this page.

/** The replicas of this page by number: `{ doc, text, awareness }`. */
export const replicas = new Map();

let library = null;

/** Yjs and CodeMirror, once for the page, when the first document is opened. */
export const load = () => (library ??= import("../vendor/collaboration.js"));
