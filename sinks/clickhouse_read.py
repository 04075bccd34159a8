"""Questions to an embedded ClickHouse: current alerts, what one alert went through, counts.

Nothing needs to run: the folder is opened, asked and closed. While a run has it open, chDB lets no other process in;
then SinkError says which process it is. Times come back as Int64 ms, as in the transition log.
"""

# ruff: noqa: S608  # names are put together here; values are parameters

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import polars as pl

from sinks.clickhouse_ddl import DATABASE
from sinks.clickhouse_session import Engine
from tocsin.model.alerts import TRANSITIONS

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType


@dataclass(frozen=True, slots=True)
class Filter:
    """Which alerts or counts: of one rule, with event time in [since, until) ms."""

    rule: str | None = None
    since: int | None = None
    until: int | None = None

    def condition(self, time: str) -> tuple[str, dict[str, str | int]]:
        """Give the SQL condition over the column `time` (a moment or minute), and its parameters."""
        given: dict[str, tuple[str, str | int | None]] = {
            "rule": ("rule = {rule:String}", self.rule),
            "since": (f"{time} >= fromUnixTimestamp64Milli({{since:Int64}}, 'UTC')", self.since),
            "until": (f"{time} < fromUnixTimestamp64Milli({{until:Int64}}, 'UTC')", self.until),
        }
        terms = [term for term, value in given.values() if value is not None]
        return " AND ".join(terms) or "1", {name: value for name, (_, value) in given.items() if value is not None}


class ClickHouseReader:
    """Reads what EmbeddedClickHouseSink has written to `folder`; a context manager.

    Raises SinkError for a folder that is not there, not of ours, or open in another process.
    """

    def __init__(self, folder: Path | str) -> None:
        self._engine = Engine(folder)

    def alerts(self, which: Filter | None = None, *, open_only: bool = False, most: int = 1000) -> pl.DataFrame:
        """Give alerts as they are now: open ones first, then the worst, then the latest; no more than `most`.

        Columns TRANSITIONS (of the last transition), `raised_at` (Int64 ms) and `open`.
        """
        condition, parameters = (which or Filter()).condition("time")
        first = f"SELECT alert_id, min(time) AS raised_at FROM {DATABASE}.transitions GROUP BY alert_id"
        return self._transitions(
            f"SELECT {_columns('a')}, toUnixTimestamp64Milli(r.raised_at) AS raised_at, a.open AS open "
            f"FROM (SELECT * FROM {DATABASE}.alerts WHERE {condition} AND (open OR {{all:UInt8}}) "
            f"ORDER BY open DESC, level DESC, time DESC, alert_id LIMIT {{most:UInt32}}) AS a "
            f"LEFT JOIN ({first}) AS r ON r.alert_id = a.alert_id "
            "ORDER BY a.open DESC, a.level DESC, a.time DESC, a.alert_id",
            {**parameters, "most": most, "all": int(not open_only)},
        )

    def history(self, alert_id: str) -> pl.DataFrame:
        """Give the transitions of one alert in order, columns TRANSITIONS; early copies only where no truth came."""
        return self._transitions(
            f"SELECT {_columns('t')} FROM (SELECT * FROM {DATABASE}.transitions WHERE alert_id = {{alert_id:String}} "
            "ORDER BY sequence, early, recorded_at LIMIT 1 BY sequence) AS t ORDER BY t.sequence",
            {"alert_id": alert_id},
        )

    def counts(self, which: Filter | None = None) -> pl.DataFrame:
        """Give `rule`, `kind`, `level`, `minute` (Int64 ms), `transitions`: how many, the truth only."""
        condition, parameters = (which or Filter()).condition("m.minute")
        return self._engine.frame(
            "SELECT rule, kind, CAST(m.level, 'String') AS level, toInt64(toUnixTimestamp(m.minute)) * 1000 AS minute, "
            f"toInt64(m.transitions) AS transitions FROM {DATABASE}.rule_minutes AS m WHERE {condition} "
            "ORDER BY minute, rule, kind, level",
            parameters,
        )

    def query(self, sql: str) -> pl.DataFrame:
        """Give the rows of any query; names without a database are those of Tocsin."""
        self._engine.run(f"USE {DATABASE}")
        return self._engine.frame(sql)

    def close(self) -> None:
        """Let go of the folder."""
        self._engine.close()

    def __enter__(self) -> Self:
        """Give the reader."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def _transitions(self, query: str, parameters: dict[str, str | int]) -> pl.DataFrame:
        rows = self._engine.frame(query, parameters)
        return rows.with_columns(pl.col(name).cast(kind) for name, kind in TRANSITIONS.items())


def _columns(alias: str) -> str:
    """Spell the columns of the transition log, as the log has them."""
    shown = {"level": f"CAST({alias}.level, 'String')", "time": f"toUnixTimestamp64Milli({alias}.time)"}
    return ", ".join(f"{shown.get(name, f'{alias}.`{name}`')} AS `{name}`" for name in TRANSITIONS)
