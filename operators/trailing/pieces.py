"""State as sorted pieces of geometric sizes, so that adding a slice never touches all that is kept.

The idea is that of a log-structured merge tree (O'Neil et al., 1996): every slice is a piece; a piece is merged with
the one before it as long as that is less than twice its size. Each row is merged O(log n) times, and there are O(log n)
pieces. In a state, which has a fixed set of frames, the pieces of a kind lie behind each other in one frame, and
`lengths` says where they end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from polars._typing import SchemaDict

RATIO = 2
LENGTHS: SchemaDict = {"of": pl.String, "length": pl.Int64}

Pieces = tuple[pl.DataFrame, ...]
Merge = "Callable[[Sequence[pl.DataFrame]], pl.DataFrame]"


def pushed(pieces: Pieces, piece: pl.DataFrame, merge: Callable[[Sequence[pl.DataFrame]], pl.DataFrame]) -> Pieces:
    """Give the pieces with one more, the last ones merged where they have become too many."""
    if not piece.height:
        return pieces
    first, size = len(pieces), piece.height
    while first and pieces[first - 1].height < RATIO * size:
        first -= 1
        size += pieces[first].height
    if first == len(pieces):
        return (*pieces, piece)
    return (*pieces[:first], merge([*pieces[first:], piece]))


def cut(frame: pl.DataFrame, lengths: pl.DataFrame, name: str) -> Pieces:
    """Give the pieces that lie in a frame of the state, none of them empty and each contiguous in memory."""
    pieces: list[pl.DataFrame] = []
    start = 0
    for length in lengths.filter(pl.col("of") == name).get_column("length").to_list():
        pieces.append(frame.slice(start, length).rechunk())
        start += length
    return tuple(pieces)


def joined(pieces: Sequence[pl.DataFrame], empty: pl.DataFrame) -> pl.DataFrame:
    """Give one frame of all pieces; nothing is copied."""
    return pl.concat(pieces, rechunk=False) if pieces else empty


def lengths(**kinds: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Give the frame that says where the pieces of each kind end."""
    rows = [(name, piece.height) for name, pieces in kinds.items() for piece in pieces]
    return pl.DataFrame(rows, schema=LENGTHS, orient="row")
