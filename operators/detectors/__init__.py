"""Detectors: operators that add columns to a feature's rows, for rules to judge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from operators.detectors.baseline import BASELINE
from operators.detectors.contract import DetectorKind, Option, OptionKind, Setting
from operators.detectors.forecast import FORECAST
from operators.detectors.peers import PEERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from operators.contract import Operator
    from tocsin.model.rows import Schema

__all__ = ["DETECTORS", "DetectorKind", "Option", "OptionKind", "detector_operator", "reach_of"]

DETECTORS: Mapping[str, DetectorKind] = {kind.name: kind for kind in (BASELINE, PEERS, FORECAST)}


def detector_operator(
    kind: str,
    name: str,
    by: tuple[str, ...],
    column: str,
    options: Mapping[str, str],
    schema: Schema,
    *,
    zone: str = "UTC",
) -> Operator:
    """Give the operator of a detector. `options`: as texts. ValueError with a sentence for what is wrong with them."""
    if kind not in DETECTORS:
        raise ValueError(f"no detector is called {kind!r}; there are {', '.join(DETECTORS)}")
    if column not in schema.columns or not schema.columns[column].numeric:
        raise ValueError(f"{column!r} is no column of numbers")
    chosen = DETECTORS[kind]
    setting = Setting(name, by, column, chosen.parsed(options), schema, zone)
    return chosen.build(setting, chosen.output(setting))


def reach_of(kind: DetectorKind, options: Mapping[str, str]) -> int:
    """Give how far back in ms a detector's memory goes: no detector keeps more than two histories."""
    return 2 * int(kind.parsed(options).get("history", 0))
