"""`file`: transitions as lines of JSON, appended to a file.

Every batch is one append and one fsync. After a restart the lines from the bookmark on (a byte offset; without a state,
the whole file) are read, and what is among them is not written again; so the same run twice into one file gives the
same file. A last line that was cut by a crash was never confirmed and is removed. Early copies are lines of their own:
the truth stands in a later line with the same `alert_id` and `sequence` and `early` false.

The bookmark never passes a line that was read back and did not come again yet, since a later start would not know it.
Lines that never come again (of another run) hold it until as many new ones were written as one delivery has at most:
what a crash cut off comes again, mixed with new lines, within that.

Where it is weak: the file grows for ever; rotate it while nothing runs.
"""

from __future__ import annotations

import fcntl
import os
import stat
from typing import TYPE_CHECKING

import msgspec
import polars as pl

from sinks import ndjson
from sinks.contract import Sink
from sinks.storage import refusal
from tocsin.errors import SinkError
from tocsin.model.alerts import TRANSITIONS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STANDARD_OUTPUT = "-"

IDENTITY = ("alert_id", "sequence", "early")

BEGINS = "begins"
"""Of a line that was read back: the byte at which it begins."""

REMEMBERED = 100_000
"""Identities kept in memory: more than one batch, so that a batch sent twice in a row is written once."""

_READ = {**{name: TRANSITIONS[name] for name in IDENTITY}, BEGINS: pl.Int64()}
_BLOCK = 1 << 20
_BEGINNING = b'{"alert_id":'


class FileSink(Sink):
    """Appends to `path`; "-", a device and a pipe are written to as they are, without looking back."""

    def __init__(self, path: Path | str) -> None:
        self._path = str(path)
        self._what = f"the file {path}"
        self._file = -1
        self._end = 0
        self._regular = True
        self._known = pl.DataFrame(schema=_READ).drop(BEGINS)
        self._awaited = pl.DataFrame(schema=_READ)
        self._fresh = 0

    @property
    def bookmark(self) -> str:
        """The byte after the last durable line, or that of the first line that may be offered again."""
        return str(self._end if self._awaited.is_empty() else self._awaited[BEGINS][0])

    def open(self, bookmark: str = "") -> None:
        """Open or make the file, lock it, repair its end, read what is there from the bookmark on."""
        try:
            self._file = self._obtain()
            self._regular = self._path != STANDARD_OUTPUT and stat.S_ISREG(os.fstat(self._file).st_mode)
            if self._regular:
                self._look(bookmark)
        except OSError as error:
            self.close()  # or its lock would keep us out at the next try
            raise refusal(self._what, error) from error

    def deliver(self, batch: pl.DataFrame) -> None:
        """Append what is not there yet; a failed append is taken back."""
        fresh = batch.unique(IDENTITY, keep="first", maintain_order=True)
        fresh = fresh.join(self._known, on=IDENTITY, how="anti", maintain_order="left")
        content = ndjson.encode(fresh)
        try:
            self._append(content)
        except OSError as error:
            if self._regular:
                os.ftruncate(self._file, self._end)
            raise refusal(self._what, error) from error
        self._end += len(content)
        known = pl.concat([self._known, fresh.select(IDENTITY)], rechunk=True)
        self._known = known.tail(max(REMEMBERED, self._known.height))
        self._move(batch, fresh)

    def close(self) -> None:
        """Close the file, which also lets go of its lock."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _look(self, bookmark: str) -> None:
        self._lock()
        self._end = self._repair()
        self._fresh = 0
        there = self._read_identities(self._start(bookmark))
        self._known, self._awaited = there.drop(BEGINS), there.filter(~pl.col("early"))

    def _move(self, batch: pl.DataFrame, fresh: pl.DataFrame) -> None:
        """Let the bookmark pass lines that came again, and all that was read back once none of it can come."""
        if self._awaited.is_empty():
            return
        self._awaited = self._awaited.join(batch, on=IDENTITY, how="anti", maintain_order="left")
        self._fresh += fresh.height - int(fresh["early"].sum())
        if self._fresh >= self.batching.rows:
            self._awaited = self._awaited.clear()

    def _obtain(self) -> int:
        if self._path == STANDARD_OUTPUT:
            return os.dup(1)
        return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SinkError(f"{self._what} is being written by another process") from None

    def _append(self, content: bytes) -> None:
        left = memoryview(content)
        if self._regular:
            os.lseek(self._file, self._end, os.SEEK_SET)
        while left:
            left = left[os.write(self._file, left) :]
        if self._regular and content:
            os.fsync(self._file)

    def _repair(self) -> int:
        """Make the file end with a whole line; give its size."""
        size = os.fstat(self._file).st_size
        end, fragment = self._last_fragment(size)
        if not fragment:
            return size
        try:
            ndjson.identify(fragment)
        except msgspec.DecodeError:
            self._refuse_foreign(fragment)
            os.ftruncate(self._file, end)
            return end
        return size + os.pwrite(self._file, b"\n", size)

    def _last_fragment(self, size: int) -> tuple[int, bytes]:
        """Give where the text after the last newline begins, and the text."""
        begin, fragment = size, b""
        while begin and b"\n" not in fragment:
            step = min(begin, _BLOCK)
            begin -= step
            fragment = os.pread(self._file, step, begin) + fragment
        return begin + fragment.rfind(b"\n") + 1, fragment[fragment.rfind(b"\n") + 1 :]

    def _refuse_foreign(self, line: bytes) -> None:
        """Refuse to cut or append to a file that somebody else wrote."""
        if line[: len(_BEGINNING)] != _BEGINNING[: len(line)]:
            raise SinkError(f"{self._what} holds lines that are no transitions: choose another file")

    def _start(self, bookmark: str) -> int:
        """Give the byte from which lines must be read: the bookmark, if a line of this file begins there."""
        offset = int(bookmark) if bookmark.isdigit() else 0
        begins = 0 < offset <= self._end and os.pread(self._file, 1, offset - 1) == b"\n"
        return offset if begins else 0

    def _read_identities(self, start: int) -> pl.DataFrame:
        """Give IDENTITY and BEGINS of the lines from a byte on."""
        written: list[ndjson.Written] = []
        lengths: list[int] = []
        try:
            for line in self._lines(start):
                written.append(ndjson.identify(line))
                lengths.append(len(line))
        except msgspec.DecodeError:
            raise SinkError(f"{self._what} holds lines that are no transitions: choose another file") from None
        columns = {name: [getattr(line, name) for line in written] for name in IDENTITY}
        length = pl.Series(BEGINS, lengths, dtype=pl.Int64)
        return pl.DataFrame({**columns, BEGINS: start + length.cum_sum() - length}, schema=_READ)

    def _lines(self, start: int) -> Iterator[bytes]:
        with os.fdopen(os.dup(self._file), "rb") as file:
            file.seek(start)
            yield from file
