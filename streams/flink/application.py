"""A job whose program Flink itself has started: a job manager of application mode, the operator, or `flink run`.

Where it runs, what it goes on from and how it is kept are Flink's to say: its configuration counts before ours.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from streams.flink.preparing import prepare
from streams.flink.state_folder import held
from streams.flink.submitting import hand_over
from streams.kafka.cluster import Cluster
from streams.kafka.dead_letters import SUFFIX
from tocsin.errors import SourceError

if TYPE_CHECKING:
    from streams.flink.order import Order
    from streams.flink.submitting import Run, Submitted

GATEWAY = "PYFLINK_GATEWAY_PORT"
"""Flink tells its programs by this where its own process is."""
CHECKPOINTS = "execution.checkpointing.dir"


def started_by_flink() -> bool:
    """Whether Flink has started this process."""
    return GATEWAY in os.environ


def start(run: Run, *, lasting: bool) -> Submitted:
    """Hand the job over to the Flink that has started this process; nobody waits for it.

    `lasting`: whether the state folder outlives the machine and is seen by all; without one, Flink's configuration has
    to say where checkpoints go, and dead letters need topics.

    Raises:
        SourceError: no broker, no such topic, or nowhere to keep what has to be kept.
        SinkError: a sink cannot be written to.
        StateError: the job cannot go on from the state in the folder.
    """
    from streams.flink.environment import given_settings  # noqa: PLC0415  # PyFlink reads variables as it is loaded

    run.given = given_settings()
    if not lasting and CHECKPOINTS not in run.given:
        raise SourceError(
            f"Flink's configuration has no {CHECKPOINTS}: say there where checkpoints go, or name a folder that all "
            "machines see with --state"
        )
    with held(run.folder):
        order = prepare(run)
        if not lasting:
            _require_dead_letter_topics(order)
        return hand_over(run, order)


def _require_dead_letter_topics(order: Order) -> None:
    names = Cluster(order.servers).names()
    missing = sorted(f"{topic}{SUFFIX}" for topic in order.topics.values() if f"{topic}{SUFFIX}" not in names)
    if missing:
        raise SourceError(
            f"{order.servers} has no topic {', '.join(missing)}: dead letters would stay on machines that come and go; "
            "make it, for instance with `tocsin topics apply`, or name a folder that all machines see with --state"
        )
