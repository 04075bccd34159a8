"""`tocsin plan`: what a topology compiles to, and what job of Flink it would be."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from tocsin.cli.files import FILE, JSON, SOURCES, load_plan, named
from tocsin.cli.jobs import PARALLELISM
from tocsin.cli.run import BUCKETS, EARLY, KAFKA, SINKS, with_topics
from tocsin.cli.runtimes import GROUP, given_options

if TYPE_CHECKING:
    from pathlib import Path

    from streams.flink.graph import Operator
    from streams.flink.planning import Planned
    from tocsin.compiler.describe import StageInfo

SOMEWHERE = "localhost:9092"
"""The brokers of a plan that names none: they are shown, and not asked."""
OF_EVERY_PLAN = {"file", "runtime", "as_json"}


class Said(NamedTuple):
    """What was said on the command line, by the names of the options."""

    file: Path
    runtime: str
    sources: tuple[str, ...]
    sinks: tuple[str, ...]
    servers: str
    partitions: tuple[str, ...]
    parallelism: int
    buckets: int
    early: bool
    group: str
    as_json: bool


@click.command(name="plan")
@FILE
@click.option(
    "--runtime",
    type=click.Choice(["local", "flink"]),
    default="local",
    show_default=True,
    help="local: the stages, as any runtime carries them out; flink: the job, its graph and its topics. All other "
    "options are of the latter.",
)
@SOURCES
@SINKS
@KAFKA
@click.option(
    "--partitions",
    metavar="STREAM=N",
    multiple=True,
    help="Of a stream's topic, which is not asked for; default 8, as `tocsin topics apply` makes it.",
)
@PARALLELISM
@BUCKETS
@EARLY
@GROUP
@JSON
def command(**said: Any) -> None:  # noqa: ANN401  # what click read, by the names of Said
    """Show the stages of a topology: keys, exchanges, gates, buffers, estimated state.

    With --runtime flink show the job instead: its operators, what flows between them, and how its topics are read and
    written. Neither a broker nor Java is needed for that.

    \b
    tocsin plan my.yaml
    tocsin plan my.yaml --runtime flink --parallelism 4 --sink kafka://localhost:9092/alerts
    """  # noqa: D301  # \b is click's mark for lines that are not to be filled
    words = Said(**said)
    if words.runtime == "flink":
        _show_job(words)
    else:
        _refuse_words_of_flink()
        _show_stages(words)


def _refuse_words_of_flink() -> None:
    for option in given_options():
        if option.name not in OF_EVERY_PLAN:
            raise click.UsageError(f"{option.opts[0]} is a word of --runtime flink: say that, too, or leave it out")


def _show_stages(words: Said) -> None:
    from tocsin.compiler.describe import describe  # noqa: PLC0415  # keeps --help instant

    stages = describe(load_plan(words.file))
    if words.as_json:
        click.echo(json.dumps(stages, indent=2, ensure_ascii=False))
        return
    for stage in stages:
        click.echo(_text(stage))


def _text(stage: StageInfo) -> str:
    lines = [click.style(stage["stage"], bold=True), f"  key       {', '.join(stage['key']) or '(none)'}"]
    lines += [
        f"  reads     {item['reads']}; exchange {item['exchange']}; buffers {item['buffer']}"
        for item in stage["inputs"]
    ]
    lines += [
        f"  waits for {', '.join(stage['gates'])}",
        f"  runs      {' -> '.join(stage['operators']) or 'nothing'}",
        f"  state     {stage['state']}; looks back {stage['memory']}",
        f"  gives     {', '.join(stage['gives'])}",
    ]
    return "\n".join(lines) + "\n"


def _show_job(words: Said) -> None:
    from streams.flink.planning import Wanted, planned  # noqa: PLC0415  # as above

    plan = load_plan(words.file)
    wanted = Wanted(
        plan,
        with_topics(plan, named(words.sources), words.servers or SOMEWHERE),
        words.sinks,
        group=words.group,
        parallelism=words.parallelism,
        shards=words.buckets if words.buckets > 1 else None,
        early=words.early,
        partitions=_numbers(words.partitions),
    )
    job = planned(wanted)
    click.echo(json.dumps(_told(job), indent=2, ensure_ascii=False) if words.as_json else _job_text(job))


def _numbers(pairs: tuple[str, ...]) -> dict[str, int]:
    found = named(pairs, "--partitions")
    for name, number in found.items():
        if not number.isdecimal() or int(number) < 1:
            raise click.BadParameter(f"{name}={number}: expected a number from 1 on", param_hint="--partitions")
    return {name: int(number) for name, number in found.items()}


def _told(job: Planned) -> dict[str, object]:
    return {
        "job": job.job,
        "parallelism": job.parallelism,
        "shards": job.shards,
        "key_groups": job.groups,
        "operators": [
            {
                "name": one.name,
                "uid": one.uid,
                "does": one.does,
                "parallelism": one.parallelism,
                "key": one.key,
                "state": one.state,
                "reads": [edge._asdict() for edge in one.reads],
                "topic": None if one.topic is None else one.topic._asdict(),
            }
            for one in job.operators
        ],
    }


def _job_text(job: Planned) -> str:
    head = (
        f"{click.style(job.job, bold=True)}\n  parallelism {job.parallelism}, {job.shards} shards, "
        f"{job.groups} key groups\n"
    )
    return "\n".join([head, *map(_operator_text, job.operators)])


def _operator_text(one: Operator) -> str:
    lines = [
        click.style(one.name, bold=True),
        f"  does      {one.does}",
        f"  subtasks  {one.parallelism}",
        f"  uid       {one.uid}",
    ]
    lines += [f"  reads     {edge.operator}{f': {edge.output}' if edge.output else ''}" for edge in one.reads]
    lines += [f"  by        {one.key}"] if one.key else []
    lines += [f"  state     {one.state}"] if one.state else []
    if one.topic is not None:
        lines += [f"  topic     {one.topic.name}{', in transactions' if one.topic.transactions else ''}"]
        lines += [f"    {name} = {value}" for name, value in one.topic.client.items()]
    return "\n".join(lines) + "\n"
