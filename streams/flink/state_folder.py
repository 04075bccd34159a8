"""The folder of a job: its checkpoints and savepoints, which of them is the last, and what is known of the state."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import msgspec

from streams.flink.remote import SAVEPOINTS, jobs
from streams.tasks.changes import refuse_changed
from streams.tasks.layout import Placed  # noqa: TC001  # msgspec reads the annotations
from tocsin.errors import SourceError, StateError
from tocsin.locks import Held, Lock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.tasks.layout import Holder

CHECKPOINTS = "checkpoints"
LOCK = "lock"
NOTE = "job.json"
DETACHED = "detached.json"
_METADATA = "_metadata"
"""Written last: what has none is not whole."""


def latest(folder: Path) -> Path | None:
    """Give the last whole checkpoint or savepoint of a folder; None if there is none."""
    found = [*folder.glob(f"{CHECKPOINTS}/*/chk-*/{_METADATA}"), *folder.glob(f"{SAVEPOINTS}/*/{_METADATA}")]
    return max(found, key=lambda path: path.stat().st_mtime_ns).parent if found else None


def path_of(origin: str) -> Path | None:
    """Give where a checkpoint or savepoint is that was named by a path or URI; None if it is not among files here.

    StateError if it is not there, or not whole.
    """
    uri = urlsplit(origin)
    if uri.scheme not in {"", "file"}:
        return None
    path = Path(unquote(uri.path) if uri.scheme else origin).absolute()
    if not (path / _METADATA).is_file():
        raise StateError(f"{origin} is no whole checkpoint or savepoint of Flink: it has no {_METADATA}")
    return path


class Note(msgspec.Struct, frozen=True):
    """What is known of a state.

    `topology`: its name. `topics`, `partitions`: of each stream. `shards`: into how many parts keys are spread;
    `groups`: Flink's key groups. `stages`: of the last job; `sinks`: its URIs.
    """

    topology: str
    topics: dict[str, str]
    partitions: dict[str, int]
    shards: int
    groups: int
    stages: Placed
    sinks: list[str]

    def refuse(self, now: Note, holder: Holder) -> None:
        """Raise StateError if a state of which this is known cannot go on as that of the job `now`."""
        if self.topology != now.topology:
            raise StateError(
                f"{holder.name} holds the state of another topology, {self.topology} and not {now.topology}: run that "
                f"one, or take another {holder.option}"
            )
        if self.shards != now.shards:
            raise StateError(
                f"{holder.name} has its keys in {self.shards} shards, not in {now.shards}: run with --buckets "
                f"{self.shards}, or take another {holder.option}"
            )
        for stream, topic in now.topics.items():
            before = self.topics.get(stream, topic), self.partitions.get(stream, now.partitions[stream])
            if before != (topic, now.partitions[stream]):
                raise StateError(
                    f"{holder.name} has read {before[1]} partitions of {before[0]} as {stream}, not "
                    f"{now.partitions[stream]} of {topic}: take another {holder.option}"
                )
        refuse_changed(self.stages, now.stages, holder)


_NOTE = msgspec.json.Decoder(Note)


def known(state: Path) -> Note | None:
    """Give what is known of a checkpoint or savepoint, where its folder is a job's; None if that is not so.

    StateError if the note is damaged.
    """
    notes = (note_in(folder) for folder in list(state.parents)[1:3])
    return next((note for note in notes if note is not None), None)


def note_in(folder: Path) -> Note | None:
    """Give what is known of the state in a folder; None if nothing is. StateError if the note is damaged."""
    note = folder / NOTE
    try:
        return _NOTE.decode(note.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise StateError(f"{note}, which says what the state there is of, cannot be read: {error}") from error


def write_note(folder: Path, note: Note) -> None:
    """Write what is known of the state of a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{NOTE}.part"
    part.write_bytes(msgspec.json.encode(note))
    part.replace(folder / NOTE)


class Detached(msgspec.Struct, frozen=True):
    """A job that goes on although no command waits for it."""

    cluster: str
    job: str


_DETACHED = msgspec.json.Decoder(Detached)


def write_detached(folder: Path, job: Detached) -> None:
    """Note that a job has the folder from now on."""
    (folder / DETACHED).write_bytes(msgspec.json.encode(job))


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keep others out of a folder; StateError if somebody is in it, a job of a cluster perhaps."""
    with locked(folder):
        _refuse_detached(folder)
        yield


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other commands out of a folder; StateError if one is in it."""
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


def _refuse_detached(folder: Path) -> None:
    """Raise StateError while a detached job has the folder; forget one that has ended."""
    path = folder / DETACHED
    try:
        known = _DETACHED.decode(path.read_bytes())
    except FileNotFoundError:
        return
    except (OSError, msgspec.DecodeError) as error:
        raise StateError(f"{path}, which says what job has this folder, cannot be read: {error}") from error
    try:
        runs = any(one.id == known.job and one.runs for one in jobs(known.cluster))
    except SourceError as error:
        raise StateError(
            f"the job {known.job} has the state folder {folder}, and whether it still runs nobody knows: {error}; if "
            f"that cluster is gone for good, delete {path}"
        ) from error
    if runs:
        raise StateError(
            f"the job {known.job} on {known.cluster} has the state folder {folder}: stop it (tocsin flink stop "
            f"{known.job} --cluster {known.cluster}), or take another --state"
        )
    path.unlink(missing_ok=True)
