"""Where a Redis server is: `redis://HOST[:PORT][/DB]`, or `rediss://` by TLS; of a table `redis://HOST[:PORT]/DB/KEY`.

Who logs in comes from the environment or files (`tocsin.credentials`): `TOCSIN_REDIS_USER`, `TOCSIN_REDIS_PASSWORD`,
both also with `_FILE`; `TOCSIN_REDIS_CA_FILE` names the certificates to trust, `TOCSIN_REDIS_CERTIFICATE_FILE` and
`TOCSIN_REDIS_KEY_FILE` our own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, unquote

from sinks.server_address import split_address
from tocsin.errors import SinkError, TocsinError

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMES: Final = ("redis", "rediss")
PREFIX: Final = "TOCSIN_REDIS_"
PORT: Final = 6379


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """A database of a server, or a `key` in it; `secure`: by TLS. `options`: what stands behind `?`."""

    host: str
    port: int = PORT
    database: int = 0
    secure: bool = False
    key: str = ""
    options: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """Give it as it is written, for messages."""
        key = f"/{self.key}" if self.key else ""
        return f"{SCHEMES[self.secure]}://{self.host}:{self.port}/{self.database}{key}"


def names_redis(uri: str) -> bool:
    """Say whether a URI is one of Redis."""
    return uri.partition(":")[0] in SCHEMES


def parse_address(target: str, error: type[TocsinError] = SinkError, *, of_key: bool = False) -> RedisAddress:
    """Read an address, with or without its scheme; `of_key`: with a key. `error` says what is wrong with it."""
    uri = f"{SCHEMES[0]}:{target}" if target.startswith("//") else target
    form = f"Redis address: expected redis://HOST:PORT/DB{'/KEY' if of_key else ''}"
    parts = split_address(uri, form, PREFIX, error)
    number, _, key = parts.path.lstrip("/").partition("/")
    fits = bool(key) == of_key and (number.isdecimal() or not (number or of_key))
    if parts.scheme not in SCHEMES or not parts.hostname or not fits:
        raise error(f"{uri} is no {form}")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    secure = parts.scheme == SCHEMES[1]
    return RedisAddress(parts.hostname, parts.port or PORT, int(number or 0), secure, unquote(key), options)
