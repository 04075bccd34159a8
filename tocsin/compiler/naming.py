"""Names that would mean two things."""

from __future__ import annotations

from typing import TYPE_CHECKING

from operators.expressions.aggregate_names import is_aggregate
from operators.expressions.registry import FUNCTIONS, SPECIAL

if TYPE_CHECKING:
    from tocsin.compiler.report import Report
    from tocsin.language.model import Topology


def check_names(topology: Topology, report: Report) -> None:
    """Note tables called like a function, stream or feature: look-ups and tests could not tell which is meant."""
    streams = {str(name) for name in topology.streams}
    features = {str(name) for name in topology.features}
    for name in topology.tables:
        if str(name) in FUNCTIONS or str(name) in SPECIAL or is_aggregate(name):
            report.add(name, "name-twice", f"{name} is a table and a function", expected="a name of its own")
        elif str(name) in streams | features:
            other = "stream" if str(name) in streams else "feature"
            report.add(name, "name-twice", f"{name} is a table and a {other}", expected="a name of its own")
