"""What a run of a runtime of several processes says on the command line, whichever it is."""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import click
from click.core import ParameterSource

from tocsin.cli.files import STATES, load_plan, moment, named, warn
from tocsin.cli.signals import stoppable, tell_stopped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from streams.tasks import running
    from tocsin.compiler import Plan

GROUP = click.option("--group", default="", help="Consumer group of faust and flink; default tocsin-NAME.")


class Words(Protocol):
    """What was said."""

    @property
    def file(self) -> Path:
        """The topology."""

    @property
    def sources(self) -> tuple[str, ...]:
        """NAME=URI of streams and tables."""

    @property
    def sinks(self) -> tuple[str, ...]:
        """URIs."""

    @property
    def state(self) -> Path | None:
        """The state folder."""

    @property
    def until(self) -> str | None:
        """When the run ends."""

    @property
    def early(self) -> bool:
        """Whether there are early copies."""

    @property
    def buckets(self) -> int:
        """Into how many parts keys are spread."""

    @property
    def group(self) -> str:
        """The consumer group, "" for the usual one."""


def given_options() -> Iterator[click.Parameter]:
    """Give the options that the command line has said."""
    context = click.get_current_context()
    for option in context.command.params:
        if context.get_parameter_source(option.name or "") is ParameterSource.COMMANDLINE:
            yield option


@contextmanager
def needing(runtime: str) -> Iterator[None]:
    """Say what is to be installed where the runtime, an extra, is not there."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise click.UsageError(
            f"the runtime {runtime} needs {error.name}: pip install 'tocsin[{runtime},kafka]'"
        ) from error


def fields_of(words: Words, runtime: str) -> tuple[Plan, dict[str, Any]]:
    """Give the plan, and what the words say of the fields of `streams.tasks.running.Run`."""
    plan = load_plan(words.file)
    return plan, {
        "plan": plan,
        "topology": words.file,
        "folder": words.state or Path(STATES) / plan.name / runtime,
        "sources": named(words.sources),
        "sinks": words.sinks,
        "group": words.group,
        "shards": words.buckets if words.buckets > 1 else None,
        "until": moment(words.until),
        "early": words.early,
        "warn": warn,
    }


Given = TypeVar("Given", bound="running.Run")


def run_until_stopped(run: Given, carry_out: Callable[[Given], bool], told: dict[str, object] | None) -> None:
    """Run until it is through `--until`, or until a signal comes; `told` is said of it in JSON."""
    with stoppable() as stop:
        run.stop = stop
        through = carry_out(run)
    if told is not None:
        click.echo(json.dumps({"group": run.group, **told, "through": through}))
    if not through:
        tell_stopped(stop)
