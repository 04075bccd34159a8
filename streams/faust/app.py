"""The Faust application of one worker: agents over batched topics, a table with a changelog beside each of them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import faust
from aiokafka.errors import MessageSizeTooLargeError

from streams.faust.transport import SCHEME, Whole, register
from tocsin.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping
    from pathlib import Path

    from streams.faust.hosting import Hosting
    from streams.faust.transport import BatchedConsumer

BUFFERED = 4
"""Batches that wait for an agent."""
FETCHED_ROWS = 20_000
METADATA_MS = 10_000
"""A broker that comes back may not know its topics yet; a group that assigned nothing then asks again so soon."""
RECOVERED_AT_ONCE = 20
"""Values of a changelog that are applied together: they are large."""


LIVENESS = {"broker_session_timeout": 10.0, "broker_heartbeat_interval": 3.0}
"""Seconds after which the partitions of a worker that is gone are given to others; Faust's own are 60 and 3."""


def make_app(group: str, servers: str, folder: Path, credentials: Any, **settings: Any) -> faust.App:  # noqa: ANN401
    """Make the application of a consumer group. `servers`: host:port, separated by commas; `settings`: Faust's."""
    register()
    return faust.App(
        group,
        broker=";".join(f"{SCHEME}://{server}" for server in servers.split(",")),
        broker_credentials=credentials,
        store="memory://",
        datadir=str(folder),
        autodiscover=False,
        topic_allow_declare=False,  # streams/faust/topics.py makes them, with what they need
        topic_disable_leader=True,
        stream_wait_empty=False,
        stream_buffer_maxsize=BUFFERED,
        stream_recovery_delay=0.0,
        broker_max_poll_records=FETCHED_ROWS,
        broker_check_crcs=False,
        broker_commit_interval=1.0,
        consumer_auto_offset_reset="earliest",
        consumer_metadata_max_age_ms=METADATA_MS,
        producer_compression_type=None,  # what is large is compressed where it is made, beside the event loop
        producer_linger=0.0,
        producer_max_request_size=4 << 20,
        worker_redirect_stdouts=False,
        **(LIVENESS | settings),
    )


def changelog_of(group: str, topic: str) -> str:
    """Name the changelog of the table beside a topic."""
    return f"{group}-{topic}-changelog"


class FaustWire:
    """What tasks need of the application (`wire.Wire`)."""

    def __init__(self, app: faust.App, partitions: Mapping[str, int], exchange: str) -> None:
        self._app = app
        self._exchange = exchange
        self._tables: dict[str, Any] = {
            topic: app.Table(
                topic, key_type=bytes, value_type=bytes, partitions=number, recovery_buffer_size=RECOVERED_AT_ONCE
            )
            for topic, number in partitions.items()
        }

    def table(self, topic: str) -> MutableMapping[bytes, bytes]:
        """Give the values of the table beside a topic."""
        values: MutableMapping[bytes, bytes] = self._tables[topic].data.data
        return values

    async def put(self, topic: str, partition: int, entries: Mapping[bytes, bytes | None]) -> None:
        """Write values (None deletes) to the changelog, wait until the broker has them; then they are in the table."""
        changelog = self._tables[topic].changelog_topic.get_topic_name()
        try:
            futures = [
                await self._app.producer.send(changelog, key, value, partition, None, None)
                for key, value in entries.items()
            ]
            await asyncio.gather(*futures)
        except MessageSizeTooLargeError as error:
            most = max(len(value or b"") for value in entries.values())
            raise StateError(
                f"the broker takes no message of {most} bytes into {changelog}: raise its max.message.bytes"
            ) from error
        store = self._tables[topic].data
        for key, value in entries.items():
            if value is None:
                store.data.pop(key, None)
            else:
                store.data[key] = value
                store._key_partition[key] = partition  # noqa: SLF001  # so that it goes when the partition does

    async def send(self, shard: int, packet: bytes) -> Any:  # noqa: ANN401  # aiokafka has no types
        """Send a packet to a shard."""
        return await self._app.producer.send(self._exchange, None, packet, shard, None, None)

    async def left(self, taken: Mapping[Any, int]) -> Mapping[Any, int]:
        """Ask the broker how far the logs of partitions go on behind what was taken; 0 or less where no record is."""
        return await cast("BatchedConsumer", self._app.consumer).left(taken)

    def hold(self, held: frozenset[Any]) -> None:
        """Fetch nothing more of these partitions, until other ones are named; what was fetched of them still comes."""
        cast("BatchedConsumer", self._app.consumer).held = held

    def seen(self, tp: Any) -> int | None:  # noqa: ANN401  # Faust's TP
        """Give where the log of a partition ended when it was last fetched; None if nothing of it was."""
        try:
            end: int | None = self._app.consumer.highwater(tp)
        except (AssertionError, LookupError):  # of the client: it is not ours, or not yet
            return None
        return end

    def committed(self, tp: Any) -> int | None:  # noqa: ANN401  # Faust's TP
        """Give the group's offset of a partition."""
        offset: int | None = cast("BatchedConsumer", self._app.consumer).committed(tp)
        return offset

    @property
    def generation(self) -> int:
        """The generation of the consumer group."""
        return int(self._app.consumer_generation_id)


def add_agents(app: faust.App, hosting: Hosting) -> None:
    """Let an agent per batched topic feed the tasks; whatever one raises ends the worker."""
    cast("Any", app).hosting = hosting
    for topic in sorted(hosting.topics):
        channel = app.topic(topic, schema=Whole())

        async def feed(stream: Any) -> None:  # noqa: ANN401  # Faust's stream
            try:
                async for event in stream.noack().events():
                    await hosting.take(event)
            except asyncio.CancelledError:
                raise
            except BaseException as error:  # noqa: BLE001  # by default Faust would acknowledge the batch and go on
                await hosting.fail(error)

        app.agent(channel, name=f"tocsin.{topic}")(feed)
