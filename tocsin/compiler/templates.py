"""Sentences and labels of a rule: `{expressions}` in them become columns of the judged rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from operators.alerting.template import Hole, Slot, Template, TemplateError, parse_template
from tocsin.language.model import Text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tocsin.compiler.rules import Ruling


class Templates:
    """Compiles the templates of one rule."""

    def __init__(self, ruling: Ruling) -> None:
        self._ruling = ruling

    def compile(self, texts: Mapping[Text, Text]) -> dict[str, Template]:
        """Compile templates by name (a language, a label)."""
        return {str(name): Template(self._parts(text)) for name, text in texts.items()}

    def _parts(self, text: Text) -> tuple[str | Slot, ...]:
        try:
            pieces = parse_template(str(text))
        except TemplateError as error:
            self._ruling.context.report.add(text, "template", error.what, expected=error.expected)
            return ()
        made = (piece if isinstance(piece, str) else self._slot(piece, text) for piece in pieces)
        return tuple(piece for piece in made if piece is not None)

    def _slot(self, hole: Hole, text: Text) -> str | Slot | None:
        ruling = self._ruling
        if hole.expression in ruling.constants and hole.expression not in ruling.columns:
            return ruling.constants[hole.expression].text
        if hole.expression in ruling.columns:
            ruling.shown[hole.expression] = ruling.columns[hole.expression]
            return Slot(hole.expression, ruling.columns[hole.expression], hole.spec)
        bound = ruling.bind(Text(hole.expression, text.mark))
        if bound is None:
            return None
        ruling.add(hole.expression, bound)
        ruling.shown[hole.expression] = bound.type
        return Slot(hole.expression, bound.type, hole.spec)
