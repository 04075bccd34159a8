"""The environment of Quix Streams, apart from ours: made once by pip, in `bench/peers/.venv`."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
LOCK = HERE / "quix.lock"
FOLDER = HERE / ".venv"
VERSION = next(
    line.partition("==")[2]
    for line in LOCK.read_text(encoding="utf-8").splitlines()
    if line.startswith("quixstreams==")
)


class MissingError(Exception):
    """The environment cannot be had; the sentence says why."""


def python() -> Path:
    """Give its interpreter; MissingError where pip cannot make it."""
    interpreter, mark = FOLDER / "bin" / "python", FOLDER / "installed"
    wanted = LOCK.read_text(encoding="utf-8")
    if mark.exists() and mark.read_text(encoding="utf-8") == wanted:
        return interpreter
    shutil.rmtree(FOLDER, ignore_errors=True)
    _run([sys.executable, "-m", "venv", str(FOLDER)])
    _run([str(interpreter), "-m", "pip", "install", "--quiet", "--no-deps", "-r", str(LOCK)])
    mark.write_text(wanted, encoding="utf-8")
    return interpreter


def _run(words: list[str]) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)  # noqa: S603  # pip and venv
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise MissingError(f"no environment for Quix Streams: {said[-1] if said else 'pip failed'}")
