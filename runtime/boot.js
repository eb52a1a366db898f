// Says on the page what happens before Python is up, and what went wrong if it never is.
// Python itself has the last word: components/shell.py.
const status = document.getElementById("boot");

const STAGES = new Map([
  ["Loading Pyodide", "Loading Python …"],
  ["Loading interpreter", "Starting Python …"],
  ["Loaded interpreter", "Loading the application …"],
  ["Loaded Pyodide", "Starting the application …"],
]);

const fail = (text) => {
  if (status.classList.contains("ready")) return;
  status.classList.add("failed");
  status.textContent = text;
};

addEventListener("py:progress", ({ detail }) => {
  const text = STAGES.get(detail);
  if (text && !status.classList.contains("failed")) status.textContent = text;
});

if (typeof WebAssembly === "undefined") {
  fail("This browser has no WebAssembly, which Python needs.");
}

// A module or a script that could not be loaded reports itself without bubbling.
addEventListener(
  "error",
  ({ target }) => {
    if (target instanceof HTMLScriptElement) fail("Python could not be loaded. Reload to try again.");
  },
  true,
);

addEventListener("unhandledrejection", ({ reason }) => {
  fail(`Python could not be started (${reason?.message ?? reason}). Reload to try again.`);
});
