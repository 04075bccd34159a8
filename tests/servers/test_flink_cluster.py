"""The Flink cluster of the stack: two processes that are one server; one of them may be killed alone."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

import pytest

from stack import FlinkCluster, StackError, flink, running
from stack.__main__ import main
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

needs_flink = pytest.mark.skipif(bool(FlinkCluster.lacking()), reason=FlinkCluster.lacking())
JOB = """
import sys
from pyflink.common import Configuration, Types
from pyflink.datastream import StreamExecutionEnvironment
from pyflink.java_gateway import get_gateway

jvm = get_gateway().jvm
remote = jvm.org.apache.flink.streaming.api.environment.StreamExecutionEnvironment.createRemoteEnvironment
host, port = sys.argv[1].split(":")
env = StreamExecutionEnvironment(
    remote(host, int(port), Configuration()._j_configuration, get_gateway().new_array(jvm.String, 0))
)
env.set_parallelism(1)
env.enable_checkpointing(500)


def slowly(number):
    import time

    time.sleep(0.01)
    return number


env.from_collection(list(range(100_000)), Types.LONG()).map(slowly, Types.LONG()).print()
print(env.execute_async("slowly").get_job_id())
"""
"""Runs in Python on the cluster, for longer than any test."""


def get(url: str) -> Any:  # noqa: ANN401  # JSON
    with urlopen(url) as answer:  # noqa: S310  # ours
        return json.load(answer)


def submit(cluster: FlinkCluster) -> str:
    """Give the identifier of the job."""
    words = [sys.executable, "-c", JOB, cluster.address]
    ran = subprocess.run(words, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.split()[-1]


def group(leader: int) -> list[int]:
    """Give the processes that a server has started, and itself."""
    asking = ["ps", "-e", "-o", "pid=", "-o", "pgid=", "-o", "stat="]
    ps = subprocess.run(asking, capture_output=True, text=True, check=True)
    processes = (line.split() for line in ps.stdout.splitlines())
    return [int(pid) for pid, leading, state in processes if int(leading) == leader and not state.startswith("Z")]


def test_the_shared_one_has_slots(flink_cluster: str) -> None:
    overview = get(f"http://{flink_cluster}/overview")
    assert (overview["taskmanagers"], overview["slots-total"]) == (1, 8)


@needs_flink
def test_a_killed_task_manager_takes_its_workers_along_and_a_job_goes_on_with_the_next(tmp_path: Path) -> None:
    with FlinkCluster(tmp_path, slots=2, settings={"web.refresh-interval": "1234"}) as cluster:
        assert get(f"{cluster.url}/config")["refresh-interval"] == 1234
        for part in (cluster, cluster.tasks):
            with urlopen(f"http://127.0.0.1:{part.metrics_port}") as metrics:
                assert b"flink_" in metrics.read()
        job, killed = submit(cluster), cluster.tasks.pid
        wait_until(lambda: len(group(killed)) > 1, "no worker of Python")
        wait_until(lambda: get(f"{cluster.url}/jobs/{job}/checkpoints")["counts"]["completed"])
        cluster.tasks.kill()
        wait_until(lambda: not group(killed), "workers of Python are left behind")
        assert cluster.answers()
        assert not cluster.tasks.answers()
        cluster.tasks.start()
        assert get(f"{cluster.url}/overview")["slots-total"] >= 2
        wait_until(lambda: len(group(cluster.tasks.pid)) > 1, "no worker of Python")
        assert get(f"{cluster.url}/jobs/{job}")["state"] == "RUNNING"
        assert get(f"{cluster.url}/jobs/{job}/checkpoints")["counts"]["restored"] >= 1
        assert list((tmp_path / "checkpoints" / job).iterdir())
        both = cluster.pid, cluster.tasks.pid
    wait_until(lambda: not any(map(group, both)), "processes are left behind")


def test_up_and_down_see_both_of_its_processes() -> None:
    assert [one.name for one in running.processes(["redis", "flink"])] == ["redis", "flink", "flink-tasks"]


class TestWithoutThePackage:
    """Python 3.13, or an environment of `make install`."""

    @pytest.fixture(autouse=True)
    def _without(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(flink, "find_spec", lambda _: None)

    def test_it_is_told_what_to_install(self, tmp_path: Path) -> None:
        with pytest.raises(StackError, match=r"apache-flink in this environment: pip install 'tocsin\[flink\]'"):
            FlinkCluster(tmp_path).start()

    def test_the_stack_leaves_it_out_and_says_so(self, capsys: pytest.CaptureFixture[str]) -> None:
        main(["status"])
        shown = capsys.readouterr().out
        assert "flink         left out: flink needs the package apache-flink" in shown
        assert "flink-tasks" not in shown

    def test_it_is_not_left_out_where_it_is_named(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["status", "flink"]) == 1
        assert "flink-tasks" in capsys.readouterr().out
