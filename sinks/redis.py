"""`redis`: current alerts by entity and by area, and a stream of transitions for live readers (`sinks.redis_script`).

Many transitions go in one call of the script, each packed with the others into one argument: no Python per cell, and
the server is held up for a few ms at a time. Calls follow one another, never side by side: were a later one taken where
an earlier one failed, the earlier transitions of an alert would look outdated when they come again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

import msgspec
import polars as pl
from redis import exceptions

from sinks.contract import Batching, Sink
from sinks.ndjson import objects
from sinks.redis_address import parse_address
from sinks.redis_connection import connect, refusal
from sinks.redis_script import SCRIPT
from sinks.remarks import remark
from tocsin.errors import SinkError, SinkUnavailable, UnitError
from tocsin.model.alerts import CLOSED_AT_BIRTH, Transition
from tocsin.model.units import parse_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from redis import Redis

    from sinks.redis_address import RedisAddress

HOUR: Final = 3_600_000
DAY: Final = 24 * HOUR
AREA: Final = "area"

_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Keeping:
    """How long things stay in Redis, ms, and how much of the stream.

    `open`: alerts that nothing is heard of any more. `closed`: what is remembered of an alert that ended; what comes
    again later than that is not recognised. `shown`: how long an alert that closed at birth counts as current.
    `stream`: entries, about.
    """

    open: int = 400 * DAY
    closed: int = 7 * DAY
    shown: int = HOUR
    stream: int = 100_000


class RedisSink(Sink):
    """Keeps alerts in the Redis of `target`, behind whose `?` stand `area`, and words of Keeping, but `open`.

    `most`: transitions in one call of the script. Raises SinkError at once for a target that is no address.
    """

    batching: ClassVar[Batching] = Batching(rows=20_000, seconds=0.0)

    def __init__(
        self,
        target: str,
        *,
        keeping: Keeping | None = None,
        most: int = 256,
        say: Callable[[str], None] = remark,
    ) -> None:
        self._address = parse_address(target)
        options = dict(self._address.options)
        self._area = _area(self._address, options.pop(AREA, AREA))
        self._keeping = keeping or _keeping(self._address, options)
        self._most = most
        self._say = say
        self._client: Redis | None = None

    def open(self, bookmark: str = "") -> None:
        """Connect; SinkError if the server is a replica, which may not be written to."""
        del bookmark  # the alerts themselves say what has come
        self.close()
        client = connect(self._address)
        try:
            client.ping()
            self._look(client)
        except exceptions.RedisError as error:
            client.close()
            raise self._refusal(error) from error
        self._client = client

    def deliver(self, batch: pl.DataFrame) -> None:
        """Bring alerts and stream up to date."""
        if self._client is None:
            raise SinkError("the sink is not open")
        keeping = self._keeping
        words = [str(word) for word in (keeping.stream, keeping.open, keeping.closed, keeping.shown)]
        for part in batch.iter_slices(self._most):
            rows = msgspec.msgpack.encode(list(_rows(part, self._area).iter_rows()))
            try:
                self._client.execute_command("EVAL", SCRIPT, 0, rows, *words)  # type: ignore[no-untyped-call]
            except exceptions.RedisError as error:
                raise self._refusal(error) from error

    def close(self) -> None:
        """Let go of the connection."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _look(self, client: Redis) -> None:
        """See whether the server may be written to, and keeps what is; one that does not tell is taken as it is."""
        asked = client.pipeline(transaction=False)
        asked.execute_command("ROLE")  # type: ignore[no-untyped-call]
        asked.config_get("appendonly")
        role, kept = asked.execute(raise_on_error=False)
        if isinstance(role, list) and role[0] != b"master":
            raise SinkError(f"Redis at {self._address} is a read-only replica: name its master")
        if isinstance(kept, dict) and kept.get("appendonly", kept.get(b"appendonly")) in {"no", b"no"}:
            self._say(
                f"Redis at {self._address} keeps no log of its writes (appendonly no): what is current there is lost "
                "when it is killed"
            )

    def _refusal(self, error: exceptions.RedisError) -> SinkError:
        known = refusal(self._address, error)
        return (SinkUnavailable if known.passing else SinkError)(known.says)


def _rows(batch: pl.DataFrame, area: str) -> pl.DataFrame:
    """Give what the script takes of each transition, its arguments in order."""
    ended = pl.when(pl.col("reason") == CLOSED_AT_BIRTH).then(pl.lit("immediate"))
    state = ended.when(pl.col("kind") == Transition.CLEARED).then(pl.lit("cleared")).otherwise(pl.lit("open"))
    places = [pl.col(name).str.json_path_match(f"$.{area}") for name in ("entity", "labels")]
    early = pl.col("early").cast(pl.Int64)
    told = batch.with_columns(objects(batch).alias("transition"))
    return told.with_columns(pl.col(pl.String).fill_null("")).select(
        "topology",
        "alert_id",
        (pl.col("sequence") * 2 + 1 - early).alias("rank"),
        state.alias("state"),
        "entity",
        pl.coalesce(*places, pl.lit("")).alias("area"),
        "level",
        "rule",
        "kind",
        "sequence",
        early.alias("early"),
        "transition",
    )


def _area(address: RedisAddress, field: str) -> str:
    if not _FIELD.fullmatch(field):
        raise SinkError(f"{address}: area={field} names no field: letters, digits and _ only")
    return field


def _keeping(address: RedisAddress, options: Mapping[str, str]) -> Keeping:
    """Read the options that are words of Keeping."""
    known = {"closed": parse_duration, "shown": parse_duration, "stream": _entries}
    if strange := sorted(options.keys() - known.keys()):
        raise SinkError(f"{address} has no option {strange[0]!r}: expected {AREA}, {', '.join(known)}")
    try:
        return Keeping(**{name: known[name](value) for name, value in options.items()})
    except (UnitError, ValueError) as error:
        raise SinkError(f"{address}: {error}") from None


def _entries(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise ValueError(f"stream={text} is no number of entries")
    return int(text)
