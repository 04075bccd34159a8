"""Jobs on a cluster, as its REST tells of them; a real one answers in test_detached_jobs.py."""

from __future__ import annotations

import pytest

from streams.flink.remote import jobs, running, savepoint, savepoints_of, trouble
from tests.streams.flink.pages import answering
from tocsin.errors import SourceError, StateError

JOBS = {
    "jobs": [
        {"jid": "a", "name": "tocsin shop (g)", "state": "FAILED", "start-time": 1},
        {"jid": "b", "name": "tocsin shop (g)", "state": "RESTARTING", "start-time": 3},
        {"jid": "c", "name": "somebody's", "state": "RUNNING", "start-time": 2},
    ]
}
TRACE = """org.apache.flink.runtime.JobException: Recovery is suppressed
\tat org.apache.flink.runtime.A.b(A.java:7)
Caused by: java.lang.RuntimeException: Error received from SDK harness
tocsin.errors.StateError: this state folder holds something else
"""


class TestJobs:
    def test_of_topologies_are_listed_the_newest_first(self) -> None:
        with answering({"/jobs/overview": JOBS}) as cluster:
            assert [(job.id, job.runs) for job in jobs(cluster)] == [("b", True), ("a", False)]

    def test_that_run_are_found_by_id_and_by_name(self) -> None:
        with answering({"/jobs/overview": JOBS}) as cluster:
            assert running(cluster, "b") == running(cluster, "tocsin shop (g)")
            with pytest.raises(StateError, match=r"runs no job a; it runs b \(tocsin shop \(g\)\)"):
                running(cluster, "a")

    def test_tell_why_they_failed(self) -> None:
        pages = {
            "/jobs/a/exceptions": {"exceptionHistory": {"entries": [{"stacktrace": TRACE}]}},
            "/jobs/b/exceptions": {"exceptionHistory": {"entries": []}},
        }
        with answering(pages) as cluster:
            assert trouble(cluster, "b") == ""
            assert trouble(cluster, "a").endswith("tocsin.errors.StateError: this state folder holds something else")

    def test_tell_where_their_state_is(self) -> None:
        said = {"execution-config": {"user-config": {"tocsin.state": "file:/s"}}}
        with answering({"/jobs/b/config": said, "/jobs/c/config": {"jid": "c"}}) as cluster:
            assert savepoints_of(cluster, "b") == "file:/s/savepoints"
            with pytest.raises(StateError, match="does not say where its state is: name a folder with --to"):
                savepoints_of(cluster, "c")

    def test_are_not_asked_of_what_is_no_cluster(self) -> None:
        with answering({"/jobs/overview": []}) as cluster, pytest.raises(SourceError, match="is no Flink cluster"):
            jobs(cluster)


class TestASavepoint:
    def test_is_asked_for_and_waited_for(self) -> None:
        posted: list[tuple[str, object]] = []
        status = {"status": {"id": "COMPLETED"}, "operation": {"location": "file:/s/1"}}
        pages = {f"POST /jobs/b/{what}": {"request-id": "r"} for what in ("savepoints", "stop")}
        ended = {"jobs": [{**JOBS["jobs"][1], "state": "FINISHED"}]}
        with answering({**pages, "/jobs/b/savepoints/r": status, "/jobs/overview": ended}, posted) as cluster:
            assert savepoint(cluster, "b", "file:/s") == "file:/s/1"
            assert savepoint(cluster, "b", "file:/s", stop=True) == "file:/s/1"
        assert posted == [
            ("/jobs/b/savepoints", {"target-directory": "file:/s", "formatType": "NATIVE"}),
            ("/jobs/b/stop", {"targetDirectory": "file:/s", "formatType": "NATIVE"}),
        ]

    def test_that_cannot_be_is_told_with_its_cause(self) -> None:
        status = {"status": {"id": "COMPLETED"}, "operation": {"failure-cause": {"stack-trace": TRACE}}}
        pages = {"POST /jobs/b/savepoints": {"request-id": "r"}, "/jobs/b/savepoints/r": status}
        with answering(pages) as cluster:
            with pytest.raises(StateError, match=r"cannot write a savepoint: Caused by: java\.lang\.RuntimeException"):
                savepoint(cluster, "b", "file:/s")
            with pytest.raises(SourceError, match="refuses /jobs/x/savepoints"):
                savepoint(cluster, "x", "file:/s")
