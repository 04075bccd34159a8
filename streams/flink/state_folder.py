"""Where a job's checkpoints and savepoints are, and which of them is the last."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

CHECKPOINTS = "checkpoints"
SAVEPOINTS = "savepoints"
_METADATA = "_metadata"
"""Written last: what has none is not whole."""


def latest(folder: Path) -> Path | None:
    """Give the last whole checkpoint or savepoint of a folder; None if there is none."""
    found = [*folder.glob(f"{CHECKPOINTS}/*/chk-*/{_METADATA}"), *folder.glob(f"{SAVEPOINTS}/*/{_METADATA}")]
    return max(found, key=lambda path: path.stat().st_mtime_ns).parent if found else None
