"""In which order features are compiled: each after those that it reads."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tocsin.compiler.nodes import Context
    from tocsin.language.model import FeatureWord, Text


def in_order(features: Mapping[Text, FeatureWord], context: Context) -> list[FeatureWord]:
    """Sort the features; those of a ring are noted, and broken."""
    named = {str(name): word for name, word in features.items()}
    while True:
        sorter = TopologicalSorter({n: [s for s in read_by(word) if s in named] for n, word in named.items()})
        try:
            return [named[name] for name in sorter.static_order()]
        except CycleError as error:
            ring = [str(name) for name in reversed(error.args[1])]
            _note(ring, named, context)
            named = {name: word for name, word in named.items() if name not in ring}


def _note(ring: list[str], named: Mapping[str, FeatureWord], context: Context) -> None:
    """Note a ring at the feature that stands first in the file."""
    first = min(ring, key=lambda name: named[name].name.mark)
    turned = ring[ring.index(first) : -1] + ring[: ring.index(first) + 1]
    what = f"features read each other in a ring: {' -> '.join(turned)}"
    context.report.add(named[first].name, "cycle", what, expected="features that read streams or features above them")
    context.broken.update(ring)


def read_by(word: FeatureWord) -> list[str]:
    """Give the names of all streams and features that a feature reads."""
    at = [] if word.at is None else [word.at]
    return [str(name) for name in (*word.sources, *at, *(step.source for step in word.sequence))]
