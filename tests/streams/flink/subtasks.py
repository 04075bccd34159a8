"""Subtasks of a job without Flink: what they are told, and where their state is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.flink.order import Order, layout_of
from streams.pseudonyms import load_pseudonyms
from streams.tasks.inputs import load_tables, tables_of
from tests.streams.faust.shop_runs import topology_in
from tocsin.compiler import compile_topology
from tocsin.language import loads

if TYPE_CHECKING:
    from pathlib import Path


class MapState(dict[bytes, bytes]):
    """A map state of Flink, of one key."""

    def put(self, key: bytes, value: bytes) -> None:
        self[key] = value

    def remove(self, key: bytes) -> None:
        del self[key]


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
