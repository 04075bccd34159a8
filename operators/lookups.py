"""Tables as of event time: look-ups, membership, and one row per row of a table.

Versions of a table lie in one frame (operators/contract.py, `Instant.tables`). A row at t sees, per key, the version
with the greatest time <= t; a deleted one (`__gone`) is as if it were not there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from tocsin.model.rows import TIME

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Mapping, Sequence

    from operators.expressions.bound import Lookup

GONE = "__gone"
ALWAYS = -(1 << 62)
"""Valid from the beginning: the time of `file` and `rows` tables."""

_FOUND = "__found"


def look_up(
    rows: pl.DataFrame,
    lookups: Sequence[Lookup],
    tables: Mapping[str, pl.DataFrame],
    keys: Mapping[str, tuple[str, ...]],
    missed: Counter[str] | None = None,
) -> pl.DataFrame:
    """Add the columns of the look-ups that are not there yet; rows that come by time cost least.

    `keys` names the key fields of each table. `missed` takes, by table, for how many rows there was
    none to read from; that `in` says no is no miss.
    """
    for lookup in lookups:
        wanted = {field: column for field, column in lookup.into.items() if column not in rows.columns}
        if wanted or (lookup.found and lookup.found not in rows.columns):
            rows, found = _look_up_one(rows, lookup, wanted, tables[lookup.table], keys[lookup.table])
            if missed is not None and wanted:
                missed[lookup.table] += rows.height - found
    return rows


def _look_up_one(
    rows: pl.DataFrame, lookup: Lookup, wanted: Mapping[str, str], table: pl.DataFrame, key: tuple[str, ...]
) -> tuple[pl.DataFrame, int]:
    """Give the rows with the columns, and for how many of them there is a row in the table."""
    key_columns = [f"__key{i}" for i in range(len(key))]
    left = rows.with_columns(e.alias(c) for e, c in zip(lookup.keys, key_columns, strict=True))
    right = table.select(
        *(pl.col(k).alias(c) for k, c in zip(key, key_columns, strict=True)),
        TIME,
        pl.col(GONE).not_().alias(_FOUND),
        *(pl.when(~pl.col(GONE)).then(pl.col(field)).alias(column) for field, column in wanted.items()),
    )
    joined = _join(left, right, key_columns)
    found = [pl.col(_FOUND).fill_null(value=False).alias(lookup.found)] if lookup.found else []
    return joined.with_columns(found).drop(*key_columns, _FOUND), int(joined.get_column(_FOUND).sum())


def _join(left: pl.DataFrame, right: pl.DataFrame, key: list[str]) -> pl.DataFrame:
    """Join as of `__time`, or plainly where the table knows no time."""
    if right.is_empty() or right.get_column(TIME).max() == ALWAYS:
        return left.join(right.drop(TIME), on=key, how="left", maintain_order="left")
    right, times = right.sort(TIME), left.get_column(TIME)
    if times.is_sorted():
        return _as_of(left, right, key)
    order = times.arg_sort()  # rows for windows come by key (`Reorder.by_key`)
    return _as_of(left[order], right, key)[order.arg_sort()]


def _as_of(left: pl.DataFrame, right: pl.DataFrame, key: list[str]) -> pl.DataFrame:
    """Join both sides sorted by time: Polars goes through each once, and does not see where time goes back."""
    return left.join_asof(right, on=TIME, by=key, strategy="backward", check_sortedness=False)


def each_row(
    rows: pl.DataFrame, lookup: Lookup, table: pl.DataFrame, key: tuple[str, ...], prefix: str
) -> pl.DataFrame:
    """Give one row per (row, row of the table whose first key part matches, as of the row's time).

    The table's fields become `prefix.field`. Rows that match none are dropped. Order: by row, then by the rest of the
    key.
    """
    versions = table.with_columns(
        pl.col(TIME).shift(-1).over(key, order_by=TIME).fill_null(-ALWAYS).alias("__next"), pl.col(TIME).alias("__from")
    )
    right = versions.filter(~pl.col(GONE)).select(
        "__from", "__next", *(pl.col(c).alias(f"{prefix}.{c}") for c in table.columns if c not in {TIME, GONE})
    )
    first = f"{prefix}.{key[0]}"
    valid = (pl.col("__from") <= pl.col(TIME)) & (pl.col(TIME) < pl.col("__next"))
    left = rows.with_row_index("__row").with_columns(lookup.keys[0].alias("__key"))
    joined = left.join(right.with_columns(pl.col(first).alias("__key")), on="__key", how="inner").filter(valid)
    order = ["__row", *(f"{prefix}.{k}" for k in key)]
    return joined.sort(order).drop("__row", "__key", "__from", "__next")


def vanished(table: pl.DataFrame, now: pl.DataFrame, key: tuple[str, ...]) -> pl.DataFrame:
    """Give deletions of what a table has and `now`, all versions that its source still holds, does not name.

    Each at the time of the key's last version.
    """
    gone = table.join(now, on=key, how="anti", nulls_equal=True).unique(key, keep="last", maintain_order=True)
    return gone.with_columns(pl.lit(value=True).alias(GONE)).select(now.columns)


def merge_versions(table: pl.DataFrame, changes: pl.DataFrame, key: tuple[str, ...], passed: int) -> pl.DataFrame:
    """Take in changes of a table; `passed` is the watermark so far.

    A change whose time has passed counts from the next moment (semantics 20). Of several changes of one key and time
    the last one in `changes` stays. Versions that no later row can see are dropped.
    """
    late = pl.max_horizontal(pl.col(TIME), pl.lit(passed + 1))
    changes = changes.with_columns(pl.when(pl.col(TIME) == ALWAYS).then(TIME).otherwise(late).alias(TIME))
    merged = pl.concat([table, changes]).unique([*key, TIME], keep="last", maintain_order=True).sort(TIME)
    next_time = pl.col(TIME).shift(-1).over(key)
    return merged.filter(next_time.is_null() | (next_time > passed))
