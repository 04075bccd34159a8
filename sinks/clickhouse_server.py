"""`clickhouse` on a server: transitions into the tables of `clickhouse_ddl` by the native protocol.

About one insert a second, of whole columns: each insert is a part that has to be merged. What the tables are made of is
asked, not assumed, so that they may be older than the server, or made by an administrator for a user who may only
insert. Second deliveries change no view (`clickhouse_ddl`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar, Final

import polars as pl

from sinks.clickhouse_address import parse_address
from sinks.clickhouse_connection import Connection
from sinks.clickhouse_ddl import COMPLETE, NAMES, Retention, Version, statements
from sinks.clickhouse_embedded import clock_ms
from sinks.contract import Batching, Sink
from sinks.remarks import remark
from tocsin.errors import SinkError
from tocsin.model.alerts import TRANSITIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

COLUMNS: Final = (*TRANSITIONS, "recorded_at")

_RELEASE = re.compile(r"(\d+)\.(\d+)")


class ClickHouseServerSink(Sink):
    """Inserts into `transitions` of the database at `target`.

    `clock` gives `recorded_at`; `say` is told once what an old server cannot do.

    Raises SinkError at once for a target that is no address.
    """

    batching: ClassVar[Batching] = Batching(rows=50_000, seconds=1.0)

    def __init__(
        self,
        target: str,
        *,
        retention: Retention | None = None,
        clock: Callable[[], int] = clock_ms,
        say: Callable[[str], None] = remark,
    ) -> None:
        self._connection = Connection(parse_address(target))
        self._retention = retention
        self._clock = clock
        self._say = say
        self._types: Mapping[str, str] = {}

    def open(self, bookmark: str = "") -> None:
        """Connect, and make what is missing."""
        del bookmark  # a second delivery changes no view
        try:
            self._prepare()
        except BaseException:
            self.close()
            raise

    def deliver(self, batch: pl.DataFrame) -> None:
        """Insert a batch."""
        if not self._types:
            raise SinkError("the sink is not open")
        self._connection.insert("transitions", COLUMNS, insertable(batch, self._clock(), self._types))

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()
        self._types = {}

    def _prepare(self) -> None:
        where = {"database": self._connection.address.database}
        found = self._connection.rows("SELECT name FROM system.tables WHERE database = %(database)s", where)
        if missing := [name for name in NAMES if (name,) not in found]:
            self._make(missing)
        asked = "SELECT name, type FROM system.columns WHERE database = %(database)s AND table = 'transitions'"
        self._types = dict(self._connection.rows(asked, where))
        if lacking := [name for name in COLUMNS if name not in self._types]:
            raise SinkError(
                f"the table transitions at {self._connection.address} lacks the columns {', '.join(lacking)}: "
                "something else made it; choose another database"
            )

    def _make(self, missing: list[str]) -> None:
        address = self._connection.address
        version = self._version()
        database, *others = statements(version, address.database, self._retention)
        known = self._connection.rows("SELECT name FROM system.databases")
        for statement in others if (address.database,) in known else (database, *others):
            self._connection.run(statement)
        if version < COMPLETE and "transitions" in missing:
            self._say(
                f"ClickHouse at {address} is {version[0]}.{version[1]}, older than {COMPLETE[0]}.{COMPLETE[1]}: its "
                "tables have simpler types, and what it does not know is left out (before 20.1 times are numbers of ms "
                "and evidence is JSON; before 19.6 nothing is deleted by age)"
            )

    def _version(self) -> Version:
        text = str(self._connection.rows("SELECT version()")[0][0])
        found = _RELEASE.match(text)
        if found is None:
            raise SinkError(f"{self._connection.address} says it is version {text!r}: that is no ClickHouse")
        return int(found[1]), int(found[2])


def insertable(batch: pl.DataFrame, recorded_at: int, types: Mapping[str, str]) -> list[list[object]]:
    """Give the columns COLUMNS as clickhouse-driver takes them; `types`: those of the table.

    Times are ms, whatever their type: the driver writes integers into a DateTime64(3) as they are.
    """
    clean = batch.select(pl.col(pl.String).fill_null(""), pl.col("early").fill_null(value=False))
    columns = {name: clean[name].to_list() if name in clean.columns else batch[name].to_list() for name in TRANSITIONS}
    columns["evidence"] = _texts(batch["evidence"]) if types["evidence"] == "String" else _pairs(batch["evidence"])
    return [*columns.values(), [recorded_at] * batch.height]


def _pairs(evidence: pl.Series) -> list[object]:
    """Give the evidence as lists of (id, position)."""
    ends = evidence.list.len().fill_null(0).cast(pl.Int64).cum_sum().to_list()
    items = evidence.filter(evidence.list.len() > 0).explode().struct.unnest()
    pairs = list(zip(items["id"].to_list(), items["position"].to_list(), strict=True))
    return [pairs[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]


def _texts(evidence: pl.Series) -> list[object]:
    """Give the evidence as JSON."""
    items = pl.col("evidence").list.eval(pl.element().struct.json_encode()).list.join(",")
    return evidence.to_frame("evidence").select("[" + items.fill_null("") + "]").to_series().to_list()
