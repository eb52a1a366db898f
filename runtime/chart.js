// <line-chart span="60">: one line over the last `span` seconds, drawn by uPlot.
//
//     chart.series = [[-2, -1, 0], [10, null, 12]]  // seconds, 0 being now, and values
//
// The values begin at zero; null is a gap. The colours are --chart-line, --chart-fill,
// --chart-grid and --chart-text. With the attribute `steps`, a value holds until the next. The
// element has the size its style sheet gives it, and says nothing to those who cannot see it:
// give it role="img" and an aria-label. A root it stands in needs `css`.
import { css, uPlot } from "../vendor/uplot.js";

export { css };

/** The charts that are in the page. */
export const charts = new Set();

const COLOURS = ["--chart-line", "--chart-fill", "--chart-grid", "--chart-text"];

// Registered as colours they are computed: a canvas knows nothing of light-dark() or var().
for (const name of COLOURS) {
  CSS.registerProperty({ name, syntax: "<color>", inherits: true, initialValue: "gray" });
}

const FONT_SIZE = 11; // pixels
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

// The least of 1, 2, 5, 10, 20, 50, … that is no less than the value.
const ceiling = (value) => {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1)));
  return [1, 2, 5, 10].find((step) => step * power >= value) * power;
};

class LineChart extends HTMLElement {
  #series = [[], []];
  #plot = null;
  #style = getComputedStyle(this);
  #observer = new ResizeObserver(([{ contentRect }]) => this.#resize(contentRect));

  set series(series) {
    this.#series = series;
    this.#plot?.setData(series);
  }

  connectedCallback() {
    charts.add(this);
    this.#observer.observe(this);
  }

  disconnectedCallback() {
    this.#observer.disconnect();
    this.#plot?.destroy();
    this.#plot = null;
    charts.delete(this);
  }

  /** Draw anew, in the colours of now. */
  redraw() {
    this.#plot?.redraw(false);
  }

  #resize({ width, height }) {
    if (width < 1 || height < 1) return; // not displayed
    if (this.#plot) this.#plot.setSize({ width, height });
    else this.#plot = new uPlot(this.#options(width, height), this.#series, this);
  }

  #options(width, height) {
    const colour = (name) => () => this.#style.getPropertyValue(name);
    const font = () => `${FONT_SIZE}px ${this.#style.fontFamily}`;
    const { linear, stepped } = uPlot.paths;
    return {
      width,
      height,
      padding: [FONT_SIZE / 2 + 1, 4, FONT_SIZE / 2 + 1, 0], // the labels stand above and below
      legend: { show: false },
      cursor: { show: false },
      select: { show: false },
      scales: {
        x: { time: false, range: [-Number(this.getAttribute("span")), 0] },
        y: { range: (_, __, highest) => [0, ceiling(highest ?? 0)] },
      },
      axes: [
        { show: false },
        {
          font: font(),
          stroke: colour("--chart-text"),
          grid: { stroke: colour("--chart-grid"), width: 1 },
          ticks: { show: false },
          gap: 6,
          size: 34,
          splits: (_, __, low, high) => [low, (low + high) / 2, high],
          values: (_, [low, , high]) => [short.format(low), "", short.format(high)],
        },
      ],
      series: [
        {},
        {
          stroke: colour("--chart-line"),
          fill: colour("--chart-fill"),
          width: 1.5,
          paths: this.hasAttribute("steps") ? stepped({ align: 1 }) : linear(),
          points: { show: true, size: 5, fill: colour("--chart-line"), filter: dotted },
        },
      ],
    };
  }
}

// The latest value is a dot, and so is one that no line leads to.
const dotted = ({ data }, series) => {
  const values = data[series];
  const isDotted = (value, n) =>
    value !== null && (n === values.length - 1 || (values[n - 1] ?? values[n + 1] ?? null) === null);
  return values.flatMap((value, n) => (isDotted(value, n) ? [n] : []));
};

customElements.define("line-chart", LineChart);

for (const change of ["(prefers-color-scheme: dark)", "(forced-colors: active)"]) {
  matchMedia(change).addEventListener("change", () => charts.forEach((chart) => chart.redraw()));
}
