"""`tocsin flink` as a user meets it; jobs that really run are in tests/streams/flink/test_detached_jobs.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shop import TOPOLOGY

from tests.streams.flink.pages import answering

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Said

    Say = Callable[..., Said]

JOB = {"jid": "f00", "name": "tocsin shop (g)", "state": "RUNNING", "start-time": 1_772_442_000_000}
PAGES = {
    "/jobs/overview": {"jobs": [JOB]},
    "/jobs/f00/exceptions": {"exceptionHistory": {"entries": [{"stacktrace": "tocsin.errors.BrakeError: all bad"}]}},
    "/jobs/f00/config": {"execution-config": {"user-config": {"tocsin.state": "file:/s"}}},
    "POST /jobs/f00/savepoints": {"request-id": "r"},
    "/jobs/f00/savepoints/r": {"status": {"id": "COMPLETED"}, "operation": {"location": "file:/s/savepoints/1"}},
}


def test_jobs_are_listed_with_their_troubles(say: Say) -> None:
    with answering(PAGES) as cluster:
        said = say("flink", "list", "--cluster", cluster)
        assert said.out.splitlines() == [
            "f00  RUNNING     2026-03-02T09:00:00Z  tocsin shop (g)",
            "    tocsin.errors.BrakeError: all bad",
        ]
        (job,) = say("flink", "list", "--cluster", cluster, "--json").json
        assert (job["job"], job["trouble"]) == ("f00", "tocsin.errors.BrakeError: all bad")
    with answering({"/jobs/overview": {"jobs": []}}) as cluster:
        assert say("flink", "list", "--cluster", cluster).out == f"{cluster} knows no job of a topology\n"


def test_a_savepoint_is_written_beside_the_state_or_where_one_says(say: Say) -> None:
    posted: list[tuple[str, object]] = []
    with answering(PAGES, posted) as cluster:
        assert say("flink", "savepoint", "f00", "--cluster", cluster).out == "file:/s/savepoints/1\n"
        assert say("flink", "savepoint", JOB["name"], "--cluster", cluster, "--to", "s3://b/x", "--json").json == {
            "job": "f00",
            "savepoint": "file:/s/savepoints/1",
        }
    assert [body["target-directory"] for _, body in posted if isinstance(body, dict)] == [
        "file:/s/savepoints",
        "s3://b/x",
    ]


def test_a_job_that_is_not_there_is_told_with_those_that_are(say: Say) -> None:
    with answering(PAGES) as cluster:
        said = say("flink", "stop", "x", "--cluster", cluster)
    assert (said.code, said.err) == (2, f"tocsin: {cluster} runs no job x; it runs f00 (tocsin shop (g))\n")


def test_a_job_with_another_state_folder_or_other_sinks_is_not_rescaled(say: Say, tmp_path: Path) -> None:
    (tmp_path / "shop.yaml").write_text(TOPOLOGY)
    with answering(PAGES) as cluster:
        words = ("shop.yaml", "--cluster", cluster, "--group", "g", "--kafka", "h:1", "--sink", "kafka://h/a")
        said = say("flink", "rescale", *words, "--parallelism", 3)
    assert said.code == 2
    assert f"has its state in file:/s, not in {(tmp_path / '.tocsin/shop/flink').as_uri()}" in said.err


def test_a_cluster_and_a_sink_have_to_be_said(say: Say, tmp_path: Path) -> None:
    (tmp_path / "shop.yaml").write_text(TOPOLOGY)
    assert "Missing option '--cluster'" in say("flink", "submit", "shop.yaml").err
    assert "say where alerts go" in say("flink", "submit", "shop.yaml", "--cluster", "h:1").err
