"""`tocsin dlq`: records that were put aside, with reason and position."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from tocsin.cli.files import JSON, STATE, state_of

if TYPE_CHECKING:
    from pathlib import Path

    from streams.dead_letters import Letters

TOPIC = click.option(
    "--from",
    "topic",
    metavar="kafka://HOST/TOPIC.dlq",
    help="Read the dead letters of a Kafka topic instead of those in a state folder.",
)


@click.group(name="dlq")
def command() -> None:
    """Look at dead letters and late records of the last run, and take them in again.

    \b
    tocsin dlq list
    tocsin dlq show payments 1742
    tocsin dlq replay payments
    tocsin dlq list --from kafka://localhost/payments.city.transaction.v1.dlq
    """  # noqa: D301  # \b is click's mark for lines that are not to be filled


@command.command(name="list")
@STATE
@TOPIC
@JSON
def list_letters(state: Path | None, topic: str | None, as_json: bool) -> None:  # noqa: FBT001  # click passes flags so
    """Count dead letters by stream, reason and field; exits 1 if there are any."""
    rows = _kept(state, topic).summary().to_dicts()
    if as_json:
        click.echo(json.dumps(rows, indent=2))
    for row in () if as_json else rows:
        field = f" of {row['field']}" if row["field"] else ""
        first = f"first at offset {row['first_offset']}"
        click.echo(f"{row['letters']:>9,}  {row['stream']}: {row['reason']}{field}, {first}")
    raise SystemExit(1 if rows else 0)


@command.command(name="show")
@STATE
@TOPIC
@click.argument("stream")
@click.argument("offset", type=int)
@click.option("--partition", default=0, show_default=True)
@JSON
def show_letter(
    state: Path | None,
    topic: str | None,
    stream: str,
    offset: int,
    partition: int,
    as_json: bool,  # noqa: FBT001  # as above
) -> None:
    """Show one dead letter: why it was put aside, and its raw bytes (they may name persons)."""
    found = _kept(state, topic).show(stream, partition, offset)
    if found is None:
        what = f"no dead letter of {stream} at partition {partition}, offset {offset}"
        raise click.UsageError(f"{what}: see `tocsin dlq list`")
    raw = found.pop("raw")
    text = raw.decode("utf-8", "backslashreplace") if isinstance(raw, bytes) else str(raw)
    if isinstance(key := found["key"], bytes):
        found["key"] = key.decode("utf-8", "backslashreplace")
    if as_json:
        click.echo(json.dumps({**found, "raw": text}, indent=2, ensure_ascii=False))
        return
    for name, value in found.items():
        click.echo(f"{name:<12} {value}")
    click.echo(f"\n{text}")


@command.command(name="replay")
@STATE
@TOPIC
@click.argument("stream")
@JSON
def replay(state: Path | None, topic: str | None, stream: str, as_json: bool) -> None:  # noqa: FBT001  # as above
    """Run again with a stream's dead letters and late records taken in, and print how the alerts differ.

    Exits 1 if they do. What the topology still refuses stays out: mend it first. With --from the letters are those of
    a topic; the run that is repeated is always that of a state folder.
    """
    from streams.local.again import replay_letters  # noqa: PLC0415  # keeps --help instant

    difference = replay_letters(state_of(state), stream, None if topic is None else _kept(None, topic))
    click.echo(json.dumps(difference.as_json(), indent=2) if as_json else difference.as_text())
    raise SystemExit(1 if difference.only_after.height or difference.only_before.height else 0)


def _kept(state: Path | None, topic: str | None) -> Letters:
    """Give where the letters are; UsageError for two places at once."""
    if topic is not None:
        if state is not None:
            raise click.UsageError("dead letters are either in a state folder or in a topic: give --state or --from")
        from streams.kafka.dead_letters import DeadLetterTopic  # noqa: PLC0415
        from tocsin.kafka import address_of  # noqa: PLC0415

        address = address_of(topic)
        address.refuse_options_but()
        return DeadLetterTopic(address)
    from streams.dead_letters import DeadLetterStore  # noqa: PLC0415
    from streams.local.running import DEAD  # noqa: PLC0415

    return DeadLetterStore(state_of(state) / DEAD)
