"""A connection to a ClickHouse server through clickhouse-driver, whose errors become those of sinks.

It connects when it is first used and again after every failure, so that a server that went away is found when it is
back, with the password that the files hold by then.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any, Final

import polars as pl
from clickhouse_driver import Client, errors

from sinks.clickhouse_address import PREFIX
from tocsin.closing import Closing
from tocsin.credentials import UNTRUSTED, certificate, credential
from tocsin.errors import SinkError, SinkUnavailable
from tocsin.model.rows import EVIDENCE_DTYPE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sinks.clickhouse_address import ClickHouseAddress

CONNECT_SECONDS: Final = 5.0
ANSWER_SECONDS: Final = 60.0

PASSING: Final = frozenset(
    {3, 32, 159, 160, 198, 201, 202, 203, 209, 210, 225, 236, 241, 242, 243, 252, 279, 285, 286, 319}
    | {341, 394, 425, 439, 473, 499, 519, 574, 692, 700, 733, 745, 749, 999}
)
"""Codes worth another try: network, timeouts, quotas, too many parts or queries, memory, disk, Keeper.

Source: ClickHouse, src/Common/ErrorCodes.cpp.
"""
LOGIN: Final = frozenset({192, 193, 194, 195, 516})
"""Unknown user, wrong or missing password, address not allowed, authentication failed."""
RIGHTS: Final = frozenset({164, 291, 497})
"""Read-only, database not allowed, access denied."""
GONE: Final = frozenset({60, 81})
"""No such table or database."""

logging.getLogger("clickhouse_driver").addHandler(logging.NullHandler())  # it logs what it also raises

_PARAMETER = re.compile(r"\{(\w+):\w+\}")
_SPOKEN = re.compile(
    r"(?:DB::Exception: )?(?:Received from \S+ )?(?:DB::Exception: )?(.*?)(?:\. Stack trace:.*)?$", re.DOTALL
)


class Connection(Closing):
    """A session with the server of `address`; a context manager.

    `inside`: names without a database are those of the address; otherwise it need not be there yet.
    """

    def __init__(self, address: ClickHouseAddress, *, inside: bool = False) -> None:
        self.address = address
        self._inside = inside
        self._client: Client | None = None

    def run(self, statement: str) -> None:
        """Run a statement."""
        self._try(lambda client: client.execute(statement))

    def rows(self, query: str, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """Give the rows of a query; `%(name)s` in it stands for a parameter."""
        found: list[tuple[Any, ...]] = self._try(lambda client: client.execute(query, parameters))
        return found

    def frame(self, query: str, parameters: Mapping[str, Any] | None = None) -> pl.DataFrame:
        """Give the rows of a query as a frame; `{name:Type}` in it stands for a parameter."""
        asked = _PARAMETER.sub(r"%(\1)s", query) if parameters else query
        columns, kinds = self._try(
            lambda client: client.execute(asked, parameters or None, columnar=True, with_column_types=True)
        )
        named = zip(kinds, columns or [()] * len(kinds), strict=True)
        return pl.DataFrame([_series(name, kind, values) for (name, kind), values in named])

    def insert(self, table: str, names: Sequence[str], columns: Sequence[Sequence[object]]) -> None:
        """Insert columns of values into a table of the address."""
        spelled = ", ".join(f"`{name}`" for name in names)
        into = f"INSERT INTO {self.address.database}.{table} ({spelled}) VALUES"
        self._try(lambda client: client.execute(into, columns, columnar=True))

    def close(self) -> None:
        """Let go of the connection; also twice."""
        if self._client is not None:
            self._client.disconnect()
            self._client = None

    def _try(self, action: Callable[[Client], Any]) -> Any:  # noqa: ANN401  # the driver has no types
        try:
            if self._client is None:
                self._client = self._connect()
            return action(self._client)
        except errors.ServerException as error:
            self.close()
            raise refusal(self.address, error) from error
        except (errors.Error, EOFError, OSError) as error:
            self.close()
            kind = SinkError if UNTRUSTED in str(error) else SinkUnavailable
            raise kind(f"ClickHouse at {self.address} cannot be reached: {_why(error)}") from error
        except BaseException:
            self.close()
            raise

    def _connect(self) -> Client:
        user, password = (credential(PREFIX + name, SinkError) for name in ("USER", "PASSWORD"))
        authority = certificate(PREFIX + "CA", SinkError)
        trusted = {"ca_certs": authority} if authority else {}
        return Client(
            self.address.host,
            port=self.address.port,
            database=self.address.database if self._inside else "",
            user=user or "default",
            password=password,
            secure=self.address.secure,
            connect_timeout=CONNECT_SECONDS,
            send_receive_timeout=ANSWER_SECONDS,
            client_name="tocsin",
            **trusted,
        )


def refusal(address: ClickHouseAddress, error: errors.ServerException) -> SinkError:
    """Give the error to raise for what a server answered."""
    spoken = _spoken(error)
    if error.code in PASSING or "No space left" in spoken:
        return SinkUnavailable(f"ClickHouse at {address}: {spoken}")
    if error.code in LOGIN:
        return SinkError(
            f"ClickHouse at {address} refuses the login ({spoken}): check {PREFIX}USER and {PREFIX}PASSWORD"
        )
    if error.code in RIGHTS:
        advice = (
            f"grant the user CREATE, SELECT and INSERT on {address.database}, or let an administrator make the tables"
        )
        return SinkError(f"ClickHouse at {address} does not allow it ({spoken}): {advice}")
    if error.code in GONE:
        return SinkError(f"ClickHouse at {address}: {spoken}; was it removed, or has nothing been written to it?")
    return SinkError(f"ClickHouse at {address}: {spoken} (code {error.code})")


def _spoken(error: errors.ServerException) -> str:
    found = _SPOKEN.match(error.message)
    return (found[1] if found else error.message).strip().split("\n")[0]


def _why(error: Exception) -> str:
    if isinstance(error, EOFError):
        return "it closed the connection"
    said = error.message if isinstance(error, errors.Error) else str(error)
    return (said or type(error).__name__).split("\n")[0]


def _series(name: str, kind: str, values: Sequence[Any]) -> pl.Series:
    """Give a column of an answer; pairs of the evidence as structs."""
    if kind.startswith("Array(Tuple("):
        pairs = [[dict(zip(("id", "position"), pair, strict=True)) for pair in row] for row in values]
        return pl.Series(name, pairs, dtype=EVIDENCE_DTYPE)
    return pl.Series(name, list(values), dtype=pl.String() if kind == "String" else None, strict=False)
