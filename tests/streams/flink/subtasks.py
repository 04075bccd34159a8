"""Subtasks of a job without Flink: what they are told, and where their state is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from streams.flink.order import Order, layout_of
from streams.flink.packs import MARK, NOTHING
from streams.pseudonyms import load_pseudonyms
from streams.tasks.inputs import load_tables, tables_of
from tests.streams.faust.shop_runs import topology_in
from tocsin.compiler import compile_topology
from tocsin.language import loads

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt


class MapState(dict[bytes, bytes]):
    """A map state of Flink, of one key."""

    def put(self, key: bytes, value: bytes) -> None:
        self[key] = value

    def remove(self, key: bytes) -> None:
        del self[key]


def pack(
    values: Sequence[bytes | None],
    offsets: npt.NDArray[np.int64],
    stamps: npt.NDArray[np.int64],
    keys: Sequence[bytes | None],
) -> bytes:
    """Lay records out as the reader of a job does."""
    lengths = [[NOTHING if one is None else len(one) for one in column] for column in (values, keys)]
    blob = b"".join((value or b"") + b"\n" for value in values)
    columns = [(offsets, "<i8"), (stamps, "<i8"), *((column, "<i4") for column in lengths)]
    head = np.array([MARK, len(values), len(blob), 0], "<i4")
    laid = b"".join(np.asarray(column, form).tobytes() for column, form in columns)
    return head.tobytes() + laid + blob + b"".join(filter(None, keys))


def order_of(text: str, folder: Path, partitions: int, shards: int) -> Order:
    """Give a job over the payments of a shop, whose broker nobody asks."""
    plan = compile_topology(loads(text, str(topology_in(folder, text))))
    cut = {"payments": partitions}
    return Order(
        plan,
        run="r",
        group="g",
        servers="127.0.0.1:1",
        topics={"payments": "p"},
        partitions=cut,
        shards=shards,
        letters=folder / "letters",
        fingerprint=load_pseudonyms().fingerprint,
        keys={name: key for key, name in enumerate(sorted(layout_of(plan, cut, shards).tasks))},
        tables=load_tables(plan, tables_of(plan, {}, ""), folder, load_pseudonyms()).tables,
    )
