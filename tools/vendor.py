"""Fill `vendor/` with the files a browser needs, from the installed npm packages.

`vendor/` is built beside itself and swapped in at the end: a build that fails
half-way leaves the old one standing.
"""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MODULES = ROOT / "node_modules"
VENDOR = ROOT / "vendor"

PYODIDE = (
    "pyodide.mjs",
    "pyodide.asm.mjs",
    "pyodide.asm.wasm",
    "python_stdlib.zip",
    "pyodide-lock.json",
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
    copy_pyscript(building / "pyscript")
    bundle(building)
    shutil.rmtree(VENDOR, ignore_errors=True)
    building.rename(VENDOR)


def copy_pyscript(target: Path) -> None:
    """Copy PyScript without source maps and without the parts the page never asks for."""
    target.mkdir()
    for source in sorted((MODULES / "@pyscript" / "core" / "dist").iterdir()):
        if source.suffix != ".map" and not source.name.startswith(UNUSED_PYSCRIPT):
            shutil.copyfile(source, target / source.name)


def bundle(target: Path) -> None:
    """Make one ES module of each entry in tools/bundles/."""
    entries = sorted((ROOT / "tools" / "bundles").glob("*.js"))
    options = ["--bundle", "--format=esm", "--minify", "--target=es2022", "--legal-comments=eof"]
    command = [MODULES / ".bin" / "esbuild", *entries, *options, "--loader:.css=text"]
    command.append(f"--outdir={target}")
    subprocess.run([*command, "--log-level=warning"], check=True)


if __name__ == "__main__":
    try:
        main()
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"error: {error}")
