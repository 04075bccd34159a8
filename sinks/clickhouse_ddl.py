"""The tables of ClickHouse, embedded or on a server: the one place where types are chosen by version.

| name | is |
|---|---|
| `transitions` | the plain log: every row that was delivered, early copies and second deliveries too |
| `alert_states` | the newest transition per alert; rows of one alert replace each other when parts merge |
| `rule_minute_states` | per rule, kind, level and minute of event time: the exact set of (alert_id, sequence) |
| `alerts` | view: the current state, exact at any moment: what people ask |
| `history` | view: the log without second deliveries and without early copies that the truth has replaced |
| `rule_minutes` | view: transitions per rule, kind, level and minute, the truth only |

Inserts go into `transitions` alone; materialised views fill the other two tables. A batch that comes again, whole or
cut differently, adds rows to the log and changes no view: the state of an alert is replaced by an equal row, and a set
does not grow by what it holds. (Deduplication tokens do not reach through views, nor over batches cut differently.)

An early copy has version 0 in `alert_states`, so the truth, whose sequence begins at 1, wins whichever comes first.

*Time to live* counts from `recorded_at`, when a row was written, not from event time: a backtest of last year's data
would else be deleted at once. All rows of an alert age in the order in which they came, so an old state never comes
back.
"""

# ruff: noqa: S608  # names are put together here, values never

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tocsin.model.alerts import CLOSED_AT_BIRTH, Transition

if TYPE_CHECKING:
    from collections.abc import Iterator

Version = tuple[int, int]
"""Year and month of a release, as (26, 9)."""

CURRENT: Version = (26, 9)
COMPLETE: Version = (21, 12)
"""The first release that has every type, codec and clause of these tables; older ones get what they know."""

DATABASE = "tocsin"

NAMES = (
    *("transitions", "alert_states", "fill_alert_states", "rule_minute_states", "fill_rule_minute_states"),
    *("alerts", "history", "rule_minutes"),
)
"""All tables and views, in the order in which they are made."""


@dataclass(frozen=True, slots=True)
class Retention:
    """Days from `recorded_at` until rows are deleted; 400: the same month of last year is still there."""

    transitions: int = 400
    alerts: int = 400
    minutes: int = 400


@dataclass(frozen=True, slots=True)
class Dialect:
    """What a version of ClickHouse can say."""

    version: Version = CURRENT

    @property
    def moment(self) -> str:
        """The type of a time in ms; a plain number of ms where DateTime64 is not known (before 20.1)."""
        return "DateTime64(3, 'UTC')" if self.version >= (20, 1) else "Int64"

    @property
    def boolean(self) -> str:
        """The type of a truth value (Bool since 21.12)."""
        return "Bool" if self.version >= (21, 12) else "UInt8"

    @property
    def name(self) -> str:
        """The type of a text with few values."""
        return "LowCardinality(String)" if self.version >= (19, 1) else "String"

    @property
    def evidence(self) -> str:
        """The type of the evidence: pairs of id and position; their JSON where a tuple's parts have no names."""
        return "Array(Tuple(id Nullable(String), position Nullable(Int64)))" if self.version >= (20, 1) else "String"

    @property
    def now(self) -> str:
        """The default of `recorded_at`."""
        return "now64(3)" if self.version >= (20, 1) else "toInt64(now()) * 1000"

    @property
    def minute(self) -> str:
        """The minute of `time`."""
        return "toStartOfMinute(time)" if self.version >= (20, 1) else "toDateTime(intDiv(time, 60000) * 60, 'UTC')"

    def packed(self, kind: str) -> str:
        """Give a column type for long texts: compressed better where columns have codecs (since 19.1)."""
        return f"{kind} CODEC(ZSTD(1))" if self.version >= (19, 1) else kind

    def kept(self, days: int, column: str = "recorded_at") -> str:
        """Give the clause that deletes rows after `days` (since 19.6), where there is one."""
        return f" TTL toDateTime({column}) + INTERVAL {days} DAY" if self.version >= (19, 6) else ""

    @property
    def durable(self) -> str:
        """Table settings: an insert that was confirmed survives a power failure, too (since 20.9)."""
        return " SETTINGS fsync_after_insert = 1, fsync_part_directory = 1" if self.version >= (20, 9) else ""


