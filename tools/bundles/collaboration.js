// Yjs and the editor for it, as one module: a second copy of Yjs on a page breaks both (yjs#438).
export * as Y from "yjs";
export * as awareness from "y-protocols/awareness";
