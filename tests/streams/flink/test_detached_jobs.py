"""Jobs on a real cluster that no command waits for: saved, rescaled, stopped, and gone on from with other rules."""

from __future__ import annotations

import json
import subprocess
import sys
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka import Producer

from stack import FlinkCluster
from tests.sinks.alert_topic import ids
from tests.streams.faust.shop_runs import BEGIN, UNTIL, expected, records, topology_in
from tests.streams.flink.shop_jobs import ENDS_WITHIN, ShopJob
from tests.waiting import wait_until
from tocsin.compiler import compile_topology
from tocsin.language import loads

if TYPE_CHECKING:
    import polars as pl

    from tests.servers.fixtures import Topics

DOORS = """
  doors:
    topic: {topic}
    id: door
    time: {{field: at, lateness: 10s}}
    fields: {{door: string, at: timestamp, shop: string}}
tables:
"""
OPENED = """
  opened:
    from: doors
    by: shop
    windows: {tumbling 1m: {doors: count()}}
rules:
  open:
    from: opened
    levels: {red: doors >= 2}
    says: "{doors} doors"
"""
SPENT = """
  spent:
    from: payments
    by: shop
    windows: {tumbling 5m: {spent: sum(amount)}}
rules:
  rich:
    from: spent
    levels: {blue: spent >= 100}
    says: "{spent} spent"
"""
KEPT = ("pace", "crowded", "large")
"""Beside a partition, in a shard, and immediate."""


class DetachedShop(ShopJob):
    """A shop whose jobs are submitted."""

    def say(self, *words: str, topology: str | None = None, parallelism: int = 1) -> subprocess.CompletedProcess[str]:
        """Call `tocsin flink` with the words of a job, if a topology is given, and with those of the cluster."""
        job: list[str] = []
        if topology is not None:
            given = [
                f"payments=kafka://{self.servers}/{self.topic}",
                f"doors=kafka://{self.servers}/{self.group}.doors",
            ]
            sources = [one for one in given if f"  {one.partition('=')[0]}:" in topology]
            job = [
                *(
                    str(topology_in(self.folder, topology)),
                    "--state",
                    str(self.folder / "state"),
                    "--group",
                    self.group,
                ),
                *(word for one in sources for word in ("--source", one)),
                *("--sink", f"kafka://{self.servers}/{self.alerts}", "--parallelism", str(parallelism)),
            ]
        script = "from tocsin.cli import main; main()"
        return subprocess.run(
            [sys.executable, "-c", script, "flink", *words, *job, "--cluster", self.cluster],
            capture_output=True,
            text=True,
            timeout=ENDS_WITHIN,
            check=False,
        )

    def produce_part(self, begin: int, end: int | None = None) -> None:
        """Write a part of the records, and after the last ones those that are beyond the end."""
        producer = Producer({"bootstrap.servers": self.servers, "enable.idempotence": True})
        for card, line in list(records())[begin:end]:
            producer.produce(self.topic, line, card.encode(), zlib.crc32(card.encode()) % self.partitions)
        for place in range(self.partitions if end is None else 0):
            last = {"payment_id": f"end{place}", "at": UNTIL + 60_000, "card": f"end{place}", "amount": "1.00"}
            producer.produce(self.topic, json.dumps(last).encode(), b"end", place)
        assert producer.flush(30) == 0

    def done(self, *words: str, topology: str | None = None, parallelism: int = 1) -> Any:  # noqa: ANN401  # JSON
        """Do the same, which must succeed; give what it says as JSON."""
        ran = self.say(*words, "--json", topology=topology, parallelism=parallelism)
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout)

    def of(self, rules: tuple[str, ...], topology: str, rows: pl.DataFrame) -> pl.DataFrame:
        """Give the rows of a canonical form that some rules of a topology gave, up to where runs that end do."""
        plan = compile_topology(loads(topology, "shop.yaml"))
        versions = [plan.rules[rule].version for rule in rules]
        return rows.filter(rows["rule_version"].is_in(versions), rows["time"] <= self.until)


@pytest.mark.skipif(bool(FlinkCluster.lacking()), reason=FlinkCluster.lacking())
def test_a_job_is_saved_rescaled_stopped_and_goes_on_with_other_rules(
    tmp_path: Path, kafka: str, kafka_topics: Topics, unique: str
) -> None:
    """What is the same in both topologies raises the alerts of a run that nobody has stopped."""
    with FlinkCluster(tmp_path / "flink", slots=2) as cluster:
        shop = DetachedShop(tmp_path, kafka, kafka_topics, unique, 2, cluster=cluster.address)
        doors = shop.topics(f"{unique}.doors")
        _open_doors(kafka, doors)
        both = shop.text.replace("tables:\n", DOORS.format(topic=doors)).replace("rules:\n", OPENED)
        others = (
            shop.text[: shop.text.index("  minutes:")] + shop.text[shop.text.index("  pace:\n    from: payments") :]
        )
        others = others[: others.index("  busy:")] + others[others.index("  pace:\n    from: pace") :]
        others = others.replace("rules:\n", SPENT)
        wanted = shop.of(KEPT, both, expected(tmp_path, shop.text))
        shop.produce_part(0, 2000)
        first = shop.done("submit", topology=both)
        wait_until(lambda: shop.told() > 0, lambda: _list(shop))
        assert _is_savepoint(shop.done("savepoint", first["job"]))
        again = shop.say("submit", topology=both)
        assert (again.returncode, "has the state folder" in again.stderr) == (2, True), again.stderr
        second = shop.done("rescale", topology=both, parallelism=2)
        told = shop.told()
        shop.produce_part(2000, 4000)
        wait_until(lambda: shop.told() > told, lambda: _list(shop))
        assert _is_savepoint(shop.done("stop", second["name"]))
        changed = shop.say("submit", topology=both.replace("payments >= many", "payments > many"), parallelism=2)
        assert (changed.returncode, "holds rule pace from before that" in changed.stderr) == (2, True), changed.stderr
        went_on = shop.say("submit", topology=others, parallelism=2)
        assert went_on.returncode == 0, went_on.stderr
        assert "rule rich, spent: new, and begins with what comes from now on" in went_on.stderr
        assert "minutes, opened, rule busy, rule open: not there any more" in went_on.stderr
        shop.produce_part(4000)
        wait_until(lambda: shop.of(KEPT, both, shop.given()).height >= wanted.height, lambda: _list(shop))
        given = shop.of(KEPT, both, shop.given())
        assert given.equals(wanted), (given.join(wanted, on=given.columns, how="anti"), _list(shop))
        wait_until(lambda: shop.of(("rich",), others, shop.given()).height > 0, lambda: _list(shop))
        assert len(set(found := ids(shop.servers, shop.alerts))) == len(found), "there are copies"
        assert [job["state"] for job in shop.done("list")] == ["RUNNING", "FINISHED", "FINISHED"]


def _open_doors(servers: str, topic: str) -> None:
    producer = Producer({"bootstrap.servers": servers})
    for number in range(600):
        producer.produce(topic, json.dumps({"door": f"d{number}", "at": BEGIN + number * 1000, "shop": "s1"}).encode())
    assert producer.flush(30) == 0


def _is_savepoint(told: dict[str, str]) -> bool:
    return (Path(told["savepoint"].removeprefix("file:")) / "_metadata").is_file()


def _list(shop: DetachedShop) -> str:
    return shop.say("list").stdout
