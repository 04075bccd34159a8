"""Quix Streams as its documentation shows it, in an environment of its own: `python -m bench.peers.quix`.

Windows with a grace of the lateness, closed by the time of the partition, in its own store with changelogs; alerts from
the state of each key. Windows that nothing closes, and alerts that silence would end, are not given.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from typing import Any

from quixstreams import Application  # type: ignore[import-not-found]  # in an environment of its own
from quixstreams.dataframe.windows import Count, Sum  # type: ignore[import-not-found]  # as above

SIZE, LATENESS, KEEP = 10_000, 2_000, 60_000
"""Milliseconds, as of bench/peer.py, which is not in this environment."""


class Clock:
    """Wall and processor time since the first record."""

    def __init__(self) -> None:
        self.begun = self.used = 0.0

    def event_time(self, value: Any, *_: Any) -> int:  # noqa: ANN401  # the signature of Quix
        """Give the event time of a record."""
        if not self.begun:
            self.begun, self.used = time.perf_counter(), processor_seconds()
        return int(value["at"])


def processor_seconds() -> float:
    """Give the user and system time of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def judge(window: dict[str, Any], key: str, state: Any, most: int) -> list[dict[str, Any]]:  # noqa: ANN401  # Quix's
    """Give what is to be said of a closed window: an alert per key until the key is no longer above, or silent."""
    now, above = window["end"] - 1, window["cents"] > most
    due, told = state.get("due"), []
    if due is not None and (due < now or not above):
        told.append({"time": min(due, now), "key": key, "kind": "cleared", "payments": 0, "cents": 0})
        state.delete("due")
        due = None
    if above:
        if due is None:
            numbers = {"payments": window["payments"], "cents": window["cents"]}
            told.append({"time": now, "key": key, "kind": "raised", **numbers})
        state.set("due", now + KEEP)
    return told


def run(order: dict[str, Any]) -> dict[str, Any]:
    """Read all records."""
    app = Application(
        order["servers"],
        consumer_group=f"quix-{order['topic']}",
        auto_offset_reset="earliest",
        state_dir=f"{order['folder']}/quix",
        loglevel="ERROR",
        producer_extra_config={"compression.codec": "lz4", "enable.idempotence": True},
    )
    clock, most = Clock(), order["most"] * 100
    payments = app.topic(order["topic"], key_deserializer="str", timestamp_extractor=clock.event_time)
    alerts = app.topic(order["alerts"], key_serializer="str")
    stream = app.dataframe(payments)
    stream = stream.apply(lambda event: {"cents": round(event["amount"] * 100)})
    windows = stream.tumbling_window(SIZE, grace_ms=LATENESS).agg(payments=Count(), cents=Sum("cents"))
    closed = windows.final(closing_strategy="partition")
    said = closed.apply(
        lambda window, key, _, __, state: judge(window, key, state, most), stateful=True, metadata=True, expand=True
    )
    said.to_topic(alerts)
    app.run(count=order["records"], timeout=60.0)
    took = time.perf_counter() - clock.begun
    return {"records": order["records"], "seconds": took, "cpu": processor_seconds() - clock.used, "threads": {}}


if __name__ == "__main__":
    print(json.dumps(run(json.load(sys.stdin))))
