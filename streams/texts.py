"""Rows written as texts, in a topology or in the test of a rule, as columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from streams.codecs.reasons import Bad, Reason
from streams.codecs.scalars import read_value
from tocsin.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tocsin.model.types import Type


def read_texts(
    rows: Sequence[Mapping[str, str]], fields: Mapping[str, Type], keys: Sequence[str], where: str
) -> pl.DataFrame:
    """Read rows written as texts into physical columns; SourceError names the row (from 1) and field that is bad."""
    columns = {name: _column(rows, name, type_, where, required=name in keys) for name, type_ in fields.items()}
    return pl.DataFrame(columns, schema={name: type_.physical for name, type_ in fields.items()})


def _column(rows: Sequence[Mapping[str, str]], name: str, type_: Type, where: str, *, required: bool) -> list[object]:
    """Read one field of all rows, each different text once."""
    known: dict[str | None, object] = {}
    for number, row in enumerate(rows, 1):
        text = row.get(name)
        if text in known:
            continue
        if required and text is None:
            raise SourceError(f"{where}, row {number}: {name} is {Reason.MISSING}: the row has none")
        try:
            known[text] = read_value(None if text is None else str(text), type_)
        except Bad as bad:
            raise SourceError(f"{where}, row {number}: {name} is {bad.reason}: {bad.detail}") from None
    return [known[row.get(name)] for row in rows]
