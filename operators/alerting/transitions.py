"""Transitions as rows of the log: each explains itself (design 6)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from operators.alerting.encoding import Json, alert_id, encode
from operators.alerting.template import SIGNS
from operators.alerting.texts import Parts, Quoted, Texts, Value, json_object
from tocsin.model.alerts import TRANSITIONS, Level, Transition
from tocsin.model.rows import EVIDENCE, EVIDENCE_DTYPE, ID, SYSTEM, TIME, Schema
from tocsin.model.types import BOOLEAN, INT64, STRING, TIMESTAMP, Type

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from operators.alerting.rule import LevelSpec, MachineSpec
    from operators.expressions.scope import Constant

_SEQUENCE_DIGITS = 9
"""Wide enough that the text of a sequence sorts as its number."""

_LEVELS = range(len(Level))
_RAISED = [Transition.RAISED.value for _ in _LEVELS]
_CHANGED = [Transition.CLEARED.value, *[Transition.LEVEL_CHANGED.value] * (len(_LEVELS) - 1)]
_KINDS = [_RAISED, *([*_CHANGED[:n], Transition.UPDATED.value, *_CHANGED[n + 1 :]] for n in _LEVELS[1:])]
"""What a transition is, by the number of the level before and after."""

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
_DTYPES = LOG.physical


@cache
def nothing_said() -> pl.DataFrame:
    """Give a batch of LOG without rows; most steps have nothing else to give."""
    return LOG.empty()


class Said(NamedTuple):
    """What the machine decided, in columns: transitions before they are written out.

    `level` and `before`: numbers of the rule's levels from 1, after and before; 0 is clear. `identity`: what follows
    the fingerprint in the id's hash, as JSON.
    """

    level: Sequence[int]
    before: Sequence[int]
    time: Sequence[int]
    sequence: Sequence[int]
    identity: Sequence[str]
    reason: Sequence[str]


class Writer:
    """Writes transitions out; everything that is the same in all of a rule's transitions is made once, here."""

    def __init__(self, spec: MachineSpec) -> None:
        """Cut what a transition says into parts."""
        self._spec = spec
        self._about = f"{encode([spec.topology, spec.rule])[:-1]},"
        self._entity = json_object({name: (Value(name, kind),) for name, kind in spec.entity.items()})
        self._values = _values(spec)
        self._voices = [_sentence(spec, level) for level in spec.levels]
        self._labels = json_object({name: (Quoted(text.parts),) for name, text in spec.labels.items()})
        self._levels = tuple(level.name.lower() for level in (Level.CLEAR, *(one.level for one in spec.levels)))

    def write(self, said: Said, rows: pl.DataFrame, *, early: bool = False) -> pl.DataFrame:
        """Give transitions as a batch of LOG, sorted by (`__time`, `__id`).

        Args:
            said: the transitions.
            rows: the row that explains each: `spec.read` columns and `__evidence`.
            early: whether they are early copies.

        """
        spec, texts = self._spec, Texts(rows, self._spec.signs, self._spec.zone)
        entity = texts.joined(self._entity)
        ids = self._ids(entity, said)
        numbers = {number: f"/{number:0{_SEQUENCE_DIGITS}d}" for number in set(said.sequence)}
        own = [one + numbers[number] for one, number in zip(ids, said.sequence, strict=True)]
        columns: dict[str, Sequence[object] | pl.Series] = {
            TIME: said.time,
            ID: own,
            "alert_id": ids,
            "sequence": said.sequence,
            "kind": [_KINDS[before][after] for before, after in zip(said.before, said.level, strict=True)],
            "level": [self._levels[number] for number in said.level],
            "time": said.time,
            "topology": [spec.topology] * rows.height,
            "rule": [spec.rule] * rows.height,
            "rule_version": [spec.version] * rows.height,
            "entity": entity,
            "values": texts.joined(self._values),
            "evidence": _there(rows.get_column(EVIDENCE)),
            "says": self._says(texts, said),
            "labels": texts.joined(self._labels),
            "runbook": [spec.runbook] * rows.height,
            "reason": said.reason,
            "early": [early] * rows.height,
        }
        series = [pl.Series(name, column, _DTYPES[name]) for name, column in columns.items()]
        log = pl.DataFrame(series)
        return log if _in_order(said.time, own) else log.sort(TIME, ID)

    def _ids(self, entity: Sequence[str], said: Said) -> list[str]:
        told = zip(entity, said.identity, strict=True)
        return [alert_id(f"{self._about}{encode(one)},{identity}]") for one, identity in told]

    def _says(self, texts: Texts, said: Said) -> list[str]:
        """Give the sentences: of the level after, or of the one before where none is left."""
        if len(set(self._voices)) == 1:
            return texts.joined(self._voices[0])
        spoken = [max(level or before, 1) - 1 for level, before in zip(said.level, said.before, strict=True)]
        voices = [iter(texts.joined(parts, [n == one for one in spoken])) for n, parts in enumerate(self._voices)]
        return [next(voices[number]) for number in spoken]


def _in_order(times: Sequence[int], ids: Sequence[str]) -> bool:
    return all(one <= two for one, two in pairwise(zip(times, ids, strict=True)))


def _there(evidence: pl.Series) -> pl.Series:
    """Give an empty list where there is none."""
    return evidence.fill_null(pl.lit([], EVIDENCE_DTYPE)) if evidence.null_count() else evidence


def _values(spec: MachineSpec) -> Parts:
    """Give what an alert's `values` hold: columns, measure, thresholds by level, parameters, signs that are true."""
    shown: dict[str, Parts] = {
        name: (Value(name, kind),) for name, kind in spec.columns.items() if not name.startswith("__")
    }
    if spec.measure:
        shown["measure"] = (Value(spec.measure, spec.columns[spec.measure]),)
    bounds = {level.level.name.lower(): _bound(spec, level) for level in spec.levels if level.bound is not None}
    if bounds:
        shown["thresholds"] = json_object(bounds)
    if spec.parameters:
        shown["parameters"] = (encode({name: _parameter(constant) for name, constant in spec.parameters.items()}),)
    if spec.signs:
        shown["signs"] = (Value(SIGNS, STRING),)
    return json_object(shown)


def _bound(spec: MachineSpec, level: LevelSpec) -> Parts:
    if isinstance(level.bound, str):
        return (Value(level.bound, spec.columns[level.bound]),)
    return (encode(None if level.bound is None else level.bound.value),)


def _parameter(constant: Constant) -> Mapping[str, Json]:
    unit = {"unit": constant.type.unit} if constant.type.unit else {}
    return {"value": constant.value, "text": constant.text, **unit}


def _sentence(spec: MachineSpec, level: LevelSpec) -> Parts:
    sentences = level.says or spec.says
    if set(sentences) <= {""}:
        return sentences[""].parts if sentences else ()
    return json_object({name: (Quoted(text.parts),) for name, text in sentences.items()})
