"""The contract of a source: raw batches of one partition, from a position that can be kept and sought again.

A list of files is one partition, in name order; the offset of a record is its number over the whole list (semantics 2).
A source reads as it goes: memory holds one batch, however long the files are.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Protocol

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from streams.codecs.reasons import Dead

Position = Mapping[str, int | str]
"""Where a source stands, as JSON: the offset of the next record and what the source needs to find it at once."""

KeyOf = Callable[[int], bytes | None]

RECORD_MOST = 1 << 20
"""Bytes of one record beyond which it is a dead letter; a source's option."""
KEPT_MOST = 1 << 16
"""Bytes of such a record that its dead letter keeps."""


@dataclass(frozen=True)  # without slots: `bounds` is found once, when asked for
class Records:
    """Records as bytes, one after the other.

    `blob` holds them each ended by a newline (the last one may lack it); blank lines count as offsets but are no
    records. `first` is the offset of the first. `starts`: where each begins, if newlines may stand inside records.
    `offsets`: of each record, if they have gaps. `ingested`: ms since the epoch at which the source took each record,
    null where it does not know. `dead`: what the source itself had to give up; a blank line stands in its place.
    `cut`: the file ended in the midst of the last line. `header`: the names of CSV cells. `key_of`: gives the key of a
    message by its place, where records are messages; for the few that die, so that others cost nothing.
    """

    blob: bytes
    first: int = 0
    starts: npt.NDArray[np.int64] | None = None
    offsets: pl.Series | None = None
    ingested: pl.Series | None = None
    dead: tuple[Dead, ...] = ()
    cut: bool = False
    header: tuple[str, ...] = ()
    key_of: KeyOf | None = None

    @classmethod
    def of(
        cls,
        payloads: Sequence[bytes],
        offsets: Sequence[int],
        ingested: Sequence[int | None] | None = None,
        header: tuple[str, ...] = (),
        dead: tuple[Dead, ...] = (),
        key_of: KeyOf | None = None,
    ) -> Records:
        """Join separate payloads, as Kafka gives them; an empty one is a blank line."""
        if not payloads:
            return cls(b"", header=header)
        blob = b"\n".join(payloads)
        starts = None
        if blob.count(b"\n") != len(payloads) - 1:  # a newline inside JSON is blank space; in a CSV cell it must stay
            if not header:
                blob = b"\n".join(payload.replace(b"\n", b" ") for payload in payloads)
            lengths = np.fromiter((len(payload) + 1 for payload in payloads), dtype=np.int64, count=len(payloads))
            starts = np.cumsum(lengths) - lengths
        gaps = offsets[-1] - offsets[0] != len(offsets) - 1
        return cls(
            blob + b"\n",
            offsets[0],
            starts=starts,
            offsets=pl.Series("offset", offsets, dtype=pl.Int64) if gaps else None,
            ingested=None if ingested is None else pl.Series("ingested", ingested, dtype=pl.Int64),
            dead=dead,
            header=header,
            key_of=key_of,
        )

    @classmethod
    def joined(cls, parts: Sequence[Records]) -> Records:
        """Join consecutive batches of a partition, at least one, as `of` gives them."""
        if len(parts) == 1:
            return parts[0]
        sizes = np.cumsum([0, *(part.size for part in parts[:-1])])
        apart = any(part.starts is not None for part in parts)
        follow = all(one.offsets is None and one.first + one.count == two.first for one, two in pairwise(parts))
        whole = follow and parts[-1].offsets is None
        stamps = [part.ingested for part in parts if part.ingested is not None]
        return cls(
            b"".join(part.blob for part in parts),
            parts[0].first,
            starts=np.concatenate([part.bounds[:-1] + at for part, at in zip(parts, sizes, strict=True)])
            if apart
            else None,
            offsets=None if whole else pl.Series("offset", np.concatenate([part.numbers for part in parts])),
            ingested=pl.concat(stamps) if len(stamps) == len(parts) else None,
            dead=tuple(letter for part in parts for letter in part.dead),
            header=parts[0].header,
            key_of=_key_of(parts),
        )

    @property
    def numbers(self) -> npt.NDArray[np.int64]:
        """The offset of each record."""
        if self.offsets is not None:
            return self.offsets.to_numpy()
        return np.arange(self.first, self.first + self.count)

    @cached_property
    def bounds(self) -> npt.NDArray[np.int64]:
        """Where each record begins, and at the end where the next one would."""
        if self.starts is not None:
            return np.append(self.starts, len(self.blob))
        ends = np.flatnonzero(np.frombuffer(self.blob, dtype=np.uint8) == ord("\n")) + 1
        if self.blob and not self.blob.endswith(b"\n"):
            ends = np.append(ends, len(self.blob))
        return np.concatenate([np.zeros(1, dtype=np.int64), ends])

    @cached_property
    def count(self) -> int:
        """How many offsets the batch spans, blank lines included."""
        if self.starts is not None:
            return len(self.starts)
        return self.blob.count(b"\n") + (bool(self.blob) and not self.blob.endswith(b"\n"))

    @property
    def head(self) -> bytes:
        """The first record."""
        end = self.blob.find(b"\n") if self.starts is None else int(self.bounds[1])
        return self.blob if end < 0 else self.blob[:end]

    @property
    def size(self) -> int:
        """How many bytes there are, ends of lines included."""
        return len(self.blob)

    def offset(self, row: int) -> int:
        """Give the offset of a record by its place in the batch."""
        return self.first + row if self.offsets is None else int(self.offsets[row])

    def at(self, row: int) -> bytes:
        """Give the bytes of a record by its place in the batch, without its newline."""
        return self.blob[self.bounds[row] : self.bounds[row + 1]].rstrip(b"\r\n")


