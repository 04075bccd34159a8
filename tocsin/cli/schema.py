"""`tocsin schema`: the JSON Schema of topology.yaml."""

from __future__ import annotations

import json

import click


@click.command(name="schema")
def command() -> None:
    """Print the JSON Schema of topology.yaml, for completion in editors."""
    from tocsin.language import json_schema  # noqa: PLC0415  # keeps --help instant

    click.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))
