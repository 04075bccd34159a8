"""Which topics there are: the first question to brokers, so also where it shows that they are away or refuse us."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tocsin.kafka import confluent

if TYPE_CHECKING:
    from collections.abc import Callable

    from confluent_kafka import KafkaError, Producer
    from confluent_kafka.admin import AdminClient

    from tocsin.errors import TocsinError

SECONDS = 20.0
"""How long brokers may take that are there."""
TROUBLED_SECONDS = 3.0
"""How long that is tried where the client knows what is wrong: a connection or a log-in that is refused."""


def topic_names(
    client: Producer | AdminClient, servers: str, trouble: Callable[[], KafkaError | None], error: type[TocsinError]
) -> dict[str, int]:
    """Give the topics that we may see, and how many partitions each has; `error` if the brokers do not answer.

    `trouble`: what the client noted last through its `error_cb`.
    """
    refused = confluent(error).KafkaException
    began = time.monotonic()
    while True:
        try:
            topics = client.list_topics(timeout=1.0).topics
        except refused as why:
            client.poll(0)
            waited = time.monotonic() - began
            if waited < (SECONDS if trouble() is None else TROUBLED_SECONDS):
                continue
            noted = trouble() or why.args[0]
            raise error(f"the Kafka brokers at {servers} do not answer: {noted.str()}") from None
        return {name: len(topic.partitions) for name, topic in topics.items()}
