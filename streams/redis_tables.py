"""Tables out of Redis: a hash, a set or a list, read whole when a run starts.

A member that is a JSON object is a row. Any other text is a value: of the key, in a set or a list; in a hash, whose
fields are the keys, of the one other field that the table has (its value means nothing where there is none). Positions
are those in a list, or in the order of the bytes of members or fields.

One command reads all of it, so what is read was there at one moment. Changes are seen by the next run only.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from streams.sources.contract import Records
from tocsin.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from redis import Redis

    from tocsin.compiler.plan import TablePlan

READ: Final = {"hash": "hgetall", "set": "smembers", "list": "lrange"}
"""What reads a key of a type."""


class _Row(NamedTuple):
    """A row: JSON, or the `cells` of the fields of a plain member."""

    position: int
    document: bytes = b""
    cells: tuple[bytes, ...] = ()


def read_members(table: TablePlan, uri: str) -> tuple[Records, Records]:
    """Read the key of `redis://HOST/DB/KEY`: what is JSON, and what is text, as CSV with a header.

    Raises SourceError if there is no such key, if it is of another type, or if there is no server.
    """
    kind, found = _fetch(uri)
    single = table.key[0] if len(table.key) == 1 else ""
    others = [name for name in table.fields if name not in table.key]
    if kind == "hash":
        rows = list(_of_hash(sorted(found.items()), single, others))
        names = (single, *others)
    else:
        members = found if kind == "list" else sorted(found)
        rows = [_of_member(position, member) for position, member in enumerate(members)]
        names = (table.key[0],)
    return _as_json([row for row in rows if row.document]), _as_csv([row for row in rows if row.cells], names)


def _fetch(uri: str) -> tuple[str, Any]:
    """Give the type of the key, and what is in it."""
    try:
        from redis.exceptions import RedisError  # noqa: PLC0415  # an extra

        from sinks.redis_connection import connect, refusal  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise SourceError(f"{uri} needs {error.name}: install tocsin[servers]") from None
    from sinks.redis_address import parse_address  # noqa: PLC0415

    address = parse_address(uri, SourceError, of_key=True)
    client = connect(address, SourceError)
    try:
        return _ask(client, str(address), address.key)
    except RedisError as error:
        raise SourceError(refusal(address, error).says) from error
    finally:
        client.close()


def _ask(client: Redis, where: str, key: str) -> tuple[str, Any]:
    client.ping()
    asked: Any = client.type(key)
    kind = asked.decode()
    if kind == "none":
        raise SourceError(f"{where}: there is no such key; expected a hash, a set or a list")
    if kind not in READ:
        raise SourceError(f"{where} is a {kind}; expected a hash, a set or a list")
    bounds = (0, -1) if kind == "list" else ()
    return kind, getattr(client, READ[kind])(key, *bounds)


def _is_object(value: bytes) -> bool:
    return value.lstrip().startswith(b"{")


def _of_member(position: int, member: bytes) -> _Row:
    return _Row(position, document=member) if _is_object(member) else _Row(position, cells=(member,))


def _of_hash(items: Iterable[tuple[bytes, bytes]], single: str, others: Sequence[str]) -> Iterable[_Row]:
    for position, (field, value) in enumerate(items):
        if _is_object(value):
            yield _Row(position, document=_with_key(value, single, field))
        elif single and len(others) <= 1:
            yield _Row(position, cells=(field, value)[: 1 + len(others)])
        else:
            yield _Row(position, document=value or b'""')  # which the decoder refuses: it is no object


def _with_key(value: bytes, name: str, field: bytes) -> bytes:
    """Put the key into an object, in front, where it counts before another of that name."""
    if not name:
        return value
    rest = value.lstrip()[1:]
    comma = b"" if rest.lstrip().startswith(b"}") else b","
    return b"{" + json.dumps(name).encode() + b":" + _quoted(field) + comma + rest


def _quoted(text: bytes) -> bytes:
    """Give a JSON text; bytes that are no UTF-8 as they are, for the decoder to refuse."""
    try:
        return json.dumps(text.decode(), ensure_ascii=False).encode()
    except UnicodeDecodeError:
        return b'"' + text.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def _as_json(rows: Sequence[_Row]) -> Records:
    return Records.of([row.document for row in rows], [row.position for row in rows])


def _as_csv(rows: Sequence[_Row], names: tuple[str, ...]) -> Records:
    lines = [b",".join(b'"' + cell.replace(b'"', b'""') + b'"' for cell in row.cells) for row in rows]
    return Records.of(lines, [row.position for row in rows], header=names)
