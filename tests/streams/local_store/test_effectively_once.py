"""Store, outbox, delivery and file together: crashes at any point leave every transition in the file once, in order."""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from sinks import ndjson
from sinks.delivery import Delivery, Progress
from sinks.file import FileSink
from sinks.where import Where
from streams.local.outbox import Outbox
from streams.local.snapshot import Snapshot
from streams.local.store import Store
from tocsin.model.alerts import TRANSITIONS

LOG_LENGTH = 12
PASSING = Where(pl.col("level") == "red")


def row(position: int) -> dict[str, object]:
    """Give the transition at a position: of three alerts in turn, each red at first and cleared with its fourth."""
    alert, sequence = position % 3, position // 3 + 1
    last = sequence == LOG_LENGTH // 3
    texts = {name: "" for name, kind in TRANSITIONS.items() if kind == pl.String()}
    return texts | {
        "alert_id": f"alert {alert}",
        "sequence": sequence,
        "kind": "cleared" if last else "updated",
        "level": "clear" if last else ("red" if alert < 2 and sequence == 2 else "blue"),
        "time": position,
        "evidence": [],
        "early": False,
    }


def batch(start: int, end: int) -> pl.DataFrame:
    return pl.DataFrame([row(position) for position in range(start, end)], schema=TRANSITIONS, orient="row")


def life(folder: str, steps: list[tuple[int, bool, bool]]) -> None:
    """Run until the steps are used up, then crash: nothing is flushed, closed properly or committed.

    A step decides `count` transitions, commits them if it says so, and then lets the sink catch up if it says so.
    """
    with Store.open(f"{folder}/state", "h") as store:
        loaded = store.load() or Snapshot({})
        outbox = Outbox(loaded.outbox, loaded.outbox_end)
        progress = loaded.sinks.get("file", Progress())
        sink = FileSink(f"{folder}/alerts.ndjson")
        delivery = Delivery("file", sink, where=PASSING, progress=progress)
        delivery.start()
        durable = outbox.end
        for count, commits, catches_up in steps:
            outbox.append(batch(outbox.end, min(outbox.end + count, LOG_LENGTH)))
            if commits:
                outbox.trim(delivery.delivered)
                sinks = {"file": delivery.progress}
                store.commit(Snapshot({}, outbox=outbox.chunks, outbox_end=outbox.end, sinks=sinks))
                durable = outbox.end
            for chunk in outbox.since(delivery.offered, durable):
                assert delivery.offer(chunk.rows, chunk.end)
            if catches_up:
                while delivery.delivered < durable:
                    delivery.check()
                    time.sleep(0.001)
        delivery.close(deadline=0.0 if steps else 10.0)


class TestEffectivelyOnce:
    """Whatever crashed when, the file is that of an undisturbed run."""

    @given(
        st.lists(
            st.lists(st.tuples(st.integers(0, 4), st.booleans(), st.booleans()), min_size=1, max_size=4), max_size=3
        )
    )
    @settings(max_examples=20, deadline=None)
    def test_the_file_holds_each_transition_that_passes_once(self, lives: list[list[tuple[int, bool, bool]]]) -> None:
        with TemporaryDirectory() as folder:
            for steps in [*lives, [(LOG_LENGTH, True, True)]]:
                life(folder, steps)
            written = ndjson.decode(Path(folder, "alerts.ndjson").read_bytes().splitlines())
        everything = PASSING.through(batch(0, LOG_LENGTH), Where.nothing_passed()).rows
        assert written["time"].to_list() == everything["time"].to_list()
        assert 0 < written.height < LOG_LENGTH
