"""`tocsin topics`: the Kafka topics of a topology."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from tocsin.cli.files import FILE, JSON, load_plan
from tocsin.errors import TopicError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from pathlib import Path

    from streams.kafka.cluster import Cluster
    from streams.kafka.topic_changes import Change
    from streams.kafka.topics import Topic


class Asked(NamedTuple):
    """What is to be compared with what is there."""

    cluster: Cluster
    topics: list[Topic]
    copies: int


@click.group(name="topics")
def command() -> None:
    """Show and make the Kafka topics of a topology.

    \b
    tocsin topics plan topology.yaml --kafka localhost:9092
    tocsin topics apply topology.yaml --kafka localhost:9092
    """  # noqa: D301  # \b is click's mark for lines that are not to be filled


def _options(function: Callable[..., None]) -> Callable[..., None]:
    """Give a subcommand the arguments that both have."""
    for option in reversed(
        (
            FILE,
            click.option(
                "--kafka",
                "servers",
                metavar="HOST:PORT",
                help="The brokers; else as TOCSIN_KAFKA_BOOTSTRAP_SERVERS says.",
            ),
            click.option(
                "--partitions",
                type=click.IntRange(1),
                default=8,
                show_default=True,
                help="Of streams, keyed tables and alerts.",
            ),
            click.option(
                "--retention",
                default="7d",
                show_default=True,
                help="How long records and their dead letters are kept; alerts 30d at least.",
            ),
            click.option(
                "--copies", type=click.IntRange(1), help="Of each partition; default: as the brokers have it."
            ),
            click.option("--prefix", default="", help="Stands before the topics of streams and tables."),
            click.option(
                "--alerts",
                metavar="TOPIC",
                multiple=True,
                help="A topic of alerts that the topology does not name (`run --sink kafka:…`).",
            ),
            click.option(
                "--insist",
                metavar="TOPIC",
                multiple=True,
                help="Make this topic as it should be even if keys move or records go.",
            ),
            click.option("--delete", metavar="TOPIC", multiple=True, help="Delete this topic, with all that is in it."),
        )
    ):
        function = option(function)
    return function


@command.command(name="plan")
@_options
@JSON
def plan_topics(file: Path, delete: tuple[str, ...], insist: tuple[str, ...], as_json: bool, **asked: Any) -> None:  # noqa: ANN401, FBT001  # click passes what `_asked` takes, and flags so
    """Show what `apply` would do; exits 1 if there is something to do, or if a topic is not as it should be."""
    found = _compare(_asked(file, **asked), insist, delete)
    if as_json:
        click.echo(json.dumps([asdict(change) for change in found], indent=2))
    else:
        for change in found:
            click.echo(_text(change))
    raise SystemExit(1 if any(change.step != "keep" or change.differs for change in found) else 0)


@command.command(name="apply")
@_options
@JSON
def apply_topics(file: Path, delete: tuple[str, ...], insist: tuple[str, ...], as_json: bool, **asked: Any) -> None:  # noqa: ANN401, FBT001  # as above
    """Make the topics as the topology wants them; nothing is lost unless it is named with --insist or --delete."""
    comparing = _asked(file, **asked)
    found = _compare(comparing, insist, delete)
    failed, done = [], []
    for change in found:
        try:
            comparing.cluster.carry_out(change, comparing.copies)
        except TopicError as error:
            failed.append(str(error))
            continue
        done.append(change)
        if not as_json:
            click.echo(_text(change))
    gone = [change.name for change in done if change.step == "delete"]
    comparing.cluster.await_names([change.name for change in done if change.name not in gone], gone)
    if as_json:
        click.echo(json.dumps({"changes": [asdict(change) for change in found], "failed": failed}, indent=2))
    if failed:
        raise TopicError(
            "\n".join([f"{len(failed)} of {len(found)} topics could not be made as they should be", *failed])
        )


def _asked(
    file: Path,
    servers: str | None,
    partitions: int,
    retention: str,
    copies: int | None,
    prefix: str,
    alerts: tuple[str, ...],
) -> Asked:
    from streams.kafka.cluster import Cluster  # noqa: PLC0415  # keeps --help instant
    from streams.kafka.topics import Sizes, alert_topic, merged, topics_of  # noqa: PLC0415
    from tocsin.kafka import SERVERS, parse_address  # noqa: PLC0415
    from tocsin.model.units import parse_duration  # noqa: PLC0415

    named = servers or os.environ.get(SERVERS)
    if not named:
        raise click.UsageError(f"which brokers? Name them with --kafka HOST:PORT, or in {SERVERS}")
    named = parse_address(f"kafka://{named}/any", TopicError).servers
    sizes = Sizes(partitions, parse_duration(retention), copies or -1)
    wanted = topics_of(load_plan(file), sizes, named, prefix=prefix)
    more = [alert_topic(name, sizes, "alerts") for name in alerts if name not in {topic.name for topic in wanted}]
    return Asked(Cluster(named), merged([*wanted, *more]), sizes.copies)


def _compare(asked: Asked, insist: Sequence[str], delete: Sequence[str]) -> list[Change]:
    from streams.kafka.topic_changes import changes  # noqa: PLC0415

    found = asked.cluster.look({topic.name: list(topic.settings) for topic in asked.topics})
    _refuse_unknown("--insist", insist, [topic.name for topic in asked.topics])
    if delete:
        _refuse_unknown("--delete", delete, asked.cluster.names())
    return changes(asked.topics, found, insist=insist, delete=delete)


def _refuse_unknown(option: str, names: Sequence[str], known: Collection[str]) -> None:
    for name in names:
        if name not in known:
            raise click.BadParameter(f"there is no topic {name!r}{did_you_mean(name, known)}", param_hint=option)


def _text(change: Change) -> str:
    parts = [f"{change.partitions} partition{'s' if change.partitions > 1 else ''}"] if change.partitions else []
    parts += [f"{name}={value}" for name, value in change.settings.items()]
    differs = "".join(f"\n        {sentence}" for sentence in change.differs)
    return f"{change.step:7} {change.name:36} {change.why}{': ' if parts else ''}{', '.join(parts)}{differs}"
