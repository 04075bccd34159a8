"""`tocsin plan --runtime flink` shows the job that is built, without PyFlink."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from stack import FlinkCluster
from streams.flink.graph import Seeds
from streams.flink.planning import SECRET, Planned, Wanted, planned
from tests.streams.faust.shop_runs import TOPOLOGY
from tocsin.compiler import compile_topology
from tocsin.errors import SourceError
from tocsin.language import loads

needs_flink = pytest.mark.skipif(bool(FlinkCluster.lacking()), reason=FlinkCluster.lacking())

PLAN = compile_topology(loads(TOPOLOGY, "shop.yaml"))
BROKER = "127.0.0.1:1"
SOURCES = {"payments": f"kafka://{BROKER}/p"}
SINKS = (f"kafka://{BROKER}/alerts", "ndjson:alerts.ndjson")


def plan(**more: object) -> Planned:
    return planned(Wanted(PLAN, SOURCES, SINKS, "g", 2, 3, partitions={"payments": 2}, **more))  # type: ignore[arg-type]


class TestOperators:
    def test_stand_behind_those_that_they_read(self) -> None:
        seen: set[str] = set()
        for one in plan().operators:
            assert {edge.operator for edge in one.reads} <= seen
            assert one.name not in seen
            seen.add(one.name)
        assert seen == {*("source_0", "seeds-sources", "sources", "seeds-0", "shards-0", "alerts_0", "words", "sinks")}

    def test_wake_every_task_once(self) -> None:
        woken = [task for one in plan().operators if isinstance(one, Seeds) for task in one.tasks]
        assert sorted(woken) == [">/0", ">/1", ">/2", "payments/0", "payments/1"]

    def test_say_which_stages_run_where(self) -> None:
        does = {one.name: one.does for one in plan().operators}
        assert "2 tasks, one per partition" in does["sources"]
        assert "minutes, pace" in does["sources"], "they stand beside partitions"
        assert "3 tasks, one per shard of keys: run places" in does["shards-0"]

    def test_have_as_many_shards_as_a_new_run_would(self) -> None:
        usual = planned(Wanted(PLAN, SOURCES, SINKS))
        assert (usual.shards, usual.groups, usual.job) == (8, 128, "tocsin shop (tocsin-shop)")
        assert planned(Wanted(PLAN, SOURCES, SINKS, parallelism=12)).shards == 12


class TestTopics:
    def test_are_read_and_written_as_each_has_to_be(self) -> None:
        topics = {one.name: one.topic for one in plan().operators if one.topic is not None}
        assert list(topics) == ["source_0", "alerts_0", "words"]
        assert topics["source_0"].name == "p"
        assert topics["source_0"].client["isolation.level"] == "read_committed"
        assert topics["alerts_0"].transactions == f"g-{SINKS[0]}"
        assert not topics["words"].transactions

    def test_tell_no_secret(self, monkeypatch: pytest.MonkeyPatch) -> None:
        given = {"SECURITY_PROTOCOL": "sasl_ssl", "SASL_MECHANISM": "PLAIN", "SASL_USERNAME": "ann"}
        for name, value in {**given, "SASL_PASSWORD": "sesame"}.items():
            monkeypatch.setenv(f"TOCSIN_KAFKA_{name}", value)
        for one in plan().operators:
            if one.topic is not None:
                assert one.topic.client["security.protocol"] == "SASL_SSL"
                assert one.topic.client["sasl.jaas.config"] == SECRET
                assert "sesame" not in str(one.topic)


def test_partitions_of_a_stream_that_no_rule_reads_are_refused() -> None:
    with pytest.raises(SourceError, match="no rule reads a stream 'payment', only payments; did you mean 'payments'"):
        planned(Wanted(PLAN, SOURCES, SINKS, partitions={"payment": 2}))


def test_nothing_of_pyflink_is_loaded() -> None:
    script = "import sys, streams.flink.planning; print('pyflink' in sys.modules, 'py4j' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout == "False False\n"


BUILDS = """
import json, sys
from dataclasses import replace
from pathlib import Path
from streams.flink.environment import make_environment
from streams.flink.jars import jars
from streams.flink.job import Job
from streams.flink.alert_topics import AlertTopic
from streams.flink.order import Order
from tests.streams.flink.test_planning import BROKER, PLAN, SINKS

order = Order(
    PLAN, run="r", group="g", servers=BROKER, topics={"payments": "p"}, partitions={"payments": 2}, shards=3,
    letters=Path("."), fingerprint="", sinks=SINKS,
)
order = replace(order, keys={task: key for key, task in enumerate(sorted(order.layout.tasks))})
settings = {"pipeline.jars": ";".join(jar.as_uri() for jar in jars()), "parallelism.default": "2"}
env = make_environment(settings, "")
Job(order, {0: AlertTopic(SINKS[0], BROKER, "alerts", 1000)}, {}).build(env)
nodes = env._j_stream_execution_environment.getStreamGraph(False).getStreamNodes().toArray()
before = {node.getId(): [edge.getSourceId() for edge in node.getInEdges()] for node in nodes}
told = {node.getId(): [node.getTransformationUID(), node.getParallelism(), before[node.getId()]] for node in nodes}
json.dump(told, sys.stdout)
"""


def built() -> dict[str, tuple[str | None, int, list[int]]]:
    """Build the job in a process of its own; give uid, parallelism and predecessors of Flink's nodes by number."""
    root = Path(__file__).resolve().parents[3]
    environment = {**os.environ, "_python_worker_execution_mode": "process", "PYTHONPATH": str(root)}
    ran = subprocess.run(
        [sys.executable, "-c", BUILDS], capture_output=True, text=True, check=False, env=environment, cwd=root
    )
    assert ran.returncode == 0, ran.stderr[-4000:]
    nodes: dict[str, tuple[str | None, int, list[int]]] = json.loads(ran.stdout[ran.stdout.index("{") :])
    return nodes


@needs_flink
def test_flinks_own_graph_of_the_job_has_the_operators_and_edges_of_the_plan() -> None:
    operators, nodes = plan().operators, built()
    outputs = {f"{edge.operator} {edge.output}" for one in operators for edge in one.reads if edge.output}
    assert outputs < {uid for uid, *_ in nodes.values()}

    def owner(number: str) -> str:
        uid = (nodes[number][0] or "").removeprefix("Sink Committer: ")  # Flink splits a sink
        found = [one.name for one in operators if f"{uid} ".startswith(f"{one.uid.removesuffix(' RUN')} ")]
        assert len(found) == (uid != ""), uid
        return found[0] if found else ""

    def owners_before(number: str) -> set[str]:
        before = {str(one) for one in nodes[number][2]}
        return {found for one in before for found in ({owner(one)} if owner(one) else owners_before(one))}

    read = {(owner(number), before) for number in nodes if owner(number) for before in owners_before(number)}
    assert {pair for pair in read if pair[0] != pair[1]} == {
        (one.name, edge.operator) for one in operators for edge in one.reads
    }
    assert {(owner(number), nodes[number][1]) for number in nodes if owner(number)} == {
        (one.name, one.parallelism) for one in operators
    }
