"""Which keys tasks get, so that Flink spreads them evenly.

Flink hashes a key into one of `pipeline.max-parallelism` key groups, and gives each subtask a range of these. Few keys
would fall into few ranges; so each task gets a key whose group lies where the task is to be: task i of n at i/n of the
range, at any parallelism.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

GROUPS = 128
"""Flink's own lower limit of `pipeline.max-parallelism`; it can never be changed for a state."""


def groups_for(tasks: int) -> int:
    """Give the number of key groups for so many tasks."""
    groups = GROUPS
    while groups < tasks:
        groups *= 2
    return groups


def spread(names: Sequence[str], group_of: Callable[[int], int], groups: int) -> dict[str, int]:
    """Give each task a key of its own; `group_of`: Flink's key group of a key."""
    wanted = {at * groups // len(names): name for at, name in enumerate(names)}
    found: dict[str, int] = {}
    keys = count()
    while wanted:
        key = next(keys)
        if (name := wanted.pop(group_of(key), None)) is not None:
            found[name] = key
    return found
