// The module that `interpreter` in pyscript.toml points at, on the page and in workers.
// It hands on the Pyodide in vendor/ as it is; PyScript asks for these two names.
import { loadPyodide as load, version } from "../vendor/pyodide/pyodide.mjs";

export { version };

const indexURL = new URL("../vendor/pyodide/", import.meta.url).href;

export const loadPyodide = (options = {}) => load({ ...options, indexURL });