def _key_of(parts: Sequence[Records]) -> KeyOf | None:
    """Find keys in batches that follow each other; of the batches themselves nothing is kept."""
    if all(part.key_of is None for part in parts):
        return None
    begins = [0, *accumulate(part.count for part in parts)]
    keys = [part.key_of for part in parts]

    def key_of(place: int) -> bytes | None:
        number = bisect_right(begins, place) - 1
        found = keys[number]
        return found and found(place - begins[number])

    return key_of


@dataclass(frozen=True, slots=True)
class Columns:
    """Records that lie in columns already: Parquet, Arrow, Avro.

    `first`: the offset of the first row. `unknown`: columns of the source that were not asked for and not read.
    """

    frame: pl.DataFrame
    first: int
    unknown: frozenset[str] = frozenset()

    @property
    def count(self) -> int:
        """How many records there are."""
        return self.frame.height

    @property
    def size(self) -> int:
        """How many bytes they take in memory."""
        return int(self.frame.estimated_size())


RawBatch = Records | Columns


class Source(Protocol):
    """One partition of a stream.

    `name`: as the user wrote it. `format`: the codec of its records (`json`, `csv`, `avro`), or "columns".
    """

    name: str
    format: str

    def read(self, most: int) -> RawBatch | None:
        """Give at most `most` further records; None at the end of a bounded source. May give fewer at any time."""
        ...

    @property
    def position(self) -> Position:
        """Where the next `read` begins; `offset` is always in it."""
        ...

    def seek(self, position: Position) -> None:
        """Go on at a position that this source, or an equal one in another process, gave; SourceError if it cannot."""
        ...

    def close(self) -> None:
        """Let go of files and connections."""
        ...


class LiveSource(Source, Protocol):
    """A partition that goes on: `read` gives None where nothing waits now, and may give something later.

    `partition`: its number.
    """

    partition: int

    def quiet(self, idle: int) -> int | None:
        """Give the clock (ms) up to which the reader has stood at the end of the log for `idle` ms; None if not."""
        ...

    def hold(self, held: bool) -> None:  # noqa: FBT001  # a switch
        """Fetch nothing more of it for now, or go on."""
        ...