def columns(dialect: Dialect) -> dict[str, str]:
    """Give the columns of `transitions` with their types, those of the transition log first and in its order."""
    text, name = dialect.packed("String"), dialect.name
    return {
        "alert_id": "String",
        "sequence": "Int64",
        "kind": name,
        "level": "Enum8('clear' = 0, 'blue' = 1, 'yellow' = 2, 'orange' = 3, 'red' = 4)",
        "time": dialect.moment,
        "topology": name,
        "rule": name,
        "rule_version": name,
        "entity": "String",
        "values": text,
        "evidence": dialect.evidence,
        "says": text,
        "labels": text,
        "runbook": name,
        "reason": name,
        "early": dialect.boolean,
        "recorded_at": f"{dialect.moment} DEFAULT {dialect.now}",
    }


def statements(
    version: Version = CURRENT, database: str = DATABASE, retention: Retention | None = None
) -> Iterator[str]:
    """Give the statements that make everything, in order; each does nothing where it is done."""
    dialect, retention = Dialect(version), retention or Retention()
    yield f"CREATE DATABASE IF NOT EXISTS {database}"
    yield _transitions(dialect, database, retention)
    yield _alert_states(dialect, database, retention)
    yield _fill_alert_states(database)
    yield _rule_minute_states(dialect, database, retention)
    yield _fill_rule_minute_states(dialect, database)
    yield _alerts(database)
    yield _history(database)
    yield _rule_minutes(database)


def _spelled(kinds: dict[str, str]) -> str:
    return ", ".join(f"`{name}` {kind}" for name, kind in kinds.items())


def _transitions(dialect: Dialect, database: str, retention: Retention) -> str:
    return (
        f"CREATE TABLE IF NOT EXISTS {database}.transitions ({_spelled(columns(dialect))}) "
        "ENGINE = MergeTree ORDER BY (topology, rule, time, alert_id, sequence)"
        f"{dialect.kept(retention.transitions)}{dialect.durable}"
    )


def _alert_states(dialect: Dialect, database: str, retention: Retention) -> str:
    return (
        f"CREATE TABLE IF NOT EXISTS {database}.alert_states (version UInt64, {_spelled(columns(dialect))}) "
        "ENGINE = ReplacingMergeTree(version) ORDER BY alert_id"
        f"{dialect.kept(retention.alerts)}{dialect.durable}"
    )


def _fill_alert_states(database: str) -> str:
    return (
        f"CREATE MATERIALIZED VIEW IF NOT EXISTS {database}.fill_alert_states TO {database}.alert_states AS "
        f"SELECT if(early, 0, toUInt64(sequence)) AS version, * FROM {database}.transitions"
    )


def _rule_minute_states(dialect: Dialect, database: str, retention: Retention) -> str:
    name = dialect.name
    recorded = "recorded_at SimpleAggregateFunction(max, DateTime('UTC')), " if dialect.kept(1) else ""
    return (
        f"CREATE TABLE IF NOT EXISTS {database}.rule_minute_states (topology {name}, rule {name}, kind {name}, "
        f"level {columns(dialect)['level']}, minute DateTime('UTC'), {recorded}"
        "transitions AggregateFunction(uniqExact, Tuple(String, Int64))) "
        "ENGINE = AggregatingMergeTree ORDER BY (topology, rule, kind, level, minute)"
        f"{dialect.kept(retention.minutes)}{dialect.durable}"
    )


def _fill_rule_minute_states(dialect: Dialect, database: str) -> str:
    recorded = "toDateTime(max(t.recorded_at), 'UTC') AS recorded_at, " if dialect.kept(1) else ""
    return (
        f"CREATE MATERIALIZED VIEW IF NOT EXISTS {database}.fill_rule_minute_states "
        f"TO {database}.rule_minute_states AS "
        f"SELECT topology, rule, kind, level, {dialect.minute} AS minute, {recorded}"
        "uniqExactState((alert_id, sequence)) AS transitions "
        f"FROM {database}.transitions AS t WHERE NOT early GROUP BY topology, rule, kind, level, minute"
    )


def _alerts(database: str) -> str:
    return (
        f"CREATE VIEW IF NOT EXISTS {database}.alerts AS "
        f"SELECT *, kind != '{Transition.CLEARED}' AND reason != '{CLOSED_AT_BIRTH}' AS open "
        f"FROM {database}.alert_states FINAL"
    )


def _history(database: str) -> str:
    return (
        f"CREATE VIEW IF NOT EXISTS {database}.history AS "
        f"SELECT * FROM {database}.transitions ORDER BY alert_id, sequence, early, recorded_at "
        "LIMIT 1 BY alert_id, sequence"
    )


def _rule_minutes(database: str) -> str:
    return (
        f"CREATE VIEW IF NOT EXISTS {database}.rule_minutes AS "
        "SELECT topology, rule, kind, level, minute, uniqExactMerge(s.transitions) AS transitions "
        f"FROM {database}.rule_minute_states AS s GROUP BY topology, rule, kind, level, minute"
    )
