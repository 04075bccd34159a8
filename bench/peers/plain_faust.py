"""Faust as its documentation shows it: an agent that takes event after event. `python -m bench.peers.plain_faust`.

The windows of a partition are those of the plain loop. Where the order says `kept`, a table with a changelog holds the
open window of each key, as an application that survives its end would have it.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import faust
import msgspec

from bench.kafka_cluster import PARTITIONS
from bench.kafka_job import Clock, Order, ordered, tell
from bench.peer import SIZE, Event
from bench.peers.loop import Sending

if TYPE_CHECKING:
    from bench.peer import Alert


class Alerts:
    """Keeps what is to be sent until the agent has time to."""

    def __init__(self) -> None:
        self.waiting: list[Alert] = []

    def put(self, alert: Alert) -> None:
        """Keep one."""
        self.waiting.append(alert)

    def take(self) -> list[Alert]:
        """Give what waits."""
        taken, self.waiting = self.waiting, []
        return taken


def application(order: Order) -> faust.App:
    """Make the application; the agent ends it when it has seen all records."""
    app = faust.App(
        f"plain-{order.topic}",
        broker=f"kafka://{order.servers}",
        store="memory://",
        datadir=f"{order.folder}/plain-faust",
        topic_partitions=PARTITIONS,
        topic_replication_factor=1,
        web_enabled=False,
        consumer_auto_offset_reset="earliest",
        producer_compression_type="lz4",
        worker_redirect_stdouts=False,
    )
    payments = app.topic(order.topic, key_type=bytes, value_type=bytes, value_serializer="raw")
    alerts = app.topic(order.alerts, value_serializer="raw")
    sums = app.Table("sums", partitions=PARTITIONS, default=list)
    found = Alerts()
    sending = Sending(order, found.put)
    decode, encode = msgspec.json.Decoder(Event).decode, msgspec.json.Encoder().encode

    async def send() -> None:
        sending.send_new()
        sent = [await alerts.send(key=alert.key, value=encode(alert)) for alert in found.take()]
        await asyncio.gather(*sent)

    @app.agent(payments)
    async def watch(stream: Any) -> None:  # noqa: ANN401  # Faust's stream
        clock, read = None, 0
        async for message in stream.events():
            clock = clock or Clock()
            event = decode(message.value)
            partition = sending.of(message.message.partition)
            due = partition.due
            partition.take(event)
            if order.kept:
                end = event.at // SIZE * SIZE + SIZE
                sums[event.key] = [end, *partition.watch.windows.get(end, {}).get(event.key, [0, 0])]
            read += 1
            if partition.due > due:
                await send()
            if read == order.records:
                sending.finish()
                await send()
                tell(clock.took(read))
                os._exit(0)  # the rest of its end is not measured

    return app


def main() -> None:
    """Be a worker until all records are read."""
    order = ordered()
    worker = faust.Worker(application(order), loglevel="WARN", redirect_stdouts=False, quiet=True)
    worker.spinner = None
    worker.execute_from_commandline()


if __name__ == "__main__":
    main()
