"""The state folder of the local runtime: whole commits that survive `kill -9` at any moment (semantics 23).

| file | holds |
|---|---|
| `manifest.json` | the last commit: positions, watermarks, bounds of the outbox, sinks' progress, where frames lie |
| `segment-N.arrow` | frames that commit N was the first to have |
| `lock` | the id of the process that has the folder open |

*Atomic.* A commit writes its new frames into a segment and makes it durable, writes the manifest beside the valid one
and makes it durable, and renames it. What no valid manifest references is removed.

*Incremental.* Frames never change. A frame that is the same object as in the commit before is not written again; its
old bytes are referenced. A segment of which less than half is still referenced is emptied: what is left in it is
written again.

*Beside the stream.* `commit_async` takes references and returns; another thread encodes and writes.
"""

from __future__ import annotations

import errno
import os
import weakref
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from streams.local import manifest as manifests
from streams.local import segments
from streams.local.snapshot import Owner, Snapshot, describe, restore
from tocsin.closing import Closing
from tocsin.errors import StateError
from tocsin.locks import Held, Lock

if TYPE_CHECKING:
    import polars as pl

    from streams.local.manifest import Manifest
    from streams.local.segments import Ref

LEAST_LIVE = 0.5
"""A segment is emptied when less than this share of it is referenced: at most twice the state lies on disk."""


