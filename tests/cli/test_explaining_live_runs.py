"""`explain` beside a run over Kafka: while it goes on, and when it was told to stop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from confluent_kafka import Producer
from shop import BEGIN, TOPOLOGY, payment, start, tocsin

from sinks.ndjson import decode
from tests.waiting import WITHIN, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl

    from tests.servers.fixtures import Topics


def told(folder: Path) -> pl.DataFrame:
    """Give what was told so far, as far as the lines are whole."""
    path = folder / "alerts.ndjson"
    content = path.read_bytes() if path.exists() else b""
    return decode(content[: content.rfind(b"\n") + 1].splitlines())


def test_an_alert_that_is_open_is_explained_while_the_run_goes_on(
    tmp_path: Path, kafka: str, kafka_topics: Topics
) -> None:
    (tmp_path / "shop.yaml").write_text(TOPOLOGY)
    topic = kafka_topics()
    producer = Producer({"bootstrap.servers": kafka})

    def produce(*seconds: int) -> None:
        for second in seconds:
            producer.produce(topic, payment(second, BEGIN + second * 1000, "a"))
        assert producer.flush(60) == 0

    def explained(rule: str) -> str:
        found: str = told(tmp_path).filter(rule=rule)["alert_id"][-1]
        said = tocsin(tmp_path, "explain", found, "--alerts", "alerts.ndjson")
        assert said.returncode == 0, said.stderr
        return said.stdout.splitlines()[-1]

    def kinds() -> list[str]:
        return told(tmp_path).filter(rule="busy")["kind"].to_list()

    words = ["--source", f"payments=kafka://{kafka}/{topic}", "--sink", "ndjson:alerts.ndjson"]
    with start(tmp_path, "run", "shop.yaml", *words) as run:
        try:
            produce(0, 1, 2, 61, 75)
            wait_until(lambda: kinds() == ["raised"] or run.poll() is not None)
            assert "the same 1 transitions" in explained("busy")
            produce(131)
            wait_until(lambda: kinds() == ["raised", "cleared"] or run.poll() is not None)
            assert "the same 2 transitions" in explained("busy")
            produce(132, 133, 195, 205)
            wait_until(lambda: kinds() == ["raised", "cleared", "raised"] or run.poll() is not None)
            assert run.poll() is None
        finally:
            run.terminate()
            run.communicate(timeout=WITHIN)
    assert "the same 1 transitions" in explained("busy")
