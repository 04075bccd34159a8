"""JSON files that hold one array of records each; its elements are found without reading the whole file."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, BinaryIO

from streams.sources.contract import KEPT_MOST, RECORD_MOST, Position, Records
from streams.sources.file_list import FileCursor
from streams.sources.lines import BOM, too_long
from tocsin.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

BLOCK = 1 << 20
"""Bytes read at once."""
_OUTSIDE = re.compile(rb'["\[\]{},]')
_INSIDE = re.compile(rb'["\\]')


@dataclass(slots=True)
class _Scanner:
    """Where the scan of an array stands: depth below the array, inside a text, behind a backslash."""

    depth: int = 0
    text: bool = False
    escaped: bool = False

    def element_end(self, block: bytes, begin: int) -> int:
        """Find the comma or bracket that ends the element; -1 if it is not in the block."""
        at = begin
        if self.escaped and at < len(block):
            at, self.escaped = at + 1, False
        while (found := (_INSIDE if self.text else _OUTSIDE).search(block, at)) is not None:
            at = found.end()
            if self._takes(found[0]):
                return found.start()
            if self.escaped and at < len(block):
                at, self.escaped = at + 1, False
        return -1

    def _takes(self, mark: bytes) -> bool:
        """Take in a mark; True if it ends the element."""
        if mark == b"\\":
            self.escaped = True
        elif mark == b'"':
            self.text = not self.text
        elif mark in b"[{":
            self.depth += 1
        elif self.depth == 0:
            return mark != b"}"
        elif mark in b"]}":
            self.depth -= 1
        return False


class JsonFiles:
    """A list of files with one array each as one partition; the offset counts elements."""

    format = "json"

    def __init__(self, name: str, files: Sequence[Path], *, record_most: int = RECORD_MOST) -> None:
        self.name = name
        self._record_most = record_most
        self._cursor = FileCursor(name, files)

    @property
    def position(self) -> Position:
        """File, byte in it, and the offset of the element that begins there."""
        return self._cursor.position

    def seek(self, position: Position) -> None:
        """Go on at a position; SourceError if its file is no longer where it stood in the list."""
        self._cursor.seek(position)

    def close(self) -> None:
        """Do nothing: no file stays open."""

    def read(self, most: int) -> Records | None:
        """Give the next elements; SourceError if a file holds no array."""
        while (path := self._cursor.current) is not None:
            try:
                with path.open("rb") as file:
                    records = self._read_file(file, most)
            except OSError as error:
                raise SourceError(f"{path} cannot be read: {error.strerror}") from None
            if records is not None:
                return records
            self._cursor.next_file()
        return None

    def _read_file(self, file: BinaryIO, most: int) -> Records | None:
        if not self._cursor.place:
            self._cursor.place = _array_begin(file)
        file.seek(self._cursor.place)
        payloads: list[bytes] = []
        for raw, length, ended in _elements(file, self._record_most):
            if len(raw) < length - 1 or length - 1 > self._record_most:
                return self._too_long(raw, length) if not payloads else self._give(payloads, cut=False)
            self._cursor.place += length
            payloads.append(raw)
            if len(payloads) == most or not ended:
                return self._give(payloads, cut=not ended)
        return self._give(payloads, cut=False) if payloads else None

    def _give(self, payloads: Sequence[bytes], *, cut: bool) -> Records:
        first = self._cursor.offset
        self._cursor.offset += len(payloads)
        return replace(Records.of(payloads, range(first, first + len(payloads))), cut=cut)

    def _too_long(self, raw: bytes, length: int) -> Records:
        offset = self._cursor.offset
        self._cursor.advance(length, 1)
        return too_long(offset, raw[:KEPT_MOST], length, self._record_most)


def _array_begin(file: BinaryIO) -> int:
    """Find the byte behind the bracket that opens the array; of an empty file the end."""
    head = file.read(BLOCK)
    text = head.removeprefix(BOM).lstrip()
    if text and not text.startswith(b"["):
        raise SourceError(f"{file.name} is not one JSON array; if it has a record per line, read it with ndjson:")
    return head.index(b"[") + 1 if text else len(head)


def _elements(file: BinaryIO, record_most: int) -> Iterator[tuple[bytes, int, bool]]:
    """Give each element's bytes (cut at the limit), its length with what ends it, and whether anything ended it."""
    scanner, parts, length = _Scanner(), b"", 0
    while block := file.read(BLOCK):
        begin = 0
        while (end := scanner.element_end(block, begin)) >= 0:
            parts += block[begin : min(end, begin + record_most + 1)]
            yield parts, length + end - begin + 1, True
            begin, parts, length = end + 1, b"", 0
        if len(parts) <= record_most:
            parts += block[begin : begin + record_most + 1]
        length += len(block) - begin
    if parts.strip():
        yield parts, length, False
