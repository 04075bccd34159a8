"""Quality counters of one step, per field: what the built-in stream `quality` is made of."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from streams.codecs.reasons import Reason
from streams.ingest.spec import Counts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import polars as pl

    from streams.codecs.reasons import Dead
    from streams.ingest.spec import IngestSpec


def count_quality(
    spec: IngestSpec, rows: pl.DataFrame, dead: Iterable[Dead], failed: Mapping[str, int], late: int
) -> Counts:
    """Count a step's records, per field the missing and the failed ones.

    `rows`: all that decoded, late ones included. `dead`: what did not decode. `failed`: records that failed a check,
    per field that it reads, "" for the number of records that died of one.
    """
    letters = list(dead)
    missing = Counter(letter.field for letter in letters if letter.reason == Reason.MISSING)
    wrong = Counter(letter.field for letter in letters if letter.reason != Reason.MISSING and letter.field)
    fields = tuple(
        (name, missing[name] + rows.get_column(name).null_count(), wrong[name] + failed.get(name, 0))
        for name in spec.layout.fields
    )
    return Counts(spec.stream, rows.height + len(letters), len(letters) + failed.get("", 0), late, fields)
