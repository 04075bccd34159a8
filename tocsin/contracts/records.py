"""The contract of the records of a stream: what its codec takes, as JSON Schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tocsin.model.types import Kind, Type

if TYPE_CHECKING:
    from tocsin.compiler.plan import StreamPlan

_FORMS: Final[dict[Kind, dict[str, Any]]] = {
    Kind.STRING: {"type": ["string", "number", "boolean"]},
    Kind.INT64: {"type": ["integer", "string"]},
    Kind.FLOAT64: {"type": ["number", "string"]},
    Kind.BOOLEAN: {"type": ["boolean", "string", "integer"]},
    Kind.TIMESTAMP: {"type": ["string", "number"]},
    Kind.DURATION: {"type": ["number", "string"]},
    Kind.DECIMAL: {"type": ["number", "string"]},
    Kind.POINT: {"type": ["object", "array", "string"]},
    Kind.POLYGON: {"type": ["string", "object", "array"]},
}
_SAID: Final[dict[Kind, str]] = {
    Kind.TIMESTAMP: "RFC 3339, or a number since the epoch",
    Kind.POINT: "`{lat, lon}`, `[lat, lon]` or `lat lon`; degrees, WGS 84",
    Kind.POLYGON: "WKT or GeoJSON; degrees, WGS 84",
}


def record_schema(stream: StreamPlan) -> dict[str, Any]:
    """Give the JSON Schema of the records of a stream; a field that may be missing may be null, too."""
    required = [name for name in dict.fromkeys((stream.time, stream.id)) if name]
    return {
        "type": "object",
        "properties": {name: _property(type_, name in required) for name, type_ in stream.fields.items()},
        "required": required,
    }


def _property(type_: Type, required: bool) -> dict[str, Any]:  # noqa: FBT001  # of this module alone
    form = dict(_FORMS[type_.kind])
    if not required:
        form["type"] = [*form["type"], "null"]
    said = [str(type_), *([_SAID[type_.kind]] if type_.kind in _SAID else [])]
    if type_.person:
        said.append("identifies a person: becomes a pseudonym when it is read")
    return {"description": "; ".join(said)} | form
