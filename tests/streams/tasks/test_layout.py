"""Where stages stand: in one layer of shards, or in several that never send back."""

from __future__ import annotations

from streams.tasks.layout import SHARD, lay_out, sender_of
from tocsin.compiler import compile_topology
from tocsin.language import loads

TEXT = """
topology: {name: t}
streams:
  calls:
    topic: calls.v1
    id: call_id
    time: {field: at, lateness: 1s}
    fields: {call_id: string, at: timestamp, caller: string, cell: string}
features:
  callers:
    from: calls
    by: caller
    windows: {tumbling 1m: {calls: count(), cell: last(cell)}}
  cells:
    from: callers
    by: cell
    windows: {tumbling 1m: {callers: count()}}
rules:
  busy:
    from: callers
    levels: {red: calls >= 3}
    says: "{calls}"
  crowded:
    from: cells
    levels: {red: callers >= 3}
    says: "{callers}"
"""
PLAN = compile_topology(loads(TEXT, "t.yaml"))


class TestLayers:
    def test_what_reads_by_another_key_stands_behind(self) -> None:
        layout = lay_out(PLAN, {"calls": 2}, 3, layered=True)
        assert [[stage.name for stage in stages] for stages in layout.layers] == [
            ["callers", "rule busy"],
            ["cells", "rule crowded"],
        ]
        assert layout.read == [{"calls"}, {"callers"}]
        assert layout.slots == range(6)
        assert layout.senders(0) == {"calls": {sender_of("calls", 0), sender_of("calls", 1)}}
        assert layout.senders(1) == {"callers": {sender_of(SHARD, slot) for slot in range(3)}}

    def test_one_layer_sends_to_itself(self) -> None:
        layout = lay_out(PLAN, {"calls": 2}, 3)
        assert [[stage.name for stage in stages] for stages in layout.layers] == [
            ["callers", "cells", "rule busy", "rule crowded"]
        ]
        assert layout.senders(0)["callers"] == {sender_of(SHARD, slot) for slot in range(3)}
