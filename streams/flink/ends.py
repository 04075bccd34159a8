"""Whether a partition has nothing more to read: asked of the broker, for those that have been silent.

Records that Flink has fetched and that are on their way count as not read: the question begins where the task is.
"""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any

from tocsin.kafka import client_settings, confluent, make_client

if TYPE_CHECKING:
    from collections.abc import Mapping

FETCH_WAIT_MS = 10
"""How long a broker holds a question to which it has no record; nothing else happens in the subtask meanwhile."""
SECONDS = 1.0
"""How long a broker may take to answer; who does not answer has more."""


@dataclass(slots=True)
class Ends:
    """Asks about partitions of topics; one thread at a time."""

    servers: str
    _client: Any = None

    def left(self, taken: Mapping[tuple[str, int], int]) -> dict[tuple[str, int], int]:
        """Give 0 for each partition whose log ends at the offset, and 1 for others; `taken`: offset by (topic, number).

        A log may end in marks of transactions, which are no records.
        """
        return {tp: int(not self._at_end(*tp, offset)) for tp, offset in taken.items()}

    def _at_end(self, topic: str, partition: int, offset: int) -> bool:
        module = confluent()
        if self._client is None:
            settings = client_settings(self.servers)
            words = {"group.id": "tocsin-ends", "enable.auto.commit": False, "enable.partition.eof": True}
            quick = {"auto.offset.reset": "earliest", "fetch.wait.max.ms": FETCH_WAIT_MS}
            self._client = make_client("Consumer", {**settings, **words, **quick})
        self._client.assign([module.TopicPartition(topic, partition, offset)])
        until = monotonic() + SECONDS
        while (found := self._client.poll(max(0.0, until - monotonic()))) is not None:
            if (found.topic(), found.partition()) != (topic, partition):
                continue  # an answer to the question before
            error = found.error()
            return error is not None and error.code() == module.KafkaError._PARTITION_EOF  # noqa: SLF001  # its public name
        return False

    def close(self) -> None:
        """Let go of the client."""
        if self._client is not None:
            self._client.close()
            self._client = None
