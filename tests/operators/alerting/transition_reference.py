"""Transitions written one by one, as plainly as can be: what `operators.alerting.transitions` does in columns."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from operators.alerting.template import SIGNS
from tocsin.model.display import display
from tocsin.model.types import Kind

if TYPE_CHECKING:
    from operators.alerting.rule import LevelSpec, MachineSpec
    from operators.alerting.template import Template
    from operators.expressions.scope import Constant
    from tocsin.model.types import Type

Row = dict[str, Any]


class Digits(int):
    """A number whose JSON is a decimal, digit for digit."""

    text = ""


def dumps(value: object) -> str:
    """Give canonical JSON, piece by piece."""
    if isinstance(value, Digits):
        return value.text
    if isinstance(value, dict):
        return "{" + ",".join(f"{dumps(name)}:{dumps(value[name])}" for name in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(dumps, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def plain(value: Any, kind: Type) -> object:  # noqa: ANN401  # a column's physical value
    """Give what stands for a physical value in JSON."""
    if value is None:
        return None
    if kind.kind is Kind.TIMESTAMP:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=value)
        return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
    if kind.kind is Kind.DECIMAL:
        number = Digits()
        number.text = f"{Decimal((value < 0, [int(digit) for digit in str(abs(value))], -kind.scale)):f}"
        return number
    return value


def sentence(template: Template, row: Row, zone: str) -> str:
    """Put the row's values between the texts."""
    return "".join(
        part if isinstance(part, str) else display(row[part.column], part.type, part.spec, zone=zone)
        for part in template.parts
    )


def _bound(bound: Constant | str, spec: MachineSpec, row: Row) -> object:
    return plain(row[bound], spec.columns[bound]) if isinstance(bound, str) else bound.value


def _values(spec: MachineSpec, row: Row, signs: list[str]) -> dict[str, object]:
    shown = {name: plain(row[name], kind) for name, kind in spec.columns.items() if not name.startswith("__")}
    if spec.measure:
        shown["measure"] = plain(row[spec.measure], spec.columns[spec.measure])
    bounds = {one.level.name.lower(): _bound(one.bound, spec, row) for one in spec.levels if one.bound is not None}
    if bounds:
        shown["thresholds"] = bounds
    if spec.parameters:
        shown["parameters"] = {
            name: {"value": c.value, "text": c.text} | ({"unit": c.type.unit} if c.type.unit else {})
            for name, c in spec.parameters.items()
        }
    return shown | ({"signs": signs} if spec.signs else {})


def _says(level: LevelSpec, spec: MachineSpec, row: Row) -> str:
    sentences = {name: sentence(text, row, spec.zone) for name, text in (level.says or spec.says).items()}
    return sentences.get("", "") if set(sentences) <= {""} else dumps(sentences)


def record(spec: MachineSpec, row: Row, said: Row, *, early: bool) -> Row:
    """Write one transition; `said`: level, before, time, sequence, identity (what ends the hashed list), reason."""
    entity = dumps({name: plain(row[name], kind) for name, kind in spec.entity.items()})
    hashed = dumps([spec.topology, spec.rule, entity, *said["identity"]])
    identity = hashlib.blake2b(hashed.encode(), digest_size=16).hexdigest()
    after, before = said["level"], said["before"]
    spoken = spec.levels[(after or before) - 1]
    signs = [name for name, column in spec.signs.items() if row[column]]
    told = row | {SIGNS: ", ".join(signs)}
    changed = "updated" if after == before else "level_changed"
    return {
        "__time": said["time"],
        "__id": f"{identity}/{said['sequence']:09d}",
        "alert_id": identity,
        "sequence": said["sequence"],
        "kind": "raised" if not before else "cleared" if not after else changed,
        "level": spoken.level.name.lower() if after else "clear",
        "time": said["time"],
        "topology": spec.topology,
        "rule": spec.rule,
        "rule_version": spec.version,
        "entity": entity,
        "values": dumps(_values(spec, row, signs)),
        "evidence": row["__evidence"] or [],
        "says": _says(spoken, spec, told),
        "labels": dumps({name: sentence(text, told, spec.zone) for name, text in spec.labels.items()}),
        "runbook": spec.runbook,
        "reason": said["reason"],
        "early": early,
    }
