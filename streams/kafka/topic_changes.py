"""What has to be done so that topics are as they should be, and what is only told.

By itself nothing is done that loses a record or moves a key: topics are made, topics without keys get more partitions,
limits are raised. Everything else (more partitions where keys lie, shorter retention, another clean-up) is named, and
done for those topics that somebody names (`insist`). Partitions never become fewer: Kafka cannot.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from streams.kafka.topics import Topic

FOR_EVER = -1
"""What Kafka writes for no limit."""
_LIMITS = frozenset({"retention.ms", "max.message.bytes", "min.compaction.lag.ms", "delete.retention.ms"})
"""Settings that lose nothing when they are raised."""


class Step(StrEnum):
    """What is to be done with a topic."""

    CREATE = "create"
    CHANGE = "change"
    KEEP = "keep"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Found:
    """A topic as it is; `settings`: those that were asked for, as far as we may see them."""

    partitions: int
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be done with a topic, and what differs and stays.

    `partitions`: how many there are to be, 0 where they stay; `settings`: those to be set. `differs`: sentences on what
    is not as the topology wants it and is left so.
    """

    step: Step
    name: str
    why: str = ""
    partitions: int = 0
    settings: Mapping[str, str] = field(default_factory=dict)
    differs: tuple[str, ...] = ()


def changes(
    wanted: Iterable[Topic], found: Mapping[str, Found], *, insist: Collection[str] = (), delete: Collection[str] = ()
) -> list[Change]:
    """Compare topics as they should be with those that are there. Those to be deleted come first, and are not made."""
    gone = [Change(Step.DELETE, name, "named to be deleted") for name in sorted(delete)]
    return [
        *gone,
        *(_change(topic, found.get(topic.name), topic.name in insist) for topic in wanted if topic.name not in delete),
    ]


def _change(topic: Topic, found: Found | None, insist: bool) -> Change:  # noqa: FBT001  # told of one topic
    if found is None:
        return Change(Step.CREATE, topic.name, topic.why, topic.partitions, topic.settings)
    partitions, about_partitions = _partitions(topic, found.partitions, insist)
    different = {name: value for name, value in topic.settings.items() if found.settings.get(name, value) != value}
    chosen = {name: value for name, value in different.items() if insist or _raises(name, found.settings[name], value)}
    left = [f"{name} is {found.settings[name]}, not {value}" for name, value in different.items() if name not in chosen]
    step = Step.CHANGE if partitions or chosen else Step.KEEP
    return Change(step, topic.name, topic.why, partitions, chosen, (*about_partitions, *left))


def _partitions(topic: Topic, there: int, insist: bool) -> tuple[int, list[str]]:  # noqa: FBT001  # as above
    """Give how many partitions to make it, 0 for none, and a sentence if they stay different."""
    if there == topic.partitions:
        return 0, []
    if there > topic.partitions:
        return 0, [f"{there} partitions, not {topic.partitions}: they never become fewer"]
    if topic.keyed and not insist:
        return 0, [f"{there} partitions, not {topic.partitions}: more would move keys to other partitions"]
    return topic.partitions, []


def _raises(name: str, there: str, wanted: str) -> bool:
    if name not in _LIMITS or int(there) == FOR_EVER:
        return False
    return int(wanted) == FOR_EVER or int(wanted) > int(there)
