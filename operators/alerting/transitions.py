"""Transitions as rows of the log: each explains itself (design 6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from operators.alerting.encoding import Json, alert_id, encode, fingerprint, typed
from operators.alerting.template import SIGNS
from tocsin.model.alerts import TRANSITIONS, Level, Transition
from tocsin.model.rows import EVIDENCE, ID, SYSTEM, TIME, Schema
from tocsin.model.types import BOOLEAN, INT64, STRING, TIMESTAMP, Type

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from operators.alerting.rule import LevelSpec, MachineSpec
    from operators.expressions.scope import Constant

_SEQUENCE_DIGITS = 9
"""Wide enough that the text of a sequence sorts as its number."""

_TYPES: Mapping[str, Type] = {"sequence": INT64, "time": TIMESTAMP, "early": BOOLEAN}


@dataclass(frozen=True, slots=True)
class LogSchema(Schema):
    """The transition log as a batch: TRANSITIONS behind `__time` and `__id`.

    `columns` are those that an expression may read; `evidence`, a list of structs, is in the batch beside them.
    """

    @property
    def physical(self) -> dict[str, pl.DataType]:
        """Column name to Polars type, in order."""
        return {name: SYSTEM[name] for name in self.system} | TRANSITIONS


LOG = LogSchema({name: _TYPES.get(name, STRING) for name in TRANSITIONS if name != "evidence"}, (TIME, ID))


class Emission(NamedTuple):
    """What the latches decided: a transition before it is written out.

    `level` and `before`: numbers of the rule's levels from 1, after and before; 0 is clear. `identity`: what follows
    the fingerprint in the id's hash. `row`: the number of the row that explains it.
    """

    kind: Transition
    level: int
    before: int
    time: int
    sequence: int
    identity: tuple[str | int, ...]
    row: int
    reason: str = ""


def write(
    spec: MachineSpec, emissions: Iterable[tuple[Emission, Mapping[str, object]]], *, early: bool = False
) -> pl.DataFrame:
    """Give the transitions as a batch of LOG, sorted by (`__time`, `__id`).

    Each emission comes with its row: `spec.read` columns, `__time`, `__id` and `__evidence`.
    """
    records = [_record(spec, emission, row, early=early) for emission, row in emissions]
    return pl.DataFrame(records, schema=LOG.physical, orient="row").sort(TIME, ID)


def _record(spec: MachineSpec, emission: Emission, row: Mapping[str, object], *, early: bool) -> dict[str, object]:
    entity = fingerprint(row, spec.entity)
    identity = alert_id(spec.topology, spec.rule, entity, *emission.identity)
    level = spec.levels[max(emission.level or emission.before, 1) - 1]
    told = row if not spec.signs else {**row, SIGNS: ", ".join(_signs(spec, row))}
    return {
        TIME: emission.time,
        ID: f"{identity}/{emission.sequence:0{_SEQUENCE_DIGITS}d}",
        "alert_id": identity,
        "sequence": emission.sequence,
        "kind": str(emission.kind),
        "level": (level.level if emission.level else Level.CLEAR).name.lower(),
        "time": emission.time,
        "topology": spec.topology,
        "rule": spec.rule,
        "rule_version": spec.version,
        "entity": entity,
        "values": encode(values(spec, row)),
        "evidence": _evidence(spec, row),
        "says": _sentence(spec, level, told),
        "labels": encode({name: template.render(told, spec.zone) for name, template in spec.labels.items()}),
        "runbook": spec.runbook,
        "reason": emission.reason,
        "early": early,
    }


def values(spec: MachineSpec, row: Mapping[str, object]) -> Mapping[str, Json]:
    """Give what an alert's `values` hold: columns, measure, thresholds by level, parameters, signs that are true."""
    shown: dict[str, Json] = {
        name: typed(row[name], kind) for name, kind in spec.columns.items() if not name.startswith("__")
    }
    if spec.measure:
        shown["measure"] = typed(row[spec.measure], spec.columns[spec.measure])
    bounds = {level.level.name.lower(): _bound(spec, level, row) for level in spec.levels if level.bound is not None}
    if bounds:
        shown["thresholds"] = bounds
    if spec.parameters:
        shown["parameters"] = {name: _parameter(constant) for name, constant in spec.parameters.items()}
    if spec.signs:
        shown["signs"] = _signs(spec, row)
    return shown


def _bound(spec: MachineSpec, level: LevelSpec, row: Mapping[str, object]) -> Json:
    if isinstance(level.bound, str):
        return typed(row[level.bound], spec.columns[level.bound])
    return None if level.bound is None else level.bound.value


def _parameter(constant: Constant) -> Mapping[str, Json]:
    unit = {"unit": constant.type.unit} if constant.type.unit else {}
    return {"value": constant.value, "text": constant.text, **unit}


def _signs(spec: MachineSpec, row: Mapping[str, object]) -> list[str]:
    return [name for name, column in spec.signs.items() if row[column]]


def _evidence(spec: MachineSpec, row: Mapping[str, object]) -> list[object]:
    evidence = row[EVIDENCE]
    return list(evidence)[-spec.evidence_most :] if isinstance(evidence, list) else []


def _sentence(spec: MachineSpec, level: LevelSpec, row: Mapping[str, object]) -> str:
    sentences = {name: text.render(row, spec.zone) for name, text in (level.says or spec.says).items()}
    return sentences.get("", "") if set(sentences) <= {""} else encode(sentences)
