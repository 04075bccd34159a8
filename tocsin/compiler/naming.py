"""Names that would mean two things."""

from __future__ import annotations

from typing import TYPE_CHECKING

from operators.expressions.aggregate_names import is_aggregate
from operators.expressions.registry import FUNCTIONS, SPECIAL
from tocsin.language.streams import BUILT_IN
from tocsin.model.quality import STREAMS

if TYPE_CHECKING:
    from tocsin.compiler.report import Report
    from tocsin.language.model import Topology


def check_names(topology: Topology, report: Report) -> None:
    """Note tables called like a function, stream or feature: look-ups and tests could not tell which is meant."""
    _check_built_in(topology, report)
    streams = {str(name) for name in topology.streams}
    features = {str(name) for name in topology.features}
    for name in topology.tables:
        if str(name) in FUNCTIONS or str(name) in SPECIAL or is_aggregate(name):
            report.add(name, "name-twice", f"{name} is a table and a function", expected="a name of its own")
        elif str(name) in streams | features:
            other = "stream" if str(name) in streams else "feature"
            report.add(name, "name-twice", f"{name} is a table and a {other}", expected="a name of its own")


def _check_built_in(topology: Topology, report: Report) -> None:
    """Note features and tables that are called like what is there without being declared."""
    for kind, words, taken in (
        ("feature", topology.features, BUILT_IN),
        ("table", topology.tables, (*BUILT_IN, STREAMS)),
    ):
        for name in words:
            if str(name) in taken:
                what = f"{name} is a built-in {'table' if name == STREAMS else 'stream'} and a {kind}"
                report.add(name, "name-twice", what, expected="a name of its own")
