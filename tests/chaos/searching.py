"""Looks for raw identifiers in bytes, also in what is compressed within them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pyarrow as pa  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

FRAMES: Final = {b"\x04\x22\x4d\x18": "lz4", b"\x28\xb5\x2f\xfd": "zstd"}
"""How frames begin, in Arrow IPC and elsewhere."""
LENGTH: Final = 8
"""Bytes before a frame in Arrow IPC, which say how long it is when it is decompressed."""
LONGEST: Final = 1 << 28


def unpacked(data: bytes) -> Iterator[bytes]:
    """Give the bytes, and what each frame within them holds."""
    yield data
    for mark, codec in FRAMES.items():
        at = data.find(mark)
        while at >= 0:
            length = int.from_bytes(data[max(0, at - LENGTH) : at], "little", signed=True)
            if 0 < length < LONGEST:
                yield from _decompressed(data[at:], codec, length)
            at = data.find(mark, at + 1)


def _decompressed(data: bytes, codec: str, length: int) -> Iterator[bytes]:
    """Give what a frame holds; nothing if it only looked like one."""
    try:
        yield pa.CompressedInputStream(pa.BufferReader(data), codec).read(length)
    except OSError:
        return


def found(data: bytes, identifiers: Iterable[str]) -> set[str]:
    """Give the identifiers that occur in the bytes, as text or as a number of 64 bits."""
    parts = list(unpacked(data))
    return {name for name in identifiers if any(form in part for form in _forms(name) for part in parts)}


def _forms(name: str) -> list[bytes]:
    number = int(name) if name.isdigit() else -1
    return [name.encode(), *([number.to_bytes(8, "little")] if 0 < number < 2**63 else [])]


def in_folder(folder: Path, *, but: str) -> bytes:
    """Give the bytes of all files of a folder, but those under a folder of that name."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return b"\n".join(path.read_bytes() for path in files if but not in path.relative_to(folder).parts)