class Store(Closing):
    """A state folder, open in this process alone. Use `open`; calls come from one thread."""

    def __init__(self, folder: Path, owner: Owner, lock: Lock) -> None:
        """Take what `open` has prepared."""
        self.bytes_written = 0
        self._folder = folder
        self._owner = owner
        self._lock = lock
        self._last: Manifest | None = None
        self._written: dict[int, tuple[weakref.ref[pl.DataFrame], Ref]] = {}
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="tocsin-commit")
        self._in_flight: Future[int] | None = None

    @classmethod
    def open(cls, folder: Path | str, topology_hash: str, topology: str = "") -> Self:
        """Open a folder, made if missing.

        Raises StateError for a folder of another topology, one that another process has open, and one that is damaged.
        """
        folder = Path(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = Lock(folder / "lock")
        except Held as held:
            wait = "wait until it is done, or take another folder"
            raise StateError(f"the state folder {folder} is in use by {held.holder}: {wait}") from None
        except OSError as error:
            raise StateError(f"the state folder {folder} cannot be used: {error.strerror}") from error
        store = cls(folder, Owner(topology, topology_hash), lock)
        try:
            store._adopt()
        except BaseException:
            store.close()
            raise
        return store

    @property
    def number(self) -> int:
        """The number of the last commit, 0 if there was none."""
        return self._last.number if self._last else 0

    @property
    def busy(self) -> bool:
        """Whether a commit is being written: another one would wait for it."""
        return self._in_flight is not None and not self._in_flight.done()

    def load(self) -> Snapshot | None:
        """Give the last commit, None if there was none; StateError names a segment that is missing or damaged."""
        self.settle()
        if self._last is None:
            return None
        contents = segments.read(self._folder, self._last.refs())
        frames = {ref: segments.decode(content) for ref, content in contents.items()}
        self._written = {id(frame): (weakref.ref(frame), ref) for ref, frame in frames.items()}
        return restore(self._last, frames)

    def commit(self, snapshot: Snapshot) -> int:
        """Make a snapshot durable; give the number of the commit. StateError: the one before stays valid."""
        self.commit_async(snapshot)
        return self.settle()

    def commit_async(self, snapshot: Snapshot) -> Future[int]:
        """Begin to make a snapshot durable, after the one in flight; the future gives the number of the commit.

        The error of the commit before is raised here, if `settle` has not raised it yet; then nothing was begun.
        """
        self.settle()
        self._in_flight = self._writer.submit(self._write, snapshot)
        return self._in_flight

    def settle(self) -> int:
        """Wait for the commit in flight and raise its error; give the number of the last commit."""
        flight, self._in_flight = self._in_flight, None
        if flight is not None:
            flight.result()
        return self.number

    def close(self) -> None:
        """Wait for the commit in flight and let go of the folder; raises the error of that commit."""
        try:
            self.settle()
        finally:
            self._writer.shutdown()
            self._lock.release()

    def _adopt(self) -> None:
        self._last = manifests.read(self._folder)
        if self._last is None:
            self._refuse_orphans()
        elif self._last.topology_hash != self._owner.topology_hash:
            raise StateError(self._of_another(Owner(self._last.topology, self._last.topology_hash)))
        self._sweep()

    def _refuse_orphans(self) -> None:
        """Only the first commit may leave a segment without a manifest; otherwise the manifest was lost."""
        if any(segments.number_of(path) > 1 for path in segments.all_in(self._folder)):
            path = self._folder / manifests.NAME
            raise StateError(f"{path} is missing although there are segments: restore it or use a new folder")

    def _write(self, snapshot: Snapshot) -> int:
        number = self.number + 1
        writer = segments.Writer(self._folder, number)
        try:
            refs = self._put(snapshot, writer)
            writer.finish()
            manifest = describe(snapshot, self._owner, number, refs)
            manifests.write(self._folder, manifest)
            _sync(self._folder)
            manifests.put_in_force(self._folder)
            self._last = manifest
            self._written = {id(frame): (weakref.ref(frame), refs[id(frame)]) for frame in snapshot.all_frames()}
            _sync(self._folder)
        except OSError as error:
            raise StateError(self._failure(error)) from error
        finally:
            writer.abandon()
            self._sweep()
        self.bytes_written += writer.bytes
        return number

    def _put(self, snapshot: Snapshot, writer: segments.Writer) -> dict[int, Ref]:
        """Give a place to every frame: the old one where it has one in a segment worth keeping, or a new one."""
        known = {id(frame): ref for frame in snapshot.all_frames() if (ref := self._place(frame)) is not None}
        sparse = segments.sparse(self._folder, known.values(), LEAST_LIVE)
        refs = {frame: ref for frame, ref in known.items() if ref.segment not in sparse}
        for frame in snapshot.all_frames():
            if id(frame) not in refs:
                refs[id(frame)] = writer.add(frame)
        return refs

    def _place(self, frame: pl.DataFrame) -> Ref | None:
        """Weak references: an id may come back after its frame is gone, and old state is not to be kept in memory."""
        written, ref = self._written.get(id(frame), (None, None))
        return ref if written is not None and written() is frame else None

    def _sweep(self) -> None:
        """Remove what the valid manifest does not reference; what cannot be removed now, is tried next time."""
        kept = {ref.segment for ref in self._last.refs()} if self._last else set()
        with suppress(OSError):
            manifests.drop_part(self._folder)
        for path in segments.all_in(self._folder):
            if segments.number_of(path) not in kept:
                with suppress(OSError):
                    path.unlink()

    def _of_another(self, found: Owner) -> str:
        """Say that the folder belongs to another topology, or to this one as it was before somebody changed it."""
        same = found.topology == self._owner.topology
        whose = f"the topology {found} as it was then, not as it is now" if same else f"the topology {found}, not"
        other = f"({self._owner.topology_hash})" if same else f"to {self._owner}"
        finish = "go on with the topology of then, " if same else ""
        advice = f"{finish}use another folder, or remove this one to start anew"
        return f"the state folder {self._folder} belongs to {whose} {other}: {advice}"

    def _failure(self, error: OSError) -> str:
        still = f"the last one, {self.number}, stays valid" if self.number else "there is none yet"
        full = error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
        advice = "; make room on the disk and run again" if full else ""
        return f"a commit to {self._folder} failed: {error.strerror}; {still}{advice}"


def _sync(folder: Path) -> None:
    """Make names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
