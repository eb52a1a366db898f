// Small charts: https://www.npmjs.com/package/uplot, with its style sheet as text.
export { default as uPlot } from "uplot";
export { default as css } from "uplot/dist/uPlot.min.css";
