"""Arguments that many commands share."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from tocsin.compiler import Plan

FILE = click.argument("file", type=click.Path(path_type=Path), default=Path("topology.yaml"))
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
SOURCES = click.option(
    "--source",
    "sources",
    metavar="NAME=URI",
    multiple=True,
    help="Where a stream or table comes from: NAME=parquet:PATH, ndjson:PATH, csv:PATH, avro:PATH, arrow:PATH.",
)


def load_plan(file: Path) -> Plan:
    """Read and compile a topology."""
    from tocsin.compiler import compile_topology  # noqa: PLC0415  # keeps --help instant
    from tocsin.language import load  # noqa: PLC0415

    return compile_topology(load(file))


def named(pairs: tuple[str, ...]) -> dict[str, str]:
    """Split NAME=URI arguments.

    Raises:
        click.BadParameter: one has no `=`, or a name comes twice.
    """
    found: dict[str, str] = {}
    for pair in pairs:
        name, equals, uri = pair.partition("=")
        if not equals or not uri:
            raise click.BadParameter(f"{pair!r} is not NAME=URI", param_hint="--source")
        if name in found:
            raise click.BadParameter(f"{name} is given twice", param_hint="--source")
        found[name] = uri
    return found


def moment(text: str | None) -> int | None:
    """Read a time argument (RFC 3339; a date alone is its midnight; without an offset UTC) as ms since the epoch."""
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is no time; expected one like 2026-03-01T10:00:00Z") from None
    aware = found if found.tzinfo is not None else found.replace(tzinfo=UTC)
    return round(aware.timestamp() * 1000)
