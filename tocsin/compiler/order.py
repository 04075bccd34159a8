"""In which order features and rules are compiled: each after those that it reads."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, TypeVar

from tocsin.language.model import FeatureWord, RuleWord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tocsin.compiler.nodes import Context

Reader = FeatureWord | RuleWord
ReaderT = TypeVar("ReaderT", bound=Reader)


def in_order(
    words: Iterable[ReaderT], context: Context, reads: Callable[[Reader], Iterable[str]] | None = None
) -> list[ReaderT]:
    """Sort features and rules; those of a ring are noted, and broken.

    `reads`: gives the keys of what a word reads; by default those of the streams and features that it names.
    """
    named = {key_of(word): word for word in words}
    while True:
        read = {key: [name for name in (reads or read_by)(word) if name in named] for key, word in named.items()}
        try:
            return [named[name] for name in TopologicalSorter(read).static_order()]
        except CycleError as error:
            ring = [str(name) for name in reversed(error.args[1])]
            _note(ring, named, context)
            named = {name: word for name, word in named.items() if name not in ring}


def _note(ring: list[str], named: Mapping[str, Reader], context: Context) -> None:
    """Note a ring at the word that stands first in the file."""
    first = min(ring, key=lambda name: named[name].name.mark)
    turned = ring[ring.index(first) : -1] + ring[: ring.index(first) + 1]
    what, expected = "features read each other in a ring", "features that read streams or features above them"
    if any(isinstance(named[name], RuleWord) for name in ring):
        what, expected = "alerts are made of themselves in a ring", "a rule over the alerts of other rules"
    context.report.add(named[first].name, "cycle", f"{what}: {' -> '.join(turned)}", expected=expected)
    context.broken.update(ring)


def key_of(word: Reader) -> str:
    """Tell features and rules apart by name."""
    return f"rule {word.name}" if isinstance(word, RuleWord) else str(word.name)


def read_by(word: Reader) -> list[str]:
    """Give the names of all streams and features that a feature or rule reads."""
    if isinstance(word, RuleWord):
        return [str(name) for name in word.sources]
    at = [] if word.at is None else [word.at]
    return [str(name) for name in (*word.sources, *at, *(step.source for step in word.sequence))]
