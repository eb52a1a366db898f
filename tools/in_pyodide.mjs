// Runs the `main(data: bytes) -> bytes` of a Python file in the Pyodide that the page runs too:
// `node tools/in_pyodide.mjs script.py input output`. Bytecode is good for one Python version only.
import { readFileSync, writeFileSync } from "node:fs";
import { loadPyodide } from "pyodide";

const [script, input, output] = process.argv.slice(2);
try {
  // The order of a set is part of the bytecode: the same input has to give the same output.
  const python = await loadPyodide({ env: { PYTHONHASHSEED: "0" } });
  python.runPython(readFileSync(script, "utf8"), { filename: script });
  const main = python.globals.get("main");
  const result = main(python.toPy(new Uint8Array(readFileSync(input))));
  writeFileSync(output, result.toJs());
} catch (error) {
  // The last line of a traceback says what is wrong; Node would print the interpreter's source.
  console.error(error.message.trim());
  process.exitCode = 1;
}
