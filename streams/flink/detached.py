"""Jobs that nobody waits for: submitted, saved, stopped and submitted again by commands that return."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.chosen_sinks import sink_uris
from streams.flink.preflight import look_around, require_slots
from streams.flink.preparing import judge
from streams.flink.remote import SAVEPOINTS, folder_of, running, savepoint, slots_of
from streams.flink.state_folder import Detached, held, locked, note_in, write_detached
from streams.flink.submitting import submit
from tocsin.errors import StateError

if TYPE_CHECKING:
    from streams.flink.submitting import Run, Submitted


def submit_detached(run: Run) -> Submitted:
    """Submit a job, and note that it has the state folder; `streams.flink.submitting.submit` says what is raised."""
    with held(run.folder):
        submitted = submit(run)
        write_detached(run.folder, Detached(run.cluster, submitted.job))
        return submitted


def stop_to_rescale(run: Run) -> str:
    """Stop the job of a run with a savepoint, where nothing stands against another from there; give where that is.

    The cluster need not have the adaptive scheduler for it, and nothing is decided twice, as it is where a job begins
    again at its last checkpoint.

    Raises:
        StateError: there is no such job, it has another state folder or other sinks, it cannot be stopped, or its state
            cannot go on as that of the run.
        SourceError: no cluster answers, or the next job would lack something.
        SinkError: a sink cannot be where a job's tasks are.
    """
    job = running(run.cluster, run.name)
    folder = run.folder.absolute().as_uri()
    if (there := folder_of(run.cluster, job.id)) != folder:
        raise StateError(f"the job {job.name} has its state in {there}, not in {folder}: name it with --state")
    note, sinks = note_in(run.folder), sink_uris(run.plan, run.sinks)
    if note is not None and note.sinks != sinks:
        raise StateError(
            f"the job {job.name} has the sinks {', '.join(note.sinks)}, not {', '.join(sinks)}: say those, or stop it "
            "and submit it with others"
        )
    look_around(run.cluster, run.warn)
    require_slots(run.cluster, run.parallelism, run.settings, run.warn, slots_of(run.cluster, job.id))
    with locked(run.folder):
        judge(run)
        return savepoint(run.cluster, job.id, f"{folder}/{SAVEPOINTS}", stop=True)
