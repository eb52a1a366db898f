// What runtime/elements.js uses of lit-html, as one module.
export { html, noChange, nothing, render } from "lit-html";
export { repeat } from "lit-html/directives/repeat.js";
