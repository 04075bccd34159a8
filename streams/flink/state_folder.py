"""The folder of a job: its checkpoints and savepoints, which of them is the last, and how the state is cut."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from tocsin.errors import StateError
from tocsin.locks import Held, Lock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHECKPOINTS = "checkpoints"
SAVEPOINTS = "savepoints"
LOCK = "lock"
NOTE = "job.json"
_METADATA = "_metadata"
"""Written last: what has none is not whole."""


def latest(folder: Path) -> Path | None:
    """Give the last whole checkpoint or savepoint of a folder; None if there is none."""
    found = [*folder.glob(f"{CHECKPOINTS}/*/chk-*/{_METADATA}"), *folder.glob(f"{SAVEPOINTS}/*/{_METADATA}")]
    return max(found, key=lambda path: path.stat().st_mtime_ns).parent if found else None


class Cut(msgspec.Struct, frozen=True):
    """How keys are spread in a state: `shards`, and the `partitions` of each stream."""

    shards: int
    partitions: dict[str, int]


def known(folder: Path) -> Cut | None:
    """Give how the state of a folder is cut; None if there is none. StateError if the note of it is damaged."""
    if latest(folder) is None:
        return None
    try:
        return msgspec.json.decode((folder / NOTE).read_bytes(), type=Cut)
    except (OSError, msgspec.DecodeError) as error:
        raise StateError(f"{folder / NOTE}, which says how the state there is cut, cannot be read: {error}") from error


def note(folder: Path, cut: Cut) -> None:
    """Write how the state of a folder is cut; StateError if it is cut otherwise."""
    before = known(folder)
    if before is not None and before != cut:
        raise StateError(
            f"the state in {folder} is of {_told(before)}, not of {_told(cut)}: keys of Flink cannot be spread anew "
            "yet; take another --state"
        )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / NOTE).write_bytes(msgspec.json.encode(cut))


def _told(cut: Cut) -> str:
    streams = ", ".join(f"{number} partitions of {name}" for name, number in sorted(cut.partitions.items()))
    return f"{streams} and {cut.shards} shards"


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keep others out of a folder; StateError if somebody is in it."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        lock = Lock(folder / LOCK)
    except Held as by:
        raise StateError(
            f"{by.holder} runs a job with the state folder {folder}; end it, or take another --state"
        ) from by
    try:
        yield
    finally:
        lock.release()
