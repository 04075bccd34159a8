"""A ClickHouse of today behind clickhouse-driver, without its network.

The only server that the machine can have is of 2018, but the engine of today is there (chDB). What the driver would
send and receive, blocks of columns, goes through files of the format Native, which is the same but for its frame.
"""

# ruff: noqa: S608  # names are put together here, values never

from __future__ import annotations

import io
import re
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from clickhouse_driver import Client, errors
from clickhouse_driver.block import ColumnOrientedBlock
from clickhouse_driver.bufferedreader import BufferedSocketReader
from clickhouse_driver.bufferedwriter import BufferedSocketWriter
from clickhouse_driver.streams.native import BlockInputStream, BlockOutputStream

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sinks.clickhouse_session import Session

BUFFER = 1 << 16
INSERT = re.compile(r"INSERT INTO (\S+) \((.*)\) VALUES")
CODE = re.compile(r"Code: (\d+)")


class Wire(io.BytesIO):
    """What looks like a socket."""

    def sendall(self, data: bytes) -> None:
        """Keep it."""
        self.write(bytes(data))

    def recv_into(self, buffer: bytearray) -> int:
        """Give more of it."""
        return self.readinto(buffer)


class EngineClient(Client):  # type: ignore[misc]  # the driver has no types
    """Asks the engine; `session` is its own, `folder` for what goes to and fro."""

    def __init__(self, session: Session, folder: Path) -> None:
        super().__init__("nowhere")
        self._session, self._folder = session, folder
        self._context = self.connection.context
        self._context.server_info = SimpleNamespace(used_revision=0, get_timezone=lambda: "UTC")
        self._context.settings = {}

    def execute(  # the driver's words
        self,
        query: str,
        params: Any = None,  # noqa: ANN401  # parameters, or columns to insert
        *,
        columnar: bool = False,
        with_column_types: bool = False,
    ) -> Any:  # noqa: ANN401  # as the driver gives it
        """Do what the driver's method does."""
        if into := INSERT.fullmatch(query):
            return self._insert(into[1], into[2], params)
        asked = self.substitute_params(query, params, self._context) if params else query
        columns, kinds = self._read(self._ask(asked))
        if not kinds and asked.startswith("SELECT"):  # a server tells the columns of an empty answer, too
            names, types = self._read(self._ask(f"DESCRIBE TABLE ({asked})"))[0][:2]
            columns, kinds = [()] * len(names), list(zip(names, types, strict=True))
        rows: Any = columns if columnar else list(zip(*columns, strict=True))
        return (rows, kinds) if with_column_types else rows

    def disconnect(self) -> None:
        """Stay: the session is somebody else's."""

    def _ask(self, statement: str) -> bytes:
        try:
            return bytes(self._session.query(statement, "Native", params={}).bytes())
        except RuntimeError as error:
            code = CODE.search(str(error))
            raise errors.ServerException(str(error), int(code[1]) if code else None) from error

    def _read(self, content: bytes) -> tuple[list[tuple[Any, ...]], list[tuple[str, str]]]:
        wire, kinds = BufferedSocketReader(Wire(content), BUFFER), []
        columns: list[tuple[Any, ...]] = []
        blocks = BlockInputStream(wire, self._context)
        while content:
            try:
                block = blocks.read()
            except EOFError:
                break
            kinds = block.columns_with_types
            parts = block.get_columns() if block.num_rows else [()] * len(kinds)
            columns = [(*old, *new) for old, new in zip(columns or [()] * len(kinds), parts, strict=True)]
        return columns, kinds

    def _insert(self, table: str, names: str, columns: Sequence[list[object]]) -> None:
        kinds = dict(zip(*self._read(self._ask(f"DESCRIBE TABLE {table}"))[0][:2], strict=True))
        spelled = [name.strip("`") for name in names.split(", ")]
        wire, path = Wire(), self._folder / "block.native"
        out = BlockOutputStream(BufferedSocketWriter(wire, BUFFER), self._context)
        out.write(ColumnOrientedBlock([(name, kinds[name]) for name in spelled], columns))
        path.write_bytes(wire.getvalue())
        self._ask(f"INSERT INTO {table} ({names}) SELECT {names} FROM file('{path}', 'Native')")
