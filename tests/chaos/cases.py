"""The table of cases: data, host, order, disturbance; and which of them make no sense, each with its reason."""

from __future__ import annotations

import os
import random
import secrets
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

SEED: Final = "TOCSIN_CHAOS_SEED"
DRAWN: Final = 6
"""How many cases `make test` draws."""


class Host(NamedTuple):
    """What carries the topology out. `workers`: of `flink` the parallelism. `direct`: streams say how they are cut."""

    name: str
    runtime: str
    partitions: int = 0
    workers: int = 1
    direct: bool = False


DATA: Final = ("city", "payments", "signaling")
HOSTS: Final = (
    Host("files", "files"),
    Host("local1", "local", 1),
    Host("local8", "local", 8),
    Host("faust1-direct", "faust", 4, 1, direct=True),
    Host("faust1-rekeyed", "faust", 4, 1),
    Host("faust3-direct", "faust", 4, 3, direct=True),
    Host("faust3-rekeyed", "faust", 4, 3),
    Host("flink1-direct", "flink", 4, 1, direct=True),
    Host("flink2-rekeyed", "flink", 4, 2),
    Host("flink4-rekeyed", "flink", 4, 4),
)
ORDERS: Final = ("asis", "shuffled", "doubled", "silent")
"""As the data comes; shuffled within the lateness; some records twice; one partition without any record."""
DISTURBANCES: Final = ("calm", "kill", "broker", "rebalance")


@dataclass(frozen=True, slots=True)
class Case:
    """One run; its outcome must be that of the reference."""

    data: str
    host: Host
    order: str
    disturbance: str

    @property
    def name(self) -> str:
        """What pytest calls it."""
        return f"{self.data}-{self.host.name}-{self.order}-{self.disturbance}"

    def dice(self, what: str = "") -> random.Random:
        """Give the random numbers of this case under the seed; of their own for each purpose."""
        return random.Random(f"{seed()} {self.name} {what}")  # noqa: S311  # chaos, not secrets

    @property
    def again(self) -> str:
        """The command that does exactly this again."""
        return f"{SEED}={seed()} .venv/bin/pytest tests/chaos --all-cases -k {self.name}"

    @property
    def writes_file(self) -> bool:
        """Whether one process alone writes: a file takes no more (SinkError says so, tests/streams/faust)."""
        return self.host.runtime == "flink" or (self.host.workers == 1 and self.disturbance != "rebalance")


class Impossible(NamedTuple):
    """Cases that are left out, and why."""

    why: str
    of: Callable[[Case], bool]


IMPOSSIBLE: Final = (
    Impossible(
        "files have no broker that could be killed and no group that could be balanced",
        lambda case: case.host.runtime == "files" and case.disturbance in {"broker", "rebalance"},
    ),
    Impossible(
        "a run of `local` is one process that takes all partitions: nobody joins or leaves",
        lambda case: case.host.runtime == "local" and case.disturbance == "rebalance",
    ),
    Impossible(
        "files, and a topic with one partition, have no partition beside the silent one",
        lambda case: case.order == "silent" and case.host.partitions < 2,
    ),
    Impossible(
        "sessions have no id: a record that comes twice is two records (semantics 11)",
        lambda case: case.order == "doubled" and case.data == "signaling",
    ),
)


def every() -> list[Case]:
    """Give all cases that make sense, in the order of the table."""
    cases = [Case(*one) for one in product(DATA, HOSTS, ORDERS, DISTURBANCES)]
    return [case for case in cases if not any(rule.of(case) for rule in IMPOSSIBLE)]


def settle() -> None:
    """Have a seed, before workers of pytest-xdist start: all must draw the same."""
    os.environ.setdefault(SEED, str(secrets.randbelow(1_000_000)))


def seed() -> str:
    """Give the seed of this run."""
    return os.environ[SEED]


def drawn() -> list[Case]:
    """Draw the cases of `make test`."""
    return random.Random(seed()).sample(every(), DRAWN)  # noqa: S311  # chaos, not secrets
