"""`detect:` of a feature: each detector is an operator behind the windows."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from operators.detectors import DETECTORS, detector_operator
from operators.rowwise import Column
from tocsin.errors import TocsinError

if TYPE_CHECKING:
    from tocsin.compiler.features import Draft
    from tocsin.language.model import DetectWord


def detect(draft: Draft) -> None:
    """Append the feature's detectors to its chain."""
    for word in draft.word.detect:
        _one(draft, word)


def _one(draft: Draft, word: DetectWord) -> None:
    report = draft.context.report
    kind = DETECTORS.get(str(word.kind))
    if kind is None:
        report.unknown(word.kind, "detector", DETECTORS)
        return
    bound = draft.bind(word.column)
    if bound is None or _unknown_options(draft, word):
        return
    if not bound.type.numeric:
        report.add(word.column, "detect", f"{word.column} is {bound.type}", expected="a number to watch")
        return
    column = str(word.column)
    if column not in draft.columns:
        draft.columns[column] = bound.type
        draft.rowwise(f"{word.name}>column", [Column(column, bound)])
    options = {str(name): str(value) for name, value in word.options.items()}
    try:
        operator = detector_operator(
            str(word.kind),
            str(word.name),
            tuple(draft.by) or draft.sources[0].by,
            column,
            options,
            draft.schema,
            zone=str(draft.context.topology.header.zone),
        )
    except (TocsinError, ValueError) as error:
        report.add(word.mark, "detector-option", str(error))
        return
    draft.chain.append(operator)
    draft.columns = dict(operator.output.columns)


def _unknown_options(draft: Draft, word: DetectWord) -> bool:
    known = [option.name for option in DETECTORS[str(word.kind)].options]
    wrong = [name for name in word.options if name not in known]
    for name in wrong:
        nearest = next(iter(get_close_matches(name, known, 1)), "")
        what = f"{word.kind} has no option {str(name)!r}"
        draft.context.report.add(name, "unknown-option", what, expected=f"one of {', '.join(known)}", nearest=nearest)
    return bool(wrong)
