"""The command line. Exit codes: 0 good, 1 found something, 2 wrong use."""

from __future__ import annotations

from importlib import import_module

import click

from tocsin.errors import TocsinError

COMMANDS = {
    "alerts": "ask the embedded ClickHouse for alerts",
    "check": "validate a topology and run the tests of its rules",
    "demo": "simulate a small city, watch it, score the alerts",
    "dlq": "list, show and replay dead letters",
    "explain": "say why an alert was raised, from its source",
    "features": "write the rows of one feature",
    "plan": "show stages, keys, exchanges, gates and state",
    "run": "run a topology over streams",
    "schema": "print the JSON Schema of topology.yaml, for editors",
    "simulate": "make labelled streams",
}


class Commands(click.Group):
    """Finds commands by name and imports only the one that is asked for, so that `--help` is instant."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Give the names of all commands."""
        del ctx
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in COMMANDS:
            ctx.fail(f"no command is called {cmd_name!r}; expected one of {', '.join(sorted(COMMANDS))}")
        command: click.Command = import_module(f"tocsin.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(sorted(COMMANDS.items()))


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="tocsin")
def tocsin() -> None:
    """Turn streams of events into few, explained, deduplicated alerts."""


def main() -> None:
    """Run the command line; an error of ours is a sentence on stderr and exit code 2."""
    try:
        tocsin(standalone_mode=True)
    except TocsinError as error:
        click.echo(f"tocsin: {error}", err=True)
        raise SystemExit(2) from None
