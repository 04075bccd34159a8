"""Quality counters of one step, per field: what the built-in stream `quality` is made of."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import polars as pl

from streams.codecs.reasons import Reason
from streams.ingest.spec import COUNTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from streams.codecs.reasons import Dead
    from streams.ingest.spec import IngestSpec


def count_quality(
    spec: IngestSpec, rows: pl.DataFrame, dead: Iterable[Dead], failed: Mapping[str, int], late: int
) -> pl.DataFrame:
    """Count a step's records, per field the missing and the failed ones; the schema is COUNTS.

    `rows`: all that decoded, late ones included. `dead`: what did not decode. `failed`: records that failed a check,
    per field that it reads, "" for the number of records that died of one.
    """
    letters = list(dead)
    missing = Counter(letter.field for letter in letters if letter.reason == Reason.MISSING)
    wrong = Counter(letter.field for letter in letters if letter.reason != Reason.MISSING and letter.field)
    fields = list(spec.layout.fields)
    nulls = rows.select(fields).null_count().row(0) if fields else ()
    records = rows.height + len(letters)
    table = [(spec.stream, "", records, 0, len(letters) + failed.get("", 0), late)]
    for name, absent in zip(fields, nulls, strict=True):
        table.append((spec.stream, name, records, absent + missing[name], wrong[name] + failed.get(name, 0), late))
    return pl.DataFrame(table, schema=dict(COUNTS), orient="row")
