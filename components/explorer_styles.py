"""The style sheet of `<data-explorer>`."""

STYLES = """
    .signs { display: flex; flex-wrap: wrap; align-items: center; gap: 0.25rem 1rem; }
    .frames { color: var(--text-quiet); font-size: 0.8125rem; font-variant-numeric: tabular-nums; }
    .status { font-size: 0.875rem; }
    .status.live { color: var(--success); }
    .status.offline, .status.paused, .status.loading-status { color: var(--text-quiet); }

    .loading, .problem { display: grid; align-content: center; justify-items: center; gap: 0.75rem; min-height: 51.125rem; } /* as high as what takes its place */
    @media (max-width: 29rem) { .loading, .problem { min-height: 57.125rem; } }
    .loading progress { width: min(100%, 18rem); }
    .problem button { margin: 0; }

    .controls { display: flex; flex-wrap: wrap; align-items: end; gap: 0.5rem 0.75rem; padding: 0.75rem 1rem; }
    .controls label { display: grid; gap: 0.125rem; color: var(--text-quiet); font-size: 0.8125rem; }
    .controls .wanted { flex: 1 1 8rem; max-width: 20rem; }
    input, select {
      min-height: 2.25rem;
      min-width: 0;
      padding: 0.25rem 0.5rem;
      border: 1px solid var(--control-line);
      border-radius: 0.5rem;
      background: var(--surface);
      color: var(--text);
      font-size: 0.9375rem;
    }
    .mistake { flex-basis: 100%; color: var(--error); font-size: 0.875rem; }
    .mistake:empty { display: none; }

    .chips { display: flex; flex-wrap: wrap; gap: 0.5rem; margin: 0; padding: 0 1rem 0.75rem; list-style: none; }
    .chip { display: flex; align-items: center; gap: 0.25rem; padding: 0.125rem 0.25rem 0.125rem 0.75rem; border: 1px solid var(--line); border-radius: 1rem; background: var(--surface-raised); font-size: 0.875rem; }
    .chip button { display: grid; place-items: center; width: 1.5rem; height: 1.5rem; padding: 0; border: 0; border-radius: 50%; line-height: 1; }

    .bar { display: flex; flex-wrap: wrap; align-items: center; gap: 0.25rem 1rem; min-height: 2.5rem; padding: 0 1rem 0.5rem; font-size: 0.875rem; }
    .count { font-variant-numeric: tabular-nums; }
    .bar button { padding: 0.25rem 0.75rem; font-size: 0.875rem; }
    .bar .pause { margin-inline-start: auto; }
    .pause[aria-pressed="true"], .kinds button[aria-pressed="true"] { border-color: var(--accent); background: var(--accent); color: var(--on-accent); }
    .working { display: flex; align-items: center; gap: 0.5rem; animation: appear 0s 0.15s both; }
    .working progress { width: 5rem; }
    @keyframes appear { from { visibility: hidden; } }

    .viewport { height: 28rem; overflow: auto; border-block: 1px solid var(--line); overflow-anchor: none; }
    table { width: 100%; min-width: 42rem; border-collapse: separate; border-spacing: 0; table-layout: fixed; font-size: 0.875rem; font-variant-numeric: tabular-nums; }
    th, .row td, .absent td { height: 28px; }
    th, td { padding: 0 0.75rem; text-align: start; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
    .number { text-align: end; }
    thead th, tfoot td { position: sticky; z-index: 1; height: 2.25rem; background: var(--surface-raised); }
    thead th { top: 0; border-block-end: 1px solid var(--line); padding: 0; }
    tfoot td { bottom: 0; border-block-start: 1px solid var(--line); font-weight: 600; }
    tfoot .first { text-align: start; padding-inline: 0.5rem 0; }
    thead button { width: 100%; height: 100%; padding: 0.25rem 0.75rem; border: 0; border-radius: 0; background: none; font-weight: 600; text-align: inherit; overflow: hidden; text-overflow: ellipsis; }
    thead button:hover { color: var(--accent); }
    thead button:focus-visible, .viewport:focus-visible { outline-offset: -2px; }
    .aggregate { min-height: 1.75rem; max-width: 100%; padding: 0 0.25rem; font-size: 0.8125rem; font-weight: 400; }
    tbody .row:nth-of-type(even) td { background: color-mix(in srgb, var(--surface-raised) 55%, var(--surface)); }
    tbody .row:hover td { background: color-mix(in srgb, var(--accent) 12%, var(--surface)); }
    .room td { padding: 0; } /* its height is an attribute, which no rule here may overrule */
    .absent { color: var(--text-quiet); }

    .plot { margin: 0; padding: 0.75rem 1rem 1rem; min-height: 15.5rem; }
    figcaption { display: flex; flex-wrap: wrap; align-items: center; justify-content: space-between; gap: 0.5rem; margin-bottom: 0.5rem; font-size: 0.875rem; }
    .kinds { display: flex; gap: 0.25rem; }
    .kinds button { padding: 0.25rem 0.75rem; font-size: 0.875rem; }
    .bars, .line { display: block; width: 100%; height: 9rem; }
    .bars path, .share path { fill: var(--accent); }
    .line path { fill: none; stroke: var(--accent); stroke-width: 1.5px; vector-effect: non-scaling-stroke; }
    .axis { display: flex; justify-content: space-between; gap: 1rem; padding-top: 0.25rem; border-top: 1px solid var(--line); color: var(--text-quiet); font-size: 0.8125rem; font-variant-numeric: tabular-nums; }
    .values { display: grid; grid-template-columns: max-content minmax(0, 1fr) max-content; gap: 0.25rem 0.75rem; list-style: none; font-size: 0.875rem; }
    .values li { display: grid; grid-column: 1 / -1; grid-template-columns: subgrid; align-items: center; }
    .values .name { max-width: 14rem; overflow: hidden; text-overflow: ellipsis; }
    .values .share { display: block; width: 100%; height: 0.75rem; }
    .values .count { text-align: end; font-variant-numeric: tabular-nums; }
    .values .more { color: var(--text-quiet); }

    @media (forced-colors: active) {
      .bars path, .share path { fill: CanvasText; }
      .line path { stroke: CanvasText; }
    }
"""
