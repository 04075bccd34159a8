"""Sentences and labels of a rule: `{expressions}` in them become columns of the judged rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from operators.alerting.template import SIGNS, Hole, Slot, Template, TemplateError, parse_template
from tocsin.language.model import Text
from tocsin.language.places import place_in
from tocsin.model.display import is_spec
from tocsin.model.types import STRING, Kind, Type

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tocsin.compiler.judging import Ruling

_FORMS = {
    Kind.TIMESTAMP: "%H:%M, %Y-%m-%d or another strftime pattern",
    **dict.fromkeys((Kind.INT64, Kind.FLOAT64, Kind.DECIMAL), ".2, % or .1%"),
}


def compile_templates(texts: Mapping[Text, Text], ruling: Ruling) -> dict[str, Template]:
    """Compile templates by name (a language, a label)."""
    return {str(name): Template(_parts(text, ruling)) for name, text in texts.items()}


def _parts(text: Text, ruling: Ruling) -> tuple[str | Slot, ...]:
    try:
        pieces = parse_template(str(text))
    except TemplateError as error:
        ruling.context.report.add(place_in(text, error.offset), "template", error.what, expected=error.expected)
        return ()
    made = (piece if isinstance(piece, str) else _slot(piece, text, ruling) for piece in pieces)
    return tuple(piece for piece in made if piece is not None)


def _slot(hole: Hole, text: Text, ruling: Ruling) -> str | Slot | None:
    name = hole.expression
    if name == "signs" and name not in ruling.columns and any(c.startswith("__sign_") for c in ruling.columns):
        return Slot(SIGNS, STRING, hole.spec)
    if name in ruling.parameters and name not in ruling.columns and not hole.spec:
        return ruling.parameters[name].text
    if name not in ruling.columns:
        # The name of a column that holds what a parameter of that name would be formatted from.
        bound = ruling.bind(Text(name), at=lambda offset: place_in(text, hole.offset + offset))
        if bound is None:
            return None
        ruling.add(name, bound, shown=False)
    type_ = ruling.columns[name]
    _check_form(hole, text, type_, ruling)
    return Slot(name, type_, hole.spec)


def _check_form(hole: Hole, text: Text, type_: Type, ruling: Ruling) -> None:
    if not is_spec(hole.spec, type_.kind):
        at = place_in(text, text.index(hole.spec, hole.offset + len(hole.expression)))
        what = f"{hole.spec!r} does not format {hole.expression}, which is of type {type_}"
        expected = _FORMS.get(type_.kind, "no format")
        ruling.context.report.add(at, "template", what, expected=expected)
