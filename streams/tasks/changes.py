"""Which stages of a state go on under a topology in which rules have come or gone: those that are the same.

A state says of every stage of its topology of which version it is and where it ran. What is not in it begins anew, what
is not in the topology any more is forgotten. A stage of the same name and another version is refused: its rows and open
episodes would mean something else from one moment to the next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.errors import StateError

if TYPE_CHECKING:
    from streams.tasks.layout import Holder, Placed


def refuse_changed(before: Placed, now: Placed, holder: Holder) -> None:
    """Raise StateError if a state with the stages `before` cannot go on under a topology that has those of `now`."""
    both = sorted(before.keys() & now.keys())
    if not both:
        raise StateError(
            f"{holder.name} holds the state of another topology, which has none of the rules of this one: run that "
            f"one, or take another {holder.option}"
        )
    if others := [name for name in both if before[name].version != now[name].version]:
        raise StateError(
            f"{holder.name} holds {', '.join(others)} from before that, or something it reads, was changed: change it "
            f"back, or give what is new another name, with which it begins anew; or take another {holder.option}"
        )
    if moved := [name for name in both if before[name].home != now[name].home]:
        raise StateError(
            f"{holder.name} holds {', '.join(moved)} elsewhere: what streams are partitioned_by has changed since; "
            f"take another {holder.option}"
        )


def refuse_other_shards(before: int, now: int, holder: Holder) -> None:
    """Raise StateError if a state has its keys in another number of shards than now."""
    if before != now:
        raise StateError(
            f"the state of {holder.name} has its keys in {before} shards, not in {now}: run with --buckets {before}, "
            f"or take another {holder.option}"
        )


def told(before: Placed, now: Placed) -> list[str]:
    """Say in sentences what has come and gone, where something has."""
    sentences = []
    if new := sorted(now.keys() - before.keys()):
        sentences.append(f"{', '.join(new)}: new, and begins with what comes from now on")
    if gone := sorted(before.keys() - now.keys()):
        sentences.append(f"{', '.join(gone)}: not there any more; what it had, open alerts too, ends here")
    return sentences
