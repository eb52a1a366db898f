"""Fill `vendor/` with the files a browser needs, from the installed npm packages and a pip index.

`vendor/` is built beside itself and swapped in at the end: a build that fails
half-way leaves the old one standing.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MODULES = ROOT / "node_modules"
VENDOR = ROOT / "vendor"
TOOLS = ROOT / "tools"
VENV_PYTHON = ROOT / ".venv" / "bin" / "python"
WHEELS = ROOT / "requirements" / "wheels.txt"

PYODIDE = (
    "pyodide.mjs",
    "pyodide.asm.mjs",
    "pyodide.asm.wasm",
    "pyodide-lock.json",
)

STDLIB = "python_stdlib.zip"

# What runs a worker's packages: Pyodide 314, as its lock file says.
INTERPRETER = (
    "--python-version=3.14",
    "--implementation=cp",
    "--abi=cp314",
    "--platform=pyemscripten_2026_0_wasm32",
)

# The editor and the terminal that PyScript fetches only for pages that have one.
UNUSED_PYSCRIPT = ("codemirror_", "xterm")


def main() -> None:
    """Build `vendor/` anew."""
    building = VENDOR.with_name("vendor.new")
    shutil.rmtree(building, ignore_errors=True)
    (building / "pyodide").mkdir(parents=True)
    for name in PYODIDE:
        shutil.copyfile(MODULES / "pyodide" / name, building / "pyodide" / name)
    compile_stdlib(building / "pyodide" / STDLIB)
    copy_pyscript(building / "pyscript")
    bundle(building)
    download_wheels(building / "wheels")
    shutil.rmtree(VENDOR, ignore_errors=True)
    building.rename(VENDOR)


def compile_stdlib(target: Path) -> None:
    """Repack the standard library so that a page need not compile it (compile_stdlib.py)."""
    script = TOOLS / "compile_stdlib.py"
    in_pyodide(script, MODULES / "pyodide" / STDLIB, target)


def in_pyodide(script: Path, source: Path, target: Path) -> None:
    """Write to `target` what the `main` of a Python file makes of `source`, in Pyodide."""
    command = ["node", TOOLS / "in_pyodide.mjs", script, source, target]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        last = (result.stderr.strip().splitlines() or ["no output"])[-1]
        raise OSError(f"{script.name}: {last}")


def copy_pyscript(target: Path) -> None:
    """Copy PyScript without source maps and without the parts the page never asks for."""
    target.mkdir()
    for source in sorted((MODULES / "@pyscript" / "core" / "dist").iterdir()):
        if source.suffix != ".map" and not source.name.startswith(UNUSED_PYSCRIPT):
            shutil.copyfile(source, target / source.name)


def bundle(target: Path) -> None:
    """Make one ES module of each entry in tools/bundles/."""
    entries = sorted((TOOLS / "bundles").glob("*.js"))
    options = ["--bundle", "--format=esm", "--minify", "--target=es2022", "--legal-comments=eof"]
    command = [MODULES / ".bin" / "esbuild", *entries, *options, "--loader:.css=text"]
    command.append(f"--outdir={target}")
    subprocess.run([*command, "--log-level=warning"], check=True)


def download_wheels(target: Path) -> None:
    """Fetch the Python packages of the workers, and list the files by their packages' names."""
    target.mkdir()
    options = ["--no-deps", "--only-binary=:all:", "--require-hashes", *INTERPRETER]
    command = [VENV_PYTHON, "-m", "pip", "download", "--quiet", *options]
    result = subprocess.run(
        [*command, "--dest", target, "-r", WHEELS], capture_output=True, text=True, check=False
    )
    if result.returncode:
        last = (result.stderr.strip().splitlines() or ["no output"])[-1]
        raise OSError(f"wheels: is a package index within reach (pip config)? {last}")
    # PEP 427: the name comes first, with underscores for what is neither letter nor digit.
    names = {
        wheel.name.partition("-")[0].replace("_", "-").lower(): wheel.name
        for wheel in sorted(target.glob("*.whl"))
    }
    (target / "wheels.json").write_text(json.dumps(names, indent=2) + "\n")


if __name__ == "__main__":
    try:
        main()
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"error: {error}")
