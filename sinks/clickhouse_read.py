"""Questions to a ClickHouse, embedded or on a server: current alerts, what one alert went through, counts.

A folder is opened, asked and closed; while a run has it open, chDB lets no other process in, and SinkError says which
process it is. A server is asked at any time. Times come back as Int64 ms, as in the transition log.
"""

# ruff: noqa: S608  # names are put together here; values are parameters

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import polars as pl

from sinks.clickhouse_address import names_server, parse_address
from sinks.clickhouse_ddl import DATABASE
from sinks.clickhouse_session import Engine
from tocsin.closing import Closing
from tocsin.errors import SinkError
from tocsin.model.alerts import TRANSITIONS
from tocsin.model.rows import EVIDENCE_DTYPE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    class Asked(Protocol):
        """What answers: `Engine`, or `sinks.clickhouse_connection.Connection`."""

        def run(self, statement: str) -> None:
            """Run a statement."""

        def frame(self, query: str, parameters: Mapping[str, Any] | None = None) -> pl.DataFrame:
            """Give the rows of a query; `{name:Type}` in it stands for a parameter."""

        def close(self) -> None:
            """Let go of it."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which alerts or counts: of one rule, with event time in [since, until) ms."""

    rule: str | None = None
    since: int | None = None
    until: int | None = None

    def condition(self, since: str, until: str) -> tuple[str, dict[str, str | int]]:
        """Give the SQL condition and its parameters; `since`, `until`: terms with {since:Int64}, {until:Int64}."""
        given: dict[str, tuple[str, str | int | None]] = {
            "rule": ("rule = {rule:String}", self.rule),
            "since": (since, self.since),
            "until": (until, self.until),
        }
        terms = [term for term, value in given.values() if value is not None]
        return " AND ".join(terms) or "1", {name: value for name, (_, value) in given.items() if value is not None}


class ClickHouseReader(Closing):
    """Reads what a sink has written to `store`, a folder or the address of a server; a context manager.

    Raises SinkError for a folder that is not there, not of ours, or open in another process, and for a server that
    refuses; SinkUnavailable for one that is away.
    """

    def __init__(self, store: Path | str) -> None:
        self._asked: Asked
        self._database = DATABASE
        self._has_moments = True
        if isinstance(store, str) and names_server(store):
            self._asked, self._database = _server(store)
            self._has_moments = self._kind_of_time().startswith("DateTime64")
        else:
            self._asked = Engine(store)

    def alerts(self, which: Filter | None = None, *, open_only: bool = False, most: int = 1000) -> pl.DataFrame:
        """Give alerts as they are now: open ones first, then the worst, then the latest; no more than `most`.

        Columns TRANSITIONS (of the last transition), `raised_at` (Int64 ms) and `open`.
        """
        since, until = (self._moment(f"{{{name}:Int64}}") for name in ("since", "until"))
        condition, parameters = (which or Filter()).condition(f"time >= {since}", f"time < {until}")
        first = f"SELECT alert_id, min(time) AS raised_at FROM {self._database}.transitions GROUP BY alert_id"
        return self._transitions(
            f"SELECT {self._columns('a')}, {self._ms('r.raised_at')} AS raised_at, a.open AS open "
            f"FROM (SELECT * FROM {self._database}.alerts WHERE {condition} AND (open OR {{all:UInt8}}) "
            f"ORDER BY open DESC, level DESC, time DESC, alert_id LIMIT {{most:UInt32}}) AS a "
            f"LEFT JOIN ({first}) AS r ON r.alert_id = a.alert_id "
            "ORDER BY a.open DESC, a.level DESC, a.time DESC, a.alert_id",
            {**parameters, "most": most, "all": int(not open_only)},
        )

    def history(self, alert_id: str) -> pl.DataFrame:
        """Give the transitions of one alert in order, columns TRANSITIONS; early copies only where no truth came."""
        return self._transitions(
            f"SELECT {self._columns('t')} FROM (SELECT * FROM {self._database}.transitions "
            "WHERE alert_id = {alert_id:String} ORDER BY sequence, early, recorded_at LIMIT 1 BY sequence) AS t "
            "ORDER BY t.sequence",
            {"alert_id": alert_id},
        )

    def counts(self, which: Filter | None = None) -> pl.DataFrame:
        """Give `rule`, `kind`, `level`, `minute` (Int64 ms), `transitions`: how many, the truth only."""
        condition, parameters = (which or Filter()).condition("minute >= {since:Int64}", "minute < {until:Int64}")
        milliseconds = "toInt64(toUnixTimestamp(m.minute)) * 1000 AS minute"
        return self._asked.frame(
            f"SELECT * FROM (SELECT rule, kind, CAST(m.level, 'String') AS level, {milliseconds}, "
            f"toInt64(m.transitions) AS transitions FROM {self._database}.rule_minutes AS m) AS c "
            f"WHERE {condition} ORDER BY minute, rule, kind, level",
            parameters,
        )

    def query(self, sql: str) -> pl.DataFrame:
        """Give the rows of any query; names without a database are those of Tocsin."""
        self._asked.run(f"USE {self._database}")
        return self._asked.frame(sql)

    def close(self) -> None:
        """Let go of the folder or the connection."""
        self._asked.close()

    def _transitions(self, query: str, parameters: dict[str, str | int]) -> pl.DataFrame:
        rows = self._asked.frame(query, parameters)
        if rows.schema.get("evidence") == pl.String:
            rows = rows.with_columns(pl.col("evidence").str.json_decode(EVIDENCE_DTYPE))
        return rows.with_columns(pl.col(name).cast(kind) for name, kind in TRANSITIONS.items())

    def _columns(self, alias: str) -> str:
        """Spell the columns of the transition log, as the log has them."""
        shown = {"level": f"CAST({alias}.level, 'String')", "time": self._ms(f"{alias}.time")}
        return ", ".join(f"{shown.get(name, f'{alias}.`{name}`')} AS `{name}`" for name in TRANSITIONS)

    def _ms(self, time: str) -> str:
        return f"toUnixTimestamp64Milli({time})" if self._has_moments else time

    def _moment(self, ms: str) -> str:
        return f"fromUnixTimestamp64Milli({ms}, 'UTC')" if self._has_moments else ms

    def _kind_of_time(self) -> str:
        """Say what the times of the tables are: a number in those of an old server."""
        asked = (
            "SELECT type FROM system.columns "
            f"WHERE database = '{self._database}' AND table = 'transitions' AND name = 'time'"
        )
        found = self._asked.frame(asked)
        if found.is_empty():
            self._asked.close()
            raise SinkError(f"the database {self._database} holds no alerts: has anything been written to it?")
        return str(found.item())


def _server(target: str) -> tuple[Asked, str]:
    try:
        from sinks.clickhouse_connection import Connection  # noqa: PLC0415  # the driver is an extra
    except ModuleNotFoundError as error:
        raise SinkError(f"a ClickHouse server needs {error.name}: install tocsin[servers]") from None
    address = parse_address(target)
    return Connection(address, inside=True), address.database
