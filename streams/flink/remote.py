"""Jobs on a cluster that is there, asked about and stopped by its REST: no JVM is started for that."""

from __future__ import annotations

from time import monotonic, sleep
from typing import Any, NamedTuple

from streams.flink.causes import cause_in
from streams.flink.rest import ask, post
from tocsin.errors import SourceError, StateError

ENDED = ("FAILED", "CANCELED", "FINISHED")
SAVEPOINTS = "savepoints"
"""The folder for them, in a state folder."""
FOLDER = "tocsin.state"
"""The name under which a job says where its state folder is."""
SAVEPOINT_SECONDS = 600.0
LOOK_SECONDS = 0.2


class Job(NamedTuple):
    """A job as its cluster lists it; `begun`: ms since the epoch."""

    id: str
    name: str
    state: str
    begun: int

    @property
    def runs(self) -> bool:
        """Whether it has not ended; it may be about to start again."""
        return self.state not in ENDED


def job_name(topology: str, group: str) -> str:
    """Name the job of a topology and a group."""
    return f"{PREFIX}{topology} ({group})"


PREFIX = "tocsin "


def jobs(cluster: str) -> list[Job]:
    """Give the jobs of topologies that a cluster knows, the newest first; SourceError if no cluster answers."""
    told = ask(cluster, "/jobs/overview")
    if not isinstance(told, dict) or "jobs" not in told:
        raise SourceError(f"what answers at {cluster} is no Flink cluster: it knows no jobs")
    found = [Job(one["jid"], one["name"], one["state"], one["start-time"]) for one in told["jobs"]]
    return sorted((job for job in found if job.name.startswith(PREFIX)), key=lambda job: -job.begun)


def running(cluster: str, job: str) -> Job:
    """Find a job by its id or name; StateError if it does not run there."""
    found = [one for one in jobs(cluster) if one.runs]
    for one in found:
        if job in {one.id, one.name}:
            return one
    others = ", ".join(f"{one.id} ({one.name})" for one in found)
    raise StateError(f"{cluster} runs no job {job}; it runs {others or 'none of tocsin'}")


def slots_of(cluster: str, job: str) -> int:
    """Give the number of slots that a job has: its operators share them."""
    return max((one["parallelism"] for one in ask(cluster, f"/jobs/{job}")["vertices"]), default=0)


def folder_of(cluster: str, job: str) -> str:
    """Give where a job says that its state folder is, as a URI; StateError if it says nothing."""
    said = ask(cluster, f"/jobs/{job}/config").get("execution-config", {}).get("user-config", {})
    if FOLDER not in said:
        raise StateError(f"the job {job} on {cluster} does not say where its state is: name a folder with --to")
    return str(said[FOLDER])


def savepoints_of(cluster: str, job: str) -> str:
    """Give the folder (URI) of a job's savepoints; StateError if it does not say."""
    return f"{folder_of(cluster, job)}/{SAVEPOINTS}"


def trouble(cluster: str, job: str) -> str:
    """Say why a job has failed, or was started again, the last time; "" if it was not."""
    entries = ask(cluster, f"/jobs/{job}/exceptions").get("exceptionHistory", {}).get("entries", [])
    return cause_in(entries[0]["stacktrace"]) if entries else ""


def savepoint(cluster: str, job: str, folder: str, *, stop: bool = False) -> str:
    """Let a job write a savepoint into a folder (URI), and perhaps end with it; give where it is.

    StateError if it cannot, with the reason.
    """
    where, target = ("stop", "targetDirectory") if stop else ("savepoints", "target-directory")
    told = post(cluster, f"/jobs/{job}/{where}", {target: folder, "formatType": "NATIVE"})
    until = monotonic() + SAVEPOINT_SECONDS
    while (done := _done(cluster, job, told["request-id"])) is None:
        if monotonic() > until:
            raise StateError(f"the job {job} has not written a savepoint within {SAVEPOINT_SECONDS:g} seconds")
        sleep(LOOK_SECONDS)
    if stop:
        _await_end(cluster, job)
    return done


def _done(cluster: str, job: str, request: str) -> str | None:
    """Give where a savepoint is that was asked for; None while it is being written."""
    answer: Any = ask(cluster, f"/jobs/{job}/savepoints/{request}")
    if answer["status"]["id"] != "COMPLETED":
        return None
    operation = answer["operation"]
    if "location" not in operation:
        raise StateError(
            f"the job {job} cannot write a savepoint: {cause_in(operation['failure-cause']['stack-trace'])}"
        )
    return str(operation["location"])


def _await_end(cluster: str, job: str) -> None:
    """Wait until a job that was stopped has ended; StateError if it does not."""
    until = monotonic() + SAVEPOINT_SECONDS
    while any(one.id == job and one.runs for one in jobs(cluster)):
        if monotonic() > until:
            raise StateError(f"the job {job} on {cluster} does not end")
        sleep(LOOK_SECONDS)
