"""`tocsin check`: everything that can be wrong with a topology, before anything starts."""

from __future__ import annotations

import gc
import json
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from tocsin.cli.files import FILE, JSON, SOURCES, named

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from streams.measure import Measured
    from streams.rule_tests import Outcome
    from tocsin.compiler import Plan
    from tocsin.errors import Problem


@click.command(name="check")
@FILE
@JSON
@click.option("--measure", is_flag=True, help="Show lag and rates of real data, to choose lateness and idle from.")
@SOURCES
def command(file: Path, as_json: bool, measure: bool, sources: tuple[str, ...]) -> None:  # noqa: FBT001  # click passes flags so
    """Validate a topology, run the tests of its rules, and say how each rule clears.

    Exits 1 if something is wrong with it.
    """
    with _without_collections():
        _check(file, sources, as_json=as_json, measure=measure)


@contextmanager
def _without_collections() -> Iterator[None]:
    """Let the garbage collector rest: looking through all that is imported takes a tenth of so short a command."""
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()


def _check(file: Path, sources: tuple[str, ...], *, as_json: bool, measure: bool) -> None:
    from streams.rule_tests import run_tests  # noqa: PLC0415  # keeps --help instant
    from tocsin.compiler import compile_topology  # noqa: PLC0415
    from tocsin.errors import TopologyError  # noqa: PLC0415
    from tocsin.language import load  # noqa: PLC0415

    try:
        topology = load(file)
        plan = compile_topology(topology)
    except TopologyError as error:
        _show_problems(error.problems, as_json=as_json)
        raise SystemExit(1) from None
    outcomes = list(run_tests(topology, plan))
    measured = _measure(plan, sources) if measure else []
    if as_json:
        click.echo(json.dumps(_as_json(plan, outcomes, measured), indent=2, ensure_ascii=False))
    else:
        _show(plan, outcomes, measured)
    raise SystemExit(0 if all(outcome.good for outcome in outcomes) else 1)


def _measure(plan: Plan, sources: tuple[str, ...]) -> list[Measured]:
    from streams.measure import measure_stream  # noqa: PLC0415

    uris = named(sources)
    unknown = set(uris) - set(plan.streams)
    if unknown or not uris:
        raise click.UsageError(f"--measure needs --source STREAM=URI with STREAM one of {', '.join(plan.streams)}")
    return [measure_stream(plan.streams[name], uri) for name, uri in uris.items()]


def _show_problems(problems: Sequence[Problem], *, as_json: bool) -> None:
    if as_json:
        found = [
            {
                "file": problem.mark.file,
                "line": problem.mark.line,
                "column": problem.mark.column,
                "code": problem.code,
                "what": problem.what,
                "expected": problem.expected,
                "nearest": problem.nearest,
            }
            for problem in problems
        ]
        click.echo(json.dumps({"problems": found}, indent=2, ensure_ascii=False))
        return
    for problem in problems:
        click.echo(str(problem), err=True)
    click.echo(f"{len(problems)} problem{'s' if len(problems) > 1 else ''}", err=True)


def _as_json(plan: Plan, outcomes: Sequence[Outcome], measured: Sequence[Measured]) -> dict[str, object]:
    return {
        "problems": [],
        "rules": {n: {"version": rule.version, "clears": dict(rule.clears)} for n, rule in plan.rules.items()},
        "tests": [
            {"rule": o.rule, "number": o.number, "good": o.good, "differences": list(o.differences)} for o in outcomes
        ],
        "measured": [one.as_json() for one in measured],
    }


def _show(plan: Plan, outcomes: Sequence[Outcome], measured: Sequence[Measured]) -> None:
    parts = {"stream": plan.streams, "feature": plan.outputs, "rule": plan.rules}
    told = ", ".join(f"{len(part)} {name}{'s' if len(part) != 1 else ''}" for name, part in parts.items())
    click.echo(f"{plan.name}: {told}, all well formed")
    for name, rule in plan.rules.items():
        click.echo(click.style(f"\n{name}", bold=True) + f" (version {rule.version})")
        for level, how in rule.clears.items():
            click.echo(f"  {level} clears {how}")
        _show_tests([outcome for outcome in outcomes if outcome.rule == name])
    for one in measured:
        click.echo(one.as_text())


def _show_tests(outcomes: Sequence[Outcome]) -> None:
    if not outcomes:
        click.echo("  no tests")
    for outcome in outcomes:
        if outcome.good:
            click.echo(f"  test {outcome.number}: as expected")
            continue
        click.echo(f"  test {outcome.number} at {outcome.place}: " + click.style("not as expected", fg="red"))
        for difference in outcome.differences:
            click.echo(f"    {difference}")
