"""The contract of one transition: the JSON object that stands in messages and lines, and the same as an Avro record.

Both come from the columns of the transition log (`tocsin.model.alerts.TRANSITIONS`) and what is said of them in
`tocsin.model.alert_events`. In Avro the members that are JSON objects are their text, so that no digit is lost.
"""

from __future__ import annotations

from typing import Any, Final

import polars as pl

from tocsin.model.alert_events import DATASCHEMA, MEANINGS, SHORTENED
from tocsin.model.alerts import LEVELS, TRANSITIONS, Level, Transition

Schema = dict[str, Any]

_JSON_TYPES: Final = {pl.String(): "string", pl.Int64(): "integer", pl.Boolean(): "boolean"}
_AVRO_TYPES: Final = {pl.String(): "string", pl.Int64(): "long", pl.Boolean(): "boolean"}
_EVIDENCE_MEANINGS: Final = {"id": "of the event, null if its stream has none", "position": "where it was read"}
_TEXTS: Final = {"type": "object", "additionalProperties": {"type": "string"}}

_JSON: Final[dict[str, Schema]] = {
    "alert_id": {"type": "string", "minLength": 1},
    "sequence": {"type": "integer", "minimum": 1},
    "kind": {"enum": [kind.value for kind in Transition]},
    "level": {"enum": [*LEVELS, Level.CLEAR.name.lower()]},
    "time": {"type": "string", "format": "date-time", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"},
    "entity": {"type": "object"},
    "values": {"type": "object"},
    "evidence": {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {
                "id": {"type": ["string", "null"], "description": _EVIDENCE_MEANINGS["id"]},
                "position": {"type": ["integer", "null"], "description": _EVIDENCE_MEANINGS["position"]},
            },
            "required": ["id", "position"],
        },
    },
    "says": {"anyOf": [{"type": "string"}, _TEXTS]},
    "labels": _TEXTS,
}
"""Members that are more than their column's type."""

_AVRO: Final[dict[str, Any]] = {
    "time": {"type": "long", "logicalType": "timestamp-millis"},
    "evidence": {
        "type": "array",
        "items": {
            "type": "record",
            "name": "Evidence",
            "fields": [
                {"name": "id", "type": ["null", "string"], "doc": _EVIDENCE_MEANINGS["id"]},
                {"name": "position", "type": ["null", "long"], "doc": _EVIDENCE_MEANINGS["position"]},
            ],
        },
    },
}
_AS_TEXT: Final = {
    "entity": "as the text of a JSON object",
    "values": "as the text of a JSON object",
    "labels": "as the text of a JSON object",
    "says": "several languages as the text of a JSON object",
}


def alert_schema() -> Schema:
    """Give the JSON Schema (2020-12) of a transition; consumers pass over members that they do not know."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": DATASCHEMA,
        "title": "Alert transition",
        "description": "What happened to an alert. `alert_id` and `sequence` name it; a second one is a copy.",
        **alert_object(),
    }


def alert_object() -> Schema:
    """Give the schema without what a document of its own has."""
    return {
        "type": "object",
        "properties": {name: _member(name) for name in TRANSITIONS},
        "required": list(TRANSITIONS),
    }


def alert_avro() -> Schema:
    """Give the Avro schema of a transition."""
    return {
        "type": "record",
        "name": "AlertTransition",
        "namespace": "tocsin.alert.v1",
        "doc": "What happened to an alert. alert_id and sequence name it; a second one is a copy.",
        "fields": [_field(name) for name in TRANSITIONS],
    }


def _member(name: str) -> Schema:
    schema = {"description": MEANINGS[name]} | _JSON.get(name, {"type": _JSON_TYPES.get(TRANSITIONS[name])})
    return _nullable(schema) if name in SHORTENED else schema


def _nullable(schema: Schema) -> Schema:
    if "anyOf" in schema:
        return schema | {"anyOf": [*schema["anyOf"], {"type": "null"}]}
    return schema | {"type": [schema["type"], "null"]}


def _field(name: str) -> Schema:
    doc = f"{MEANINGS[name]}; {_AS_TEXT[name]}" if name in _AS_TEXT else MEANINGS[name]
    type_ = _AVRO.get(name, _AVRO_TYPES.get(TRANSITIONS[name]))
    if name in SHORTENED:
        return {"name": name, "type": ["null", type_], "default": None, "doc": doc}
    return {"name": name, "type": type_, "doc": doc}
