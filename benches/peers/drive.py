"""What the drivers share: building our program, finding out whether a peer can run."""

import os
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent


class Unavailable(Exception):
    """Why a peer cannot run here."""


def need(python, *packages):
    """Refuses unless this Python interpreter has these packages."""
    check = "import importlib.util, sys; print(*[p for p in sys.argv[1:] if importlib.util.find_spec(p) is None])"
    try:
        found = subprocess.run([python, "-c", check, *packages], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise Unavailable(f"{python} does not run: {error}") from error
    if missing := found.stdout.split():
        raise Unavailable(f"not installed: {', '.join(missing)}")


def cargo(*command):
    built = subprocess.run(["cargo", *command], cwd=ROOT, capture_output=True, text=True)
    if built.returncode != 0:
        raise Unavailable(f"`cargo {' '.join(command)}` failed: {built.stderr.strip().splitlines()[-1]}")


def build_example(name):
    """Our example, built; the path of the program."""
    cargo("build", "--release", "--example", name)
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return str(target / "release" / "examples" / name)
