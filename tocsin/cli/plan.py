"""`tocsin plan`: what a topology compiles to."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from tocsin.cli.files import FILE, JSON, load_plan

if TYPE_CHECKING:
    from pathlib import Path

    from tocsin.compiler.describe import StageInfo


@click.command(name="plan")
@FILE
@JSON
def command(file: Path, as_json: bool) -> None:  # noqa: FBT001  # click passes flags so
    """Show the stages of a topology: keys, exchanges, gates, buffers, estimated state."""
    from tocsin.compiler.describe import describe  # noqa: PLC0415  # keeps --help instant

    stages = describe(load_plan(file))
    if as_json:
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
