"""The runtime `local` over a topic, as `tocsin run --kafka` carries it out: `python -m bench.kafka_local`."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from bench.kafka_job import Clock, Order, Took, ordered, tell
from streams.local.runner import Settings
from streams.local.running import Order as RunOrder
from streams.local.running import carry_out
from tocsin.cli.files import load_plan

LOOK_SECONDS = 0.1
_TASKS = Path("/proc/self/task")
_NUMBER = re.compile(r"[-_]\d+$")


@dataclass
class Watch:
    """Starts the clock where the run asks for the first time whether to stop: then it has just begun to fetch."""

    threads: bool
    clock: Clock | None = None
    used: dict[int, tuple[str, float]] = field(default_factory=dict)
    _before: dict[int, tuple[str, float]] = field(default_factory=dict)
    _looked: float = 0.0

    def stop(self) -> bool:
        """Never stop."""
        if self.clock is None:
            self.clock, self._before = Clock(), used_by_thread()
        if self.threads and time.monotonic() > self._looked + LOOK_SECONDS:
            self._looked = time.monotonic()
            self.used |= used_by_thread()
        return False

    def by_name(self) -> dict[str, float]:
        """Give the seconds that threads of one name have used since the clock started."""
        found: Counter[str] = Counter()
        for number, (name, seconds) in self.used.items():
            found[name] += seconds - self._before.get(number, (name, 0.0))[1]
        return dict(found.most_common())


def used_by_thread() -> dict[int, tuple[str, float]]:
    """Give name and processor seconds of every thread of this process, those of libraries too (Linux)."""
    ours = {thread.native_id: thread.name for thread in threading.enumerate()}
    found = {}
    for task in _TASKS.iterdir():
        with suppress(OSError):  # it has just ended
            seconds = int((task / "schedstat").read_text(encoding="ascii").split()[0]) / 1e9
            number, name = int(task.name), (task / "comm").read_text(encoding="ascii").strip()
            found[number] = (_NUMBER.sub("", ours.get(number, name)), seconds)
    return found


def run(order: Order) -> Took:
    """Run until the end of the order, with state, early copies off, alerts to a topic."""
    topology, watch = Path(order.topology), Watch(order.threads)
    settings = Settings(until=order.until, stop=watch.stop)
    source, sink = (f"kafka://{order.servers}/{topic}" for topic in (order.topic, order.alerts))
    state = Path(order.folder) / "local"
    summary = carry_out(
        RunOrder(load_plan(topology), topology, {"payments": source}, (sink,), state, settings=settings)
    )
    if watch.clock is None or not summary.flushed:
        raise RuntimeError(f"the run is not through: {summary.troubles}")
    watch.used |= used_by_thread()
    return watch.clock.took(summary.records, watch.by_name() if order.threads else {})


if __name__ == "__main__":
    tell(run(ordered()))
