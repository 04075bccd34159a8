"""Arguments that many commands share."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from tocsin.compiler import Plan

STATES = ".tocsin"
"""Where runs keep their state: a folder per topology, beside the caller."""

FILE = click.argument("file", type=click.Path(path_type=Path), default=Path("topology.yaml"))
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
SOURCES = click.option(
    "--source",
    "sources",
    metavar="NAME=URI",
    multiple=True,
    help="Where a stream or table comes from: NAME=parquet:PATH, ndjson:PATH, csv:PATH, avro:PATH, arrow:PATH; "
    "a table also from redis://HOST/DB/KEY.",
)
STATE = click.option(
    "--state",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help=f"The state folder of the run; default: of the last run from here ({STATES}/NAME).",
)


def state_of(given: Path | None) -> Path:
    """Give the state folder that was named, or that of the last run from this place; UsageError if there is none."""
    if given is not None:
        return given
    notes = sorted(Path(STATES).glob("*/run.json"), key=lambda note: note.stat().st_mtime)
    if not notes:
        raise click.UsageError(f"nothing was run from here ({STATES} has no state folder): name one with --state")
    return notes[-1].parent


def warn(message: str) -> None:
    """Say on stderr what does not stop a command."""
    click.echo(f"tocsin: {message}", err=True)


def load_plan(file: Path) -> Plan:
    """Read and compile a topology."""
    from tocsin.compiler import compile_topology  # noqa: PLC0415  # keeps --help instant
    from tocsin.language import load  # noqa: PLC0415

    return compile_topology(load(file))


def named(pairs: tuple[str, ...], option: str = "--source") -> dict[str, str]:
    """Split the NAME=VALUE arguments of an option.

    Raises:
        click.BadParameter: one has no `=`, or a name comes twice.
    """
    found: dict[str, str] = {}
    for pair in pairs:
        name, equals, uri = pair.partition("=")
        if not equals or not uri:
            raise click.BadParameter(f"{pair!r} is not NAME=VALUE", param_hint=option)
        if name in found:
            raise click.BadParameter(f"{name} is given twice", param_hint=option)
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
