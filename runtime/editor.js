// <text-editor replica="3" label="Shared notes" read-only>: edits a document's text, with CodeMirror.
//
// `replica` is the number of one in runtime/documents.js. Yjs and CodeMirror are loaded with the
// first one that has it. The element has the size its style sheet gives it, and the colours of
// components/theme.css. It belongs into a shadow root: there CodeMirror's style sheets are adopted,
// elsewhere they are a <style>, which a Content-Security-Policy may forbid. Tab moves the focus on, as
// everywhere; Ctrl or ⌘ with ] and [ indents.
import { load, replicas } from "./documents.js";

/** The editors that are in the page. */
export const editors = new Set();

class TextEditor extends HTMLElement {
  static observedAttributes = ["label", "read-only", "replica"];
  #view = null;
  #opened = 0; // how many times: what a former time has begun must not have the last word

  /** The TextView of runtime/text_view.js, or null. */
  get view() {
    return this.#view;
  }

  connectedCallback() {
    editors.add(this);
    this.#open();
  }

  disconnectedCallback() {
    editors.delete(this);
    this.#close();
  }

  attributeChangedCallback(name, old, value) {
    if (!this.isConnected || old === value) return;
    if (name === "replica") this.#open();
    else this.#view?.configure(this.#options());
  }

  focus() {
    this.#view?.focus();
  }

  async #open() {
    this.#close();
    const opened = this.#opened;
    if (!this.getAttribute("replica")) return;
    try {
      const [{ TextView }] = await Promise.all([import("./text_view.js"), load()]);
      if (opened !== this.#opened) return;
      const replica = replicas.get(Number(this.getAttribute("replica")));
      if (!replica) {
        this.#say("This document is closed.");
        return;
      }
      this.#view = new TextView(this, replica, this.#options(), (error) => this.#fail(error));
    } catch (error) {
      if (opened === this.#opened) this.#fail(error);
    }
  }

  #close() {
    this.#opened += 1;
    this.#view?.destroy();
    this.#view = null;
    this.replaceChildren();
  }

  #options() {
    return { label: this.getAttribute("label") ?? "Text", readOnly: this.hasAttribute("read-only") };
  }

  // What is on the screen might no longer be the document: better nothing than that.
  #fail(error) {
    console.error("<text-editor> failed", error);
    this.#close();
    this.#say(`The text cannot be shown: ${String(error?.message ?? error).slice(0, 200)}`);
  }

  #say(words) {
    const notice = document.createElement("p");
    notice.className = "problem";
    notice.setAttribute("role", "alert");
    notice.textContent = words;
    this.append(notice);
  }
}

customElements.define("text-editor", TextEditor);
