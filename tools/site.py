"""Write `dist/`: the page with all it needs, for any static host (`make site`)."""

import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

FILES = ("index.html", "page.css", "icon.svg", "main.py", "pyscript.toml")
FOLDERS = ("components", "services", "workers", "runtime", "vendor")
LEFT_OUT = shutil.ignore_patterns("__pycache__", ".*")


def main(target: Path) -> None:
    """Build the site beside `target` and swap it in at the end."""
    building = target.with_name(f"{target.name}.new")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    for name in FILES:
        shutil.copyfile(ROOT / name, building / name)
    for name in FOLDERS:
        shutil.copytree(ROOT / name, building / name, ignore=LEFT_OUT)
    shutil.rmtree(target, ignore_errors=True)
    building.rename(target)
    files = [path for path in target.rglob("*") if path.is_file()]
    megabytes = sum(path.stat().st_size for path in files) / 1e6
    print(f"{target}: {len(files)} files, {megabytes:.1f} MB")


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "dist")
    except OSError as error:
        sys.exit(f"site: {error}")
