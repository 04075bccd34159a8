"""Folders of the stack."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CACHE = "TOCSIN_STACK_CACHE"
OURS = ROOT / ".stack"
DATA = OURS / "data"
"""Of `make stack`: one folder per server."""


def cache() -> Path:
    """Say where what is fetched is kept: `$TOCSIN_STACK_CACHE`, else `~/.cache/tocsin` if there is such, else `.stack`.

    So nothing is written outside of the project's folder unless somebody wants it.
    """
    named = os.environ.get(CACHE)
    if named:
        return Path(named).expanduser().absolute()
    shared = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "tocsin"
    return shared.absolute() if shared.is_dir() else OURS
