"""A job that runs without a command that stays with it is watched by another one."""

from __future__ import annotations

from time import sleep
from typing import TYPE_CHECKING

from streams.flink.figures import Place
from streams.flink.order import RUNTIME
from streams.flink.remote import ENDED, job_name, running
from streams.tasks.inputs import topics_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from streams.flink.figures import Figures
    from tocsin.compiler import Plan

LOOK_SECONDS = 0.5


def find(plan: Plan, sources: Mapping[str, str], group: str, cluster: str) -> Place:
    """Find the job of a topology and a group on a cluster.

    Raises:
        StateError: it does not run there.
        SourceError: no cluster answers, or no brokers are named.
    """
    servers, topics = topics_of(plan, sources, RUNTIME)
    return Place(cluster, running(cluster, job_name(plan.name, group)).id, servers, group, sorted(topics))


def watch(place: Place, figures: Figures, stop: Callable[[], bool]) -> bool:
    """Keep figures up to date until told to stop, or until the job has ended; whether it has."""
    with figures.following(place):
        while not stop() and figures.state not in ENDED:
            sleep(LOOK_SECONDS)
    return figures.state in ENDED
