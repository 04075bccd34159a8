"""Jars that are fetched once: where they are kept, and which they have to be."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

CACHE = "TOCSIN_STACK_CACHE"
OURS = Path(__file__).resolve().parents[1] / ".stack"
"""Of a checkout."""


def cache() -> Path:
    """Say where what is fetched is kept: `$TOCSIN_STACK_CACHE`, else `~/.cache/tocsin` if there is such, else `.stack`.

    So nothing is written outside of the project's folder unless somebody wants it.
    """
    named = os.environ.get(CACHE)
    if named:
        return Path(named).expanduser().absolute()
    shared = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "tocsin"
    return shared.absolute() if shared.is_dir() else OURS


def folder(lock: Path) -> Path:
    """Say where the jars of a lock are, or will be: another lock, another folder, so that versions never mix."""
    return cache() / "jars" / hashlib.sha256(lock.read_bytes()).hexdigest()[:16]


def locked(lock: Path) -> dict[str, str]:
    """Give the SHA-256 of every jar by its name; a lock has a line per jar as `sha256sum` writes it."""
    pairs = (line.split() for line in lock.read_text(encoding="utf-8").splitlines())
    return {name: digest for digest, name in pairs}


def digest(jar: Path) -> str:
    """Give the SHA-256 of a file."""
    with jar.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
