"""`tocsin plan --runtime flink`: the job as text, for people and for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from shop import TOPOLOGY

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Said

    Say = Callable[..., Said]


@pytest.fixture(autouse=True)
def _shop(tmp_path: Path) -> None:
    (tmp_path / "shop.yaml").write_text(TOPOLOGY)


def test_it_shows_operators_and_topics(say: Say) -> None:
    said = say("plan", "shop.yaml", "--runtime", "flink", "--sink", "kafka://h:1/alerts", "--parallelism", 3)
    assert said.code == 0
    assert "tocsin shop (tocsin-shop)\n  parallelism 3, 8 shards, 128 key groups" in said.out
    assert "reads shop.payment.v1, the stream payments" in said.out
    assert "  topic     shop.payment.v1\n    bootstrap.servers = " in said.out
    assert "  topic     alerts, in transactions\n    bootstrap.servers = h:1\n" in said.out


def test_programs_get_the_same_as_json(say: Say) -> None:
    words = ("--kafka", "k1:9092", "--partitions", "payments=5", "--buckets", 7, "--group", "g", "--json")
    job = say("plan", "shop.yaml", "--runtime", "flink", *words).json
    assert (job["job"], job["shards"], job["key_groups"]) == ("tocsin shop (g)", 7, 128)
    source, *_, sinks = job["operators"]
    assert source["state"] == "offsets of 5 partitions"
    assert source["topic"]["name"] == "shop.payment.v1"
    assert source["topic"]["client"]["bootstrap.servers"] == "k1:9092"
    assert sinks["topic"] is None
    assert {"operator": "sources", "output": "delivered"} in sinks["reads"]


def test_without_the_runtime_its_words_are_refused(say: Say) -> None:
    said = say("plan", "shop.yaml", "--parallelism", 3)
    assert said.code == 2
    assert "--parallelism is a word of --runtime flink" in said.err


@pytest.mark.parametrize("wrong", ["payments=0", "payments=many", "payments"])
def test_partitions_are_numbers(say: Say, wrong: str) -> None:
    said = say("plan", "shop.yaml", "--runtime", "flink", "--partitions", wrong)
    assert said.code == 2
    assert "--partitions" in said.err


def test_a_stream_from_a_file_is_not_for_flink(say: Say) -> None:
    said = say("plan", "shop.yaml", "--runtime", "flink", "--source", "payments=ndjson:x")
    assert said.code != 0
    assert "reads streams from Kafka only" in said.err
