"""What tasks have to say to whoever started the job: that they are through, or why nobody can go on.

They say it on a topic of the group, outside of Flink's transactions; `run` tells the words of one run from others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from tocsin.errors import SourceError
from tocsin.kafka import client_settings, confluent, make_client

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS = 10.0
KEPT_MS = 3_600_000


class Word(msgspec.Struct, frozen=True, omit_defaults=True):
    """One word.

    `attempt`: how often the job had been restarted. `through`: the task that is. `refused`, `error`: a sentence, and
    the name of the error with it.
    """

    run: str
    attempt: int = 0
    through: str = ""
    refused: str = ""
    error: str = ""


def words_of(group: str) -> str:
    """Name the topic of words."""
    return f"{group}-words"


def make_topic(servers: str, topic: str) -> None:
    """Make the topic, if it is not there; SourceError if that cannot be."""
    module = confluent()
    admin = make_client("AdminClient", client_settings(servers), SourceError)
    made = _new_topics().NewTopic(topic, 1, -1, config={"retention.ms": str(KEPT_MS)})
    done = admin.create_topics([made], request_timeout=SECONDS)
    try:
        done[topic].result(SECONDS)
    except module.KafkaException as error:
        if error.args[0].code() != module.KafkaError.TOPIC_ALREADY_EXISTS:
            raise SourceError(f"the topic {topic} cannot be made at {servers}: {error.args[0].str()}") from error


def _new_topics() -> Any:  # noqa: ANN401  # a package that may be absent
    import importlib  # noqa: PLC0415  # as above

    return importlib.import_module("confluent_kafka.admin")


class Listener:
    """Reads the words of one run, from before it was started on."""

    def __init__(self, servers: str, topic: str, run: str) -> None:
        module = confluent()
        self._run = run
        words = {"group.id": "tocsin-words", "enable.auto.commit": False}
        self._client: Any = make_client("Consumer", {**client_settings(servers), **words}, SourceError)
        place = module.TopicPartition(topic, 0)
        _, end = self._client.get_watermark_offsets(place, timeout=SECONDS)
        self._client.assign([module.TopicPartition(topic, 0, end)])

    def hear(self, seconds: float) -> Iterator[Word]:
        """Give what has come, waiting a while."""
        for message in self._client.consume(100, seconds):
            if message.error() is None and message.value():
                word = msgspec.json.decode(message.value(), type=Word)
                if word.run == self._run:
                    yield word

    def close(self) -> None:
        """Let go of the client."""
        self._client.close()


class Speaker:
    """Says a word at once, where the job itself cannot because it is about to fail."""

    def __init__(self, servers: str, topic: str, run: str) -> None:
        self._servers, self._topic, self._run = servers, topic, run

    def refuse(self, error: Exception) -> None:
        """Say why nobody can go on."""
        word = Word(self._run, refused=str(error), error=type(error).__name__)
        client: Any = make_client("Producer", client_settings(self._servers), SourceError)
        client.produce(self._topic, msgspec.json.encode(word))
        client.flush(SECONDS)
