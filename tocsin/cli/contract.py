"""`tocsin contract`: what stands on the topics, for whoever reads or writes them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from tocsin.cli.files import FILE, load_plan

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@click.group(name="contract")
def command() -> None:
    """Print the contracts of alerts and topics, made from the model.

    \b
    tocsin contract jsonschema            the value of an alert message
    tocsin contract avro                  the same as an Avro schema
    tocsin contract asyncapi my.yaml      all topics of a topology, as AsyncAPI 3
    """  # noqa: D301  # \b is click's mark for lines that are not to be filled


@command.command(name="jsonschema")
def print_json_schema() -> None:
    """Print the JSON Schema of an alert message."""
    from tocsin.contracts import alert_schema  # noqa: PLC0415  # keeps --help instant

    _print(alert_schema())


@command.command(name="avro")
def print_avro() -> None:
    """Print the Avro schema of an alert message."""
    from tocsin.contracts import alert_avro  # noqa: PLC0415  # as above

    _print(alert_avro())


@command.command(name="asyncapi")
@FILE
@click.option("--kafka", "servers", metavar="HOST:PORT", default="", help="The brokers to name in the document.")
def print_asyncapi(file: Path, servers: str) -> None:
    """Print the AsyncAPI 3 document of a topology: alerts, streams, dead letters."""
    from tocsin.contracts import asyncapi  # noqa: PLC0415  # as above

    _print(asyncapi(load_plan(file), servers))


def _print(document: Mapping[str, object]) -> None:
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))
