"""`tocsin dlq`: records that were put aside, with reason and position."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from streams.dead_letters import DeadLetterStore

STATE = click.option(
    "--state",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    required=True,
    help="The state folder of the run (.tocsin/NAME unless it was given).",
)


@click.group(name="dlq")
def command() -> None:
    """Look at dead letters and late records, and take them in again."""


@command.command(name="list")
@STATE
@click.option("--json", "as_json", is_flag=True)
def list_letters(state: Path, as_json: bool) -> None:  # noqa: FBT001  # click passes flags so
    """Count dead letters by stream, reason and field; exits 1 if there are any."""
    rows = _store(state).summary().to_dicts()
    if as_json:
        click.echo(json.dumps(rows, indent=2))
    for row in () if as_json else rows:
        field = f" of {row['field']}" if row["field"] else ""
        click.echo(
            f"{row['letters']:>9,}  {row['stream']}: {row['reason']}{field}, first at offset {row['first_offset']}"
        )
    raise SystemExit(1 if rows else 0)


@command.command(name="show")
@STATE
@click.argument("stream")
@click.argument("offset", type=int)
@click.option("--partition", default=0, show_default=True)
def show_letter(state: Path, stream: str, offset: int, partition: int) -> None:
    """Show one dead letter: why it was put aside, and its raw bytes."""
    found = _store(state).show(stream, partition, offset)
    if found is None:
        raise click.UsageError(f"no dead letter of {stream} at partition {partition}, offset {offset}")
    raw = found.pop("raw")
    click.echo(json.dumps(found, indent=2))
    click.echo(bytes(raw).decode("utf-8", "backslashreplace") if isinstance(raw, bytes) else str(raw))


@command.command(name="replay")
@STATE
@click.argument("stream")
def replay(state: Path, stream: str) -> None:
    """Run again with a stream's dead letters and late records taken in, and print how the alerts differ.

    Exits 1 if they do. What the topology still refuses stays out: mend it first.
    """
    from streams.local.again import replay_letters  # noqa: PLC0415  # keeps --help instant

    difference = replay_letters(state, stream)
    click.echo(difference.as_text())
    raise SystemExit(1 if difference.only_after.height or difference.only_before.height else 0)


def _store(state: Path) -> DeadLetterStore:
    from streams.dead_letters import DeadLetterStore  # noqa: PLC0415
    from streams.local.running import DEAD  # noqa: PLC0415

    return DeadLetterStore(state / DEAD)
