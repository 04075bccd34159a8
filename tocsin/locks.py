"""One process at a time in a folder: an advisory lock on a file that names its holder."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class Held(Exception):
    """Somebody else has the lock; `pid` is the process that holds it, 0 if it did not say."""

    def __init__(self, path: Path, pid: int) -> None:
        """Name the file and the holder."""
        self.pid = pid
        self.holder = f"process {pid}" if pid else "another process"
        super().__init__(f"{path} is held by {self.holder}")


class Lock:
    """Holds `path` (made if missing) until `release`, or until the process ends in whatever way.

    Raises Held, and OSError where the file cannot be opened. `flock` also tells two openings in one process apart. The
    file stays: removing it would let two processes hold two files of the same name.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(self._file, 20)
            os.close(self._file)
            raise Held(path, int(holder) if holder.strip().isdigit() else 0) from None
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let go; also twice."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
