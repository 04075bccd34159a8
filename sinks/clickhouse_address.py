"""Where a ClickHouse server is: `clickhouse://HOST[:PORT][/DATABASE][?secure=true]`, the native protocol.

Who logs in comes from the environment or files (`tocsin.credentials`): `TOCSIN_CLICKHOUSE_USER`,
`TOCSIN_CLICKHOUSE_PASSWORD`, both also with `_FILE`; `TOCSIN_CLICKHOUSE_CA_FILE` names the certificates to trust.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

from sinks.clickhouse_ddl import DATABASE
from sinks.server_address import split_address
from tocsin.errors import SinkError

SCHEME: Final = "clickhouse"
PREFIX: Final = "TOCSIN_CLICKHOUSE_"
PLAIN_PORT: Final = 9000
SECURE_PORT: Final = 9440

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FORM = f"ClickHouse address: expected {SCHEME}://HOST:PORT/DATABASE"


@dataclass(frozen=True, slots=True)
class ClickHouseAddress:
    """A database of a server; `secure`: by TLS."""

    host: str
    port: int = PLAIN_PORT
    database: str = DATABASE
    secure: bool = False

    def __str__(self) -> str:
        """Give it as it is written, for messages."""
        return f"{SCHEME}://{self.host}:{self.port}/{self.database}"


def names_server(target: str) -> bool:
    """Say whether a target is a server's address, not a folder."""
    return target.startswith((f"{SCHEME}://", "//"))


def parse_address(target: str) -> ClickHouseAddress:
    """Read an address, with or without its scheme; SinkError says what is wrong with it."""
    uri = f"{SCHEME}:{target}" if target.startswith("//") else target
    parts = split_address(uri, _FORM, PREFIX, SinkError)
    if parts.scheme != SCHEME or not parts.hostname:
        raise SinkError(f"{uri} is no {_FORM}")
    database = parts.path.strip("/") or DATABASE
    if not _NAME.fullmatch(database):
        raise SinkError(f"{uri}: {database!r} is no name of a database: letters, digits and _ only")
    secure = _secure(uri, parts.query)
    return ClickHouseAddress(parts.hostname, parts.port or (SECURE_PORT if secure else PLAIN_PORT), database, secure)


def _secure(uri: str, query: str) -> bool:
    options = dict(parse_qsl(query, keep_blank_values=True))
    secure = options.pop("secure", "false").lower()
    if options or secure not in {"true", "false", "1", "0"}:
        raise SinkError(f"{uri}: the only option of a ClickHouse address is secure=true or secure=false")
    return secure in {"true", "1"}
