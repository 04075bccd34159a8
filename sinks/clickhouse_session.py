"""ClickHouse in this process: chDB on a folder.

One folder belongs to one process at a time, and one process can have one folder open (the engine is a singleton);
within the process it may be opened several times. Both limits are chDB's; here they become clear errors. A folder is an
ordinary one of ClickHouse: `python -m chdb` or a `clickhouse local --path` of the same version read it, too.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import polars as pl

from tocsin.closing import Closing
from tocsin.errors import SinkError, SinkUnavailable
from tocsin.locks import Held, Lock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    class Session(Protocol):
        """What is used of chdb.session.Session, which has no types."""

        def query(self, sql: str, fmt: str, *, params: Mapping[str, Any]) -> Any:  # noqa: ANN401  # as chDB has it
            """Run a statement."""

        def close(self) -> None:
            """Close the session."""


LOCK = "tocsin.lock"

PASSING: Final = frozenset({"159", "202", "209", "241", "243", "252", "394", "439"})
"""Codes of errors that are worth another try: timeouts, too many queries, memory, disk space, parts or threads.

Source: ClickHouse, src/Common/ErrorCodes.cpp.
"""

_CODE = re.compile(r"Code: (\d+)")
_SPOKEN = re.compile(r"DB::Exception: (.*)", re.DOTALL)


@dataclass(slots=True)
class _Opened:
    """A folder that is open in this process, and how often."""

    lock: Lock
    times: int = 0


_opened: dict[Path, _Opened] = {}


class Engine(Closing):
    """A session on `folder`; a context manager.

    `create`: make the folder where it is missing; otherwise SinkError. Raises SinkError where the folder is open in
    another process, or another folder in this one.
    """

    def __init__(self, folder: Path | str, *, create: bool = False) -> None:
        self.folder = Path(folder).absolute()
        self._session: Session | None = None
        self._claimed = False
        self._claim(create=create)
        try:
            self._session = self._connect()
        except BaseException:
            self.close()
            raise

    def run(self, statement: str, parameters: Mapping[str, Any] | None = None) -> None:
        """Run a statement; `{name:Type}` in it stands for a parameter."""
        self._ask(statement, parameters, "Null")

    def frame(self, query: str, parameters: Mapping[str, Any] | None = None) -> pl.DataFrame:
        """Give the rows of a query."""
        content = self._ask(query, parameters, "ArrowStream")
        return pl.read_ipc_stream(io.BytesIO(content)) if content else pl.DataFrame()

    def close(self) -> None:
        """Close the session; also twice. The folder is free when its last session in this process is closed."""
        if self._session is not None:
            self._session.close()
            self._session = None
        if self._claimed:
            self._claimed = False
            opened = _opened[self.folder]
            opened.times -= 1
            if not opened.times:
                _opened.pop(self.folder).lock.release()

    def _claim(self, *, create: bool) -> None:
        if not create and not any((self.folder / name).exists() for name in (LOCK, "metadata")):
            raise SinkError(f"there is no ClickHouse folder {self.folder}: has anything been written to it?")
        if any(character in str(self.folder) for character in "?#%"):
            raise SinkError(f"the ClickHouse folder {self.folder} must not have ?, # or % in its name")
        if others := [str(folder) for folder in _opened if folder != self.folder]:
            raise SinkError(f"one process can have one ClickHouse folder open, and {others[0]} is: use that one")
        if self.folder not in _opened:
            _opened[self.folder] = _Opened(self._lock())
        _opened[self.folder].times += 1
        self._claimed = True

    def _lock(self) -> Lock:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            return Lock(self.folder / LOCK)
        except Held as held:
            raise SinkError(
                f"the ClickHouse folder {self.folder} is open in {held.holder}: ask when that has ended"
            ) from None
        except OSError as error:
            raise SinkError(f"the ClickHouse folder {self.folder} cannot be used: {error.strerror}") from error

    def _connect(self) -> Session:
        from chdb import session  # noqa: PLC0415  # 0.3 s and 370 MB: only where ClickHouse is asked for

        connect: Callable[[str], Session] = session.Session
        try:
            return connect(str(self.folder))
        except RuntimeError as error:
            raise SinkError(
                f"ClickHouse cannot open {self.folder}: it is damaged, or open in another program ({_short(error)})"
            ) from error

    def _ask(self, statement: str, parameters: Mapping[str, Any] | None, form: str) -> bytes:
        if self._session is None:
            raise SinkError(f"the ClickHouse folder {self.folder} was closed")
        try:
            return bytes(self._session.query(statement, form, params=dict(parameters or {})).bytes())
        except RuntimeError as error:
            code = _CODE.search(str(error))
            passing = (code is not None and code[1] in PASSING) or "No space left" in str(error)
            kind = SinkUnavailable if passing else SinkError
            raise kind(f"ClickHouse in {self.folder}: {_short(error)}") from error


def _short(error: RuntimeError) -> str:
    spoken = _SPOKEN.search(str(error))
    return (spoken[1] if spoken else str(error)).strip().split("\n")[0]
