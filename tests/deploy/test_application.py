"""An application as the compose form starts it raises the alerts of a plain run, also when its job manager dies."""

from __future__ import annotations

from threading import Event
from typing import TYPE_CHECKING

import pytest

from stack import FlinkCluster
from streams.flink.state_folder import latest
from tests.deploy.applications import Application
from tests.sinks.alert_topic import ids
from tests.streams.faust.shop_runs import UNTIL, Aside, Shop, expected, topology_in
from tests.waiting import wait_until
from tocsin.model.display import display
from tocsin.model.types import TIMESTAMP

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.fixtures import Topics

needs_flink = pytest.mark.skipif(bool(FlinkCluster.lacking()), reason=FlinkCluster.lacking())


def _as_the_operator_says(state: Path) -> dict[str, str | bool]:
    """Give the settings by which a job is told what to go on from, and that all of it has to be wanted."""
    return {
        "execution.state-recovery.path": state.as_uri(),
        "execution.state-recovery.ignore-unclaimed-state": False,
    }


@needs_flink
def test_an_application_over_rocksdb_goes_on_from_its_last_checkpoint(
    tmp_path: Path, kafka: str, kafka_topics: Topics, unique: str
) -> None:
    shop, killed = Shop(tmp_path, kafka, kafka_topics, unique, partitions=2, direct=False), Event()
    topology = topology_in(tmp_path, shop.text)
    words = [
        *("--group", unique, "--source", f"payments=kafka://{kafka}/{shop.topic}"),
        *("--until", display(UNTIL, TIMESTAMP).replace(" ", "T")),
    ]
    variables = {"TOCSIN_SINK": f"kafka://{kafka}/{shop.alerts}", "TOCSIN_BUCKETS": "3"}
    with Application(tmp_path, topology, variables, words) as application:
        with Aside(lambda: shop.produce(pause=8, until=killed)):
            wait_until(lambda: shop.told() > 0 or not application.runs())
            assert application.runs(), application.said
            (job,) = application.ask("/jobs/overview")["jobs"]
            told = application.ask(f"/jobs/{job['jid']}/checkpoints/config")
            assert told["state_backend"] == "EmbeddedRocksDBStateBackend"
            application.jobs.kill()
            killed.set()
        before = latest(tmp_path / "tocsin")
        assert before is not None
        application.set(_as_the_operator_says(before))
        application.jobs.start()
        wanted = expected(tmp_path, shop.filed)
        wait_until(lambda: shop.given().equals(wanted) or not application.runs(), lambda: shop.unlike(wanted))
        assert application.runs(), application.said
        (job,) = application.ask("/jobs/overview")["jobs"]
        restored = application.ask(f"/jobs/{job['jid']}/checkpoints")["latest"]["restored"]
        assert restored["external_path"].endswith(str(before))
    assert len(set(given := ids(shop.servers, shop.alerts))) == len(given), "there are copies"
