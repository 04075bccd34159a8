"""What tasks have to say to whoever started the job: that they are through, why nobody can go on, what they count.

They say it on a topic of the group, outside of Flink's transactions; `run` tells the words of one run from others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from monitoring.snapshots import Snapshot  # noqa: TC001  # msgspec reads the annotations
from tocsin.errors import SourceError
from tocsin.kafka import client_settings, confluent, make_client

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS = 10.0
SETTINGS = {"retention.ms": "3600000", "segment.ms": "600000", "segment.bytes": str(64 << 20)}
"""Of the topic; what is in the segment that is being written does not go."""


class Word(msgspec.Struct, frozen=True, omit_defaults=True):
    """One word.

    `attempt`: how often the job had been restarted, which subtasks say as they begin anew. `through`: the task that is.
    `refused`, `error`: a sentence, and the name of the error with it. `subtask`, `recorded`: the metrics of a subtask
    since it was started.
    """

    run: str
    attempt: int = 0
    through: str = ""
    refused: str = ""
    error: str = ""
    subtask: str = ""
    recorded: Snapshot | None = None


_WORD = msgspec.json.Decoder(Word)


def words_of(group: str) -> str:
    """Name the topic of words."""
    return f"{group}-words"


class Listener:
    """Reads the words of one run from now on, or of all of them, where it is ""; SourceError if no broker answers."""

    def __init__(self, servers: str, topic: str, run: str) -> None:
        module = confluent()
        self._run = run
        words = {"group.id": "tocsin-words", "enable.auto.commit": False}
        self._client: Any = make_client("Consumer", {**client_settings(servers), **words}, SourceError)
        place = module.TopicPartition(topic, 0)
        try:
            _, end = self._client.get_watermark_offsets(place, timeout=SECONDS)
        except module.KafkaException as error:
            self.close()
            raise SourceError(f"{topic} at {servers} cannot be read: {error}") from error
        self._client.assign([module.TopicPartition(topic, 0, end)])

    def hear(self, seconds: float) -> Iterator[Word]:
        """Give what has come, waiting a while."""
        for message in self._client.consume(100, seconds):
            if message.error() is None and message.value():
                word = _WORD.decode(message.value())
                if self._run in {"", word.run}:
                    yield word

    def close(self) -> None:
        """Let go of the client."""
        self._client.close()


def say(servers: str, topic: str, word: Word) -> None:
    """Say a word at once, past Flink: what goes through it may get lost with a job that fails."""
    client: Any = make_client("Producer", client_settings(servers), SourceError)
    client.produce(topic, msgspec.json.encode(word))
    client.flush(SECONDS)


def refuse(servers: str, topic: str, run: str, error: Exception) -> None:
    """Say why nobody can go on."""
    say(servers, topic, Word(run, refused=str(error), error=type(error).__name__))
