"""`dlq --from kafka://…`: dead letters that lie in a topic."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from shop import BEGIN, payment, write_shop

from streams.dead_letters import DeadLetterStore
from streams.kafka.dead_letters import DeadLetterTopic
from tocsin.kafka import KafkaAddress

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Said

    from tests.servers.fixtures import Topics

    Say = Callable[..., Said]

RUN = (
    "run",
    "shop.yaml",
    "--source",
    "payments=ndjson:payments.ndjson",
    "--state",
    "state",
    "--sink",
    "ndjson:a.ndjson",
)


@pytest.fixture
def address(say: Say, kafka: str, kafka_topics: Topics, tmp_path: Path) -> str:
    """Run over a record that comes too late, and move its letter into a topic."""
    write_shop(tmp_path, 10)
    lines = [payment(1, BEGIN, "a"), payment(2, BEGIN + 3_600_000, "a"), payment(3, BEGIN + 1000, "late", "600")]
    (tmp_path / "payments.ndjson").write_bytes(b"\n".join([*lines, b"{"]) + b"\n")
    assert say(*RUN).code == 0
    topic = kafka_topics()
    letters = DeadLetterStore(tmp_path / "state" / "dead").letters()
    store = DeadLetterTopic(KafkaAddress(kafka, topic))
    store.put(letters.drop("recorded_at"), 77)
    store.close()
    for file in (tmp_path / "state" / "dead").iterdir():
        file.unlink()
    return f"kafka://{kafka}/{topic}"


class TestTopics:
    def test_list_show_and_replay(self, say: Say, address: str) -> None:
        listed = say("dlq", "list", "--from", address)
        assert listed.code == 1
        assert "1  payments: late, first at offset 2" in listed.out
        shown = say("dlq", "show", "payments", 2, "--from", address)
        assert '"card": "late"' in shown.out
        replayed = say("dlq", "replay", "payments", "--state", "state", "--from", address, "--json")
        assert replayed.code == 1
        assert replayed.json["taken"] == 2
        assert [row["level"] for row in replayed.json["more"]] == ["red"]

    def test_wrong_words_are_told(self, say: Say, address: str) -> None:
        assert "give --state or --from" in say("dlq", "list", "--state", "state", "--from", address).err
        assert "does not exist" in say("dlq", "list", "--from", f"{address}.none").err
        assert "is no Kafka address" in say("dlq", "list", "--from", "http://host/x").err
        assert "unknown option 'since'" in say("dlq", "list", "--from", f"{address}?since=1").err
