"""The runtime `local` over a topic, as `tocsin run --kafka` carries it out: `python -m bench.kafka_local`."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from bench.kafka_job import Clock, Order, Took, ordered, tell
from streams.local.runner import Settings
from streams.local.running import Order as RunOrder
from streams.local.running import carry_out
from tocsin.cli.files import load_plan


@dataclass
class Watch:
    """Starts the clock where the run asks for the first time whether to stop: then it has just begun to fetch."""

    threads: bool
    clock: Clock | None = None
    used: dict[str, float] = field(default_factory=dict)

    def stop(self) -> bool:
        """Never stop."""
        if self.clock is None:
            self.clock = Clock()
        if self.threads:
            self.look()
        return False

    def look(self) -> None:
        """Note what every thread of Python has used so far."""
        for thread in threading.enumerate():
            if thread.ident is not None:
                self.used[thread.name] = time.clock_gettime(time.pthread_getcpuclockid(thread.ident))


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
    return watch.clock.took(summary.records, watch.used)


if __name__ == "__main__":
    tell(run(ordered()))
