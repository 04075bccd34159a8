"""What the servers on a JVM have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stack.server import find_program

if TYPE_CHECKING:
    from pathlib import Path

QUICK_START = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto")
_LOGGING = """rootLogger.level={level}
rootLogger.appenderRef.out.ref=out
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d{{ISO8601}} %p %c: %m%n
"""


def java() -> str:
    """Give the program."""
    return find_program("java") or "java"


def write_logging(folder: Path, level: str) -> None:
    """Let log4j write what is as grave as `level` or graver to the output."""
    _file(folder).write_text(_LOGGING.format(level=level), encoding="utf-8")


def logging(folder: Path) -> str:
    """Give the word that tells a JVM of it."""
    return f"-Dlog4j2.configurationFile={_file(folder)}"


def _file(folder: Path) -> Path:
    return folder / "log4j2.properties"
