"""Install what the project needs, once: `python3 tools/setup.py run` or `... test`.

`run` brings the gateway's Python packages, the npm packages and `vendor/`;
`test` adds the development packages and a browser. A step whose inputs have not
changed since it last succeeded is skipped, so a second call only reads a few
small files. Everything that can go wrong on a strange machine ends in one line
that says what is wrong and what to do.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV_PYTHON = ROOT / ".venv" / "bin" / "python"
GATEWAY = ROOT / "requirements" / "gateway.txt"
DEVELOPMENT = ROOT / "requirements" / "development.txt"
WHEELS = ROOT / "requirements" / "wheels.txt"
OLDEST_PYTHON = (3, 11)
OLDEST_NODE = 20


class SetupError(Exception):
    """One line: what is wrong and what to do about it."""


def main(goal: str) -> None:
    """Bring the machine to where `make run` or `make test` can start."""
    if sys.version_info < OLDEST_PYTHON:
        found = ".".join(map(str, sys.version_info[:3]))
        raise SetupError(f"Python 3.11 or newer is needed, this is {found}: install python3.11.")
    if not os.access(ROOT, os.W_OK):
        raise SetupError(f"No write access to {ROOT}: make the folder yours, or clone it again.")
    install_python_packages(GATEWAY if goal == "run" else DEVELOPMENT)
    check_node()
    install_npm_packages()
    fill_vendor()
    if goal == "test":
        install_browser()


def install_python_packages(requirements: Path) -> None:
    """Create `.venv` and install a locked, hashed set into it."""
    # The development packages include the gateway's.
    enough = (requirements, DEVELOPMENT)
    if VENV_PYTHON.exists() and any(is_current(venv_stamp(r), [r]) for r in enough):
        return
    say(f"Installing Python packages ({requirements.name}) …")
    if not has_pip():
        create_venv()
    call(
        [VENV_PYTHON, "-m", "pip", "install", "--quiet", "--require-hashes", "-r", requirements],
        "Python packages could not be installed: is a package index within reach (pip config)?",
    )
    mark(venv_stamp(requirements), [requirements])


def venv_stamp(requirements: Path) -> Path:
    """Where it is noted that a set was installed for this very Python."""
    version = "{}.{}".format(*sys.version_info)
    return VENV_PYTHON.parents[1] / f".{requirements.stem}-{version}.stamp"


def has_pip() -> bool:
    """Whether `.venv` is whole, and of this Python: one cut short, or made by another, is not."""
    check = "import pip, sys; print(*sys.version_info[:2])"
    if not VENV_PYTHON.exists():
        return False
    result = subprocess.run([VENV_PYTHON, "-c", check], capture_output=True, text=True, check=False)
    return result.stdout.split() == [str(part) for part in sys.version_info[:2]]


def create_venv() -> None:
    """Create `.venv`; Debian splits the part this needs into a package of its own."""
    shutil.rmtree(ROOT / ".venv", ignore_errors=True)
    command = [sys.executable, "-m", "venv", ROOT / ".venv"]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        shutil.rmtree(ROOT / ".venv", ignore_errors=True)
        apt_install(["python3-venv"], "python3 has no venv module")
        call(command, "A virtual environment could not be made in .venv:")


def check_node() -> None:
    """Node brings the interpreter, PyScript and the bundler; a browser needs none of it."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        missing = "Node.js" if not node else "npm"
        raise SetupError(f"{missing} is missing: install Node.js {OLDEST_NODE} or newer with npm.")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
    major = version.stdout.strip().lstrip("v").split(".")[0]
    if not major.isdigit() or int(major) < OLDEST_NODE:
        found = version.stdout.strip() or "unknown"
        raise SetupError(f"Node.js {OLDEST_NODE} or newer is needed, this is {found}.")


def install_npm_packages() -> None:
    """Install exactly what package-lock.json names, running none of its scripts."""
    stamp = ROOT / "node_modules" / ".stamp"
    inputs = [ROOT / "package.json", ROOT / "package-lock.json", ROOT / ".npmrc"]
    if is_current(stamp, inputs):
        return
    say("Installing npm packages …")
    call(
        ["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"],
        "npm packages could not be installed: is a registry within reach (npm config)?",
    )
    mark(stamp, inputs)


def fill_vendor() -> None:
    """Fill `vendor/` with the files a browser needs."""
    stamp = ROOT / "vendor" / ".stamp"
    tools = ROOT / "tools"
    inputs = [
        ROOT / "package-lock.json",
        WHEELS,
        tools / "vendor.py",
        tools / "in_pyodide.mjs",
        tools / "compile_stdlib.py",
        *sorted((tools / "bundles").iterdir()),
    ]
    if is_current(stamp, inputs):
        return
    say("Filling vendor/ …")
    call([sys.executable, ROOT / "tools" / "vendor.py"], "vendor/ could not be filled:")
    mark(stamp, inputs)


def install_browser() -> None:
    """Tests drive Debian's Chromium; any other is named by CHROMIUM."""
    if not find_browser():
        apt_install(["chromium"], "Chromium is missing (or set CHROMIUM to one)")


def find_browser() -> str | None:
    """Path of the Chromium the tests drive."""
    names = [os.environ.get("CHROMIUM"), "chromium", "chromium-browser", "google-chrome"]
    return next((path for name in names if name and (path := shutil.which(name))), None)


def apt_install(packages: list[str], why: str) -> None:
    """Install Debian packages as root; anybody else is told what to install."""
    advice = f"{why}: apt-get install {' '.join(packages)}"
    if not hasattr(os, "geteuid") or os.geteuid() != 0 or not shutil.which("apt-get"):
        raise SetupError(advice)
    say(f"Installing {' '.join(packages)} …")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "-qq"], env=environment, capture_output=True, check=False)
    call(
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages],
        f"{advice} did not work:",
        environment,
    )


def call(command: list[object], failure: str, environment: dict[str, str] | None = None) -> None:
    """Run a command quietly.

    Raises:
        SetupError: it failed; `failure` followed by the command's own last words.
    """
    result = subprocess.run(
        [str(part) for part in command],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if result.returncode:
        words = [line.strip() for line in result.stdout.splitlines() if line.strip()]
        telling = [line for line in words if "error" in line.lower()] or words or ["no output"]
        raise SetupError(f"{failure} ({telling[-1]})")


def is_current(stamp: Path, inputs: Iterable[Path]) -> bool:
    """Whether the step that wrote `stamp` last ran on these very inputs."""
    return stamp.exists() and stamp.read_text() == digest(inputs)


def mark(stamp: Path, inputs: Iterable[Path]) -> None:
    """Remember the inputs of a step that has succeeded."""
    stamp.write_text(digest(inputs))


def digest(inputs: Iterable[Path]) -> str:
    """Hash the contents of some files."""
    total = hashlib.sha256()
    for path in inputs:
        if path.is_file() and "__pycache__" not in path.parts:
            total.update(path.name.encode() + b"\0" + path.read_bytes())
    return total.hexdigest()


def say(text: str) -> None:
    """Tell the person what takes time."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        main(sys.argv[1] if len(sys.argv) > 1 else "test")
    except (SetupError, OSError) as error:
        sys.exit(f"set-up: {error}")
