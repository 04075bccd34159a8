"""Which keys tasks get, so that Flink spreads them evenly.

Flink hashes a key into one of `pipeline.max-parallelism` key groups, and gives each subtask of an operator a range of
these. Few keys would fall into few ranges; so each task gets a key whose group lies where the task is to be: task i of
the n of a stream, or of a layer of shards, at i/n of the range, at any parallelism. A key follows from the names of its
task alone: it is the same whatever else a topology has, now or later.
"""

from __future__ import annotations

from hashlib import blake2b
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

GROUPS = 128
"""Flink's own lower limit of `pipeline.max-parallelism`; it can never be changed for a state."""
_APART = 1 << 14
"""Keys from one beginning to the next: far more than are looked at before each group is met."""


def groups_for(tasks: int) -> int:
    """Give the number of key groups where there are so many tasks at most in a row."""
    groups = GROUPS
    while groups < tasks:
        groups *= 2
    return groups


def spread(rows: Mapping[str, Sequence[str]], group_of: Callable[[int], int], groups: int) -> dict[str, int]:
    """Give each task a key of its own. `rows`: tasks by what they are of; `group_of`: Flink's key group of a key.

    A row begins at a group of its own, as far as that keeps its tasks apart: many rows of one task each are spread as
    well.
    """
    found: dict[str, int] = {}
    for row, tasks in sorted(rows.items()):
        number = int.from_bytes(blake2b(row.encode(), digest_size=4).digest())
        first = number % (groups // len(tasks))
        wanted = {(first + at * groups // len(tasks)) % groups: name for at, name in enumerate(tasks)}
        keys = count(number % ((1 << 31) // _APART) * _APART)
        taken = set(found.values())
        while wanted:
            key = next(keys)
            if key not in taken and (name := wanted.pop(group_of(key), None)) is not None:
                found[name] = key
    return found
