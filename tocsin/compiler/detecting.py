"""`detect:` of a feature: each detector is an operator behind the windows."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import polars as pl

from operators.expressions.bound import Bound
from operators.rowwise import Column
from tocsin.compiler.groups import past
from tocsin.errors import nearest
from tocsin.model.rows import Schema
from tocsin.model.types import STRING

if TYPE_CHECKING:
    from operators.detectors import DetectorKind
    from tocsin.compiler.features import Draft
    from tocsin.language.model import DetectWord

_TELLING = ("value", "low", "high", "rise")
"""Columns of a detector from which what it watches could be known."""


def detect(draft: Draft) -> None:
    """Append the feature's detectors to its chain."""
    if not draft.word.detect:
        return
    from operators.detectors import DETECTORS  # noqa: PLC0415  # they need numpy, and most topologies have none

    for word in draft.word.detect:
        kind = DETECTORS.get(str(word.kind))
        if kind is None:
            draft.context.report.unknown(word.kind, "detector", DETECTORS)
        elif _fits(draft, word, kind):
            _append(draft, word, kind)


def _fits(draft: Draft, word: DetectWord, kind: DetectorKind) -> bool:
    """Note what is wrong with a detector, but for its options' values."""
    report = draft.context.report
    if not draft.by and not kind.peers:
        what = f"{draft.name} has no key, so {word.kind} would know no history to compare with"
        report.add(word.mark, "detect", what, expected="by: the columns whose values have a history each")
        return False
    if len(word.columns) > 1:
        what = f"{word.kind} watches one column, not {len(word.columns)}"
        report.add(word.columns[1], "detect", what, expected="a detector for each column")
        return False
    known = [option.name for option in kind.options]
    wrong = [name for name in word.options if name not in known]
    for name in wrong:
        what = f"{word.kind} has no option {str(name)!r}"
        report.add(name, "unknown-option", what, expected=f"one of {', '.join(known)}", nearest=nearest(name, known))
    return not wrong


def _append(draft: Draft, word: DetectWord, kind: DetectorKind) -> None:
    from operators.detectors import detector_operator, reach_of  # noqa: PLC0415  # as above

    column = _watched(draft, word)
    if column is None:
        return
    options = {str(name): str(value) for name, value in word.options.items()}
    zone = str(draft.context.topology.header.zone)
    seen = f"__{word.name}" if draft.fills else column
    schema = draft.schema.plus({seen: draft.columns[column]})
    try:
        operator = detector_operator(str(word.kind), str(word.name), tuple(draft.by), seen, options, schema, zone=zone)
        reach = draft.fills + reach_of(kind, options)
    except ValueError as error:
        _note_option(draft, word, kind, str(error))
        return
    if seen != column or not kind.peers:
        _by_its_own_key(draft, str(word.name))
    if seen != column:
        _wait_until_full(draft, str(word.name), column, seen, reach)
    draft.learns = max(draft.learns, reach + max(node.learns for node in draft.sources))
    if kind.peers:
        _among_peers(draft, str(word.name), options.get("class"))
    draft.append(operator)
    if column in draft.groups:
        draft.groups |= {f"{word.name}.{suffix}": past(draft.groups[column]) for suffix in _TELLING}


def _wait_until_full(draft: Draft, name: str, column: str, seen: str, reach: int) -> None:
    """Let the detector see the column only once the rows of a key are full."""
    from operators.detectors.filling import Filling, silence_after  # noqa: PLC0415  # as above

    system = draft.schema.system
    draft.columns = {**draft.columns, seen: draft.columns[column]}
    full = Filling(
        f"{name}>full",
        tuple(draft.by),
        column,
        seen,
        fills=draft.fills,
        silence=silence_after(reach),
        output=Schema(draft.columns, system),
    )
    draft.chain.append(full)


def _note_option(draft: Draft, word: DetectWord, kind: DetectorKind, said: str) -> None:
    """Note what a detector refuses, at the option that it is about."""
    what = said.partition("; expected ")[0]
    about = next((option for option in kind.options if re.search(rf"\b{option.name}\b", what)), None)
    place = next((value for name, value in word.options.items() if about and name == about.name), word.mark)
    expected = "" if about is None else f"{about.name}: {about.doc}"
    draft.context.report.add(place, "detector-option", what, expected=expected)


def _watched(draft: Draft, word: DetectWord) -> str | None:
    """Give the column that is watched; an expression becomes one."""
    bound = draft.bind(word.column)
    if bound is None:
        return None
    if not bound.type.numeric:
        draft.context.report.add(
            word.column, "detect", f"{word.column} is of type {bound.type}", expected="a number to watch"
        )
        return None
    column = str(word.column)
    if column not in draft.columns:
        draft.columns[column] = bound.type
        draft.rowwise(f"{word.name}>column", [Column(column, bound)])
    return column


def _by_its_own_key(draft: Draft, name: str) -> None:
    """Go back from the class of peers to the key: what is remembered of a key must not depend on its class."""
    if draft.key is not None:
        draft.end_stage(f"{name}>key", tuple(draft.by), {})
        draft.key = None


def _among_peers(draft: Draft, name: str, class_: str | None) -> None:
    """Bring the rows of a class together: a stage of its own, keyed by the class (semantics 18)."""
    if class_ is None:
        draft.end_stage(name, (), {})
        return
    # A row without a class is compared with nobody, but stays.
    key = pl.col(class_).cast(pl.String).fill_null("")
    draft.end_stage(name, ("__class",), {"__class": Bound(key, STRING, frozenset({class_}), (), f"class {class_}")})
