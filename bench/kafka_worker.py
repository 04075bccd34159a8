"""A worker of the runtime `faust` that notes when it did what: `python -m bench.kafka_worker ORDER NUMBER`.

It is the worker of `streams.faust.worker`, with a line of JSON in `notes-NUMBER.ndjson` beside the order for each
assignment, for the batches of records it took, and for each time a sink confirmed something.
"""

from __future__ import annotations

import os
import sys
import time
from functools import wraps
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

import msgspec

from bench.kafka_job import processor_seconds
from streams.faust import worker
from streams.faust.order import Order
from streams.faust.outlets import Outlets
from streams.faust.transport import BatchedConsumer, BatchedThread
from streams.tasks.source_task import SourceTask

if TYPE_CHECKING:
    from collections.abc import Callable

COMMAND = (sys.executable, "-m", "bench.kafka_worker")
What = Literal["fetching", "assigned", "taken", "delivered", "ended"]


class Note(msgspec.Struct, frozen=True):
    """What happened. `at`: of the machine's monotonic clock; `cpu`: seconds of the process so far.

    `partitions`: of the stream, that were assigned or of which records were taken; `records`: how many.
    """

    what: What
    at: float
    cpu: float
    partitions: list[int] = []
    records: int = 0


def notes_of(folder: Path, number: int) -> list[Note]:
    """Read the notes of a worker, as far as they go."""
    file = folder / f"notes-{number}.ndjson"
    whole = [line for line in file.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
    return [msgspec.json.decode(line, type=Note) for line in whole]


class Notes:
    """Writes notes."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._fetching = False

    def put(self, what: What, partitions: list[int] | None = None, records: int = 0) -> None:
        """Write one."""
        note = Note(what, time.monotonic(), processor_seconds(), partitions or [], records)
        self._file.write(msgspec.json.encode(note) + b"\n")
        self._file.flush()

    def fetching(self) -> None:
        """Note that records are asked for, the first time."""
        if not self._fetching:
            self._fetching = True
            self.put("fetching")


def watch(notes: Notes, streams: set[str]) -> None:
    """Put notes around what the worker does. `streams`: the topics whose partitions count."""
    fetch, assigned = BatchedThread._fetch_records, BatchedConsumer.on_partitions_assigned  # noqa: SLF001  # to look on
    took, collect = SourceTask.took, Outlets.collect

    @wraps(fetch)
    async def fetching(self: Any, consumer: Any, active_partitions: Any, **limits: Any) -> Any:  # noqa: ANN401
        if self.consumer.gate_open and any(tp.topic in streams for tp in active_partitions):
            notes.fetching()
        return await fetch(self, consumer, active_partitions, **limits)

    @wraps(assigned)
    async def assigning(self: Any, given: Any, *rest: Any, **more: Any) -> None:  # noqa: ANN401
        notes.put("assigned", sorted(tp.partition for tp in given if tp.topic in streams))
        await assigned(self, given, *rest, **more)

    @wraps(took)
    def taking(self: Any, done: Any, end: int) -> Any:  # noqa: ANN401
        rows = took(self, done, end)
        notes.put("taken", [self.partition], done.counts.records)
        return rows

    @wraps(collect)
    def collecting(self: Any) -> Any:  # noqa: ANN401
        moved = collect(self)
        if moved:
            notes.put("delivered")
        return moved

    _put(BatchedThread, "_fetch_records", fetching)
    _put(BatchedConsumer, "on_partitions_assigned", assigning)
    _put(SourceTask, "took", taking)
    _put(Outlets, "collect", collecting)


def _put(kind: type, name: str, call: Callable[..., Any]) -> None:
    setattr(kind, name, call)


def main() -> int:
    """Be a worker."""
    path, number = Path(sys.argv[1]), int(sys.argv[2])
    order = Order.read(path)
    with (path.parent / f"notes-{number}.ndjson").open("ab") as file:
        notes = Notes(file)
        watch(notes, set(order.topics.values()))
        code = worker.main()
        notes.put("ended")
    return code


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # as streams.faust.worker ends
