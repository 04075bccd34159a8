"""In which order features are compiled: each after those that it reads."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tocsin.compiler.report import Report
    from tocsin.language.model import FeatureWord, Text


def in_order(features: Mapping[Text, FeatureWord], report: Report) -> list[FeatureWord]:
    """Sort the features; a cycle is noted and gives an empty list."""
    sorter: TopologicalSorter[str] = TopologicalSorter()
    named = {str(name): word for name, word in features.items()}
    for name, word in named.items():
        sorter.add(name, *(source for source in read_by(word) if source in named))
    try:
        return [named[name] for name in sorter.static_order()]
    except CycleError as error:
        ring = [str(name) for name in reversed(error.args[1])]
        start = named[ring[0]]
        what = f"features read each other in a ring: {' -> '.join(ring)}"
        report.add(start.name, "cycle", what, expected="features that read streams or features above them")
        return []


def read_by(word: FeatureWord) -> list[str]:
    """Give the names of all streams and features that a feature reads."""
    at = [] if word.at is None else [word.at]
    return [str(name) for name in (*word.sources, *at, *(step.source for step in word.sequence))]
