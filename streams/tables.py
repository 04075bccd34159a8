"""Rows of tables, from the topology, a file, Redis, a Kafka topic or a bounded source, as versions by event time.

One decoder reads them as it reads records (semantics 21): a row with a bad cell or without its key is a dead letter,
and identifiers of persons become the same pseudonyms. A table without `time` is valid from the beginning, or out of a
topic from its records' timestamps on (semantics 20); of rows with the same key and time the last one counts.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from operators.lookups import ALWAYS, GONE
from sinks.redis_address import names_redis
from streams.codecs.decoder import OFFSET, Decoder
from streams.codecs.record import Layout
from streams.dead_letters import dead_frame
from streams.redis_tables import read_members
from streams.sources.contract import Records
from streams.sources.opening import SUFFIXES, open_source
from streams.texts import read_texts
from tocsin.errors import SourceError
from tocsin.kafka import SCHEME as KAFKA
from tocsin.model.rows import TIME

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from streams.codecs.decoder import Decoded
    from streams.pseudonyms import Pseudonyms
    from streams.sources.contract import RawBatch
    from tocsin.compiler.plan import TablePlan
    from tocsin.model.types import Type

BATCH = 65_536
"""Rows read at once; all versions of a table are held in memory, its raw rows are not."""


class TableRead(NamedTuple):
    """What a table's rows became.

    `versions`: the fields in declared order, `__time` (valid from) and `__gone` (deleted), sorted by `__time`, within
    one time in the order of the source. `dead`: by `dead_letters.DEAD`, under the table's name. `ends`: of a topic, the
    offset of the next record by partition.
    """

    versions: pl.DataFrame
    dead: pl.DataFrame
    ends: Mapping[int, int] = {}


def read_table(table: TablePlan, uri: str | None, folder: Path, pseudonyms: Pseudonyms) -> TableRead:
    """Read a table from `uri`, or else from its `rows` or its `file` (relative to `folder`); or else it is empty.

    Raises:
        SourceError: the file cannot be read, lacks a key, or has no good row; an inline row is bad; there is no such
            topic, or no broker.

    """
    if uri is not None and uri.startswith(f"{KAFKA}:"):
        return _read_topic(table, uri, pseudonyms)
    dead = dead_frame(table.name, 0, [])
    if uri is None and table.rows is not None:
        rows = read_texts(table.rows, table.fields, required(table), f"table {table.name}")
    elif uri is None and not table.file:
        rows = _empty(table.fields)
    else:
        rows, dead = _read_source(table, uri or file_uri(folder / table.file))
    valid_from = pl.col(table.time) if table.time else pl.lit(ALWAYS, dtype=pl.Int64)
    rows = rows.with_columns(valid_from.alias(TIME), pl.lit(value=False).alias(GONE))
    return TableRead(versions_of(rows, table, pseudonyms), dead)


def required(table: TablePlan) -> tuple[str, ...]:
    """Name the fields that no row may lack: the parts of the key, and the time if there is one."""
    return (*table.key, *([table.time] if table.time else []))


def file_uri(path: Path) -> str:
    """Give the source of a file by its ending; SourceError if no format has it."""
    for scheme, suffixes in SUFFIXES.items():
        if path.suffix.lower() in suffixes:
            return f"{scheme}:{path}"
    known = ", ".join(suffix for suffixes in SUFFIXES.values() for suffix in suffixes)
    raise SourceError(f"{path}: the ending says no format; expected one of {known}")


def _read_source(table: TablePlan, uri: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Give the good rows in the order of the source, and the dead letters."""
    batches = _of_redis(table, uri) if names_redis(uri) else _of_files(table, uri)
    parts, dead = [_empty(table.fields).with_columns(pl.Series(OFFSET, [], pl.Int64))], [dead_frame(table.name, 0, [])]
    for raw, decoded in batches:
        parts.append(decoded.rows.select(*table.fields, OFFSET))
        dead.append(dead_frame(table.name, 0, decoded.dead, _form(raw)))
    rows, letters = pl.concat(parts).sort(OFFSET), pl.concat(dead).sort("offset")
    _refuse_all_bad(table, uri, rows, letters)
    return rows.drop(OFFSET), letters


def _read_topic(table: TablePlan, uri: str, pseudonyms: Pseudonyms) -> TableRead:
    from streams.kafka.tables import read_topic  # noqa: PLC0415  # needs the extra `kafka`

    read = read_topic(table, uri)
    _refuse_all_bad(table, uri, read.rows, read.dead)
    return TableRead(versions_of(read.rows, table, pseudonyms), read.dead, read.ends)


def _refuse_all_bad(table: TablePlan, uri: str, rows: pl.DataFrame, letters: pl.DataFrame) -> None:
    if letters.height and not rows.height:
        first = letters.row(0, named=True)
        raise SourceError(
            f"table {table.name}: {uri} has no good row; "
            f"the first: {first['reason']} {first['field']} {first['detail']}"
        )


def _of_files(table: TablePlan, uri: str) -> Iterator[tuple[RawBatch, Decoded]]:
    source = open_source(uri, set(table.fields))
    decoder = Decoder(layout_of(table), source.format)
    while (raw := source.read(BATCH)) is not None:
        yield raw, decoder.decode(raw)


def _of_redis(table: TablePlan, uri: str) -> Iterator[tuple[RawBatch, Decoded]]:
    for raw in read_members(table, uri):
        yield raw, Decoder(layout_of(table), "csv" if raw.header else "json").decode(raw)


def layout_of(table: TablePlan) -> Layout:
    """Say what the rows of a table hold."""
    return Layout(table.fields, "", keys=required(table))


def _form(raw: RawBatch) -> str:
    """Say how a dead letter of a batch is to be read (`dead_letters.DEAD`)."""
    return "csv:" + json.dumps(raw.header) if isinstance(raw, Records) and raw.header else "json"


def versions_of(rows: pl.DataFrame, table: TablePlan, pseudonyms: Pseudonyms) -> pl.DataFrame:
    """Give rows that have `__time` and `__gone`, in the order of their source, as `TableRead.versions`."""
    persons = [(name, type_.person) for name, type_ in table.fields.items() if type_.person]
    return (
        rows.with_columns(pseudonyms.of(rows[name], domain) for name, domain in persons)
        .unique([*table.key, TIME], keep="last", maintain_order=True)
        .sort(TIME, maintain_order=True)
    )


def _empty(fields: Mapping[str, Type]) -> pl.DataFrame:
    return pl.DataFrame(schema={name: type_.physical for name, type_ in fields.items()})
