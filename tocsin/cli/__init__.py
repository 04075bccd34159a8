"""The command line.

Exit codes: 0 good, 1 found something, 2 wrong use or an input that cannot be used. Beside these 128 + the number of a
signal that stopped it, and 70 for a defect of ours.
"""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from importlib import import_module
from typing import NoReturn

import click

from tocsin.errors import TocsinError, did_you_mean

COMMANDS = {
    "alerts": "ask the embedded ClickHouse for alerts",
    "application": "be the program of a Flink application; Flink starts it",
    "check": "validate a topology and run the tests of its rules",
    "contract": "print JSON Schema, Avro and AsyncAPI of alerts and topics",
    "demo": "simulate a small city, watch it, score the alerts",
    "dlq": "list, show and replay dead letters",
    "explain": "say why an alert was raised, from its source",
    "features": "write the rows of one feature",
    "flink": "submit jobs to a Flink cluster; save, stop and rescale them",
    "plan": "show stages, keys, exchanges, gates and state",
    "run": "run a topology over streams",
    "schema": "print the JSON Schema of topology.yaml, for editors",
    "simulate": "make labelled streams",
    "topics": "show and make the Kafka topics of a topology",
}

PURE = frozenset({"check", "contract", "plan", "schema"})
"""Commands that leave nothing to be closed: their process need not be taken apart, which takes long after imports."""

WRONG_USE = 2
DEFECT = 70
"""EX_SOFTWARE of sysexits.h."""
INTERRUPTED, PIPE_CLOSED = 130, 141
"""128 + SIGINT and SIGPIPE, as a shell reports them."""
DEBUG = "TOCSIN_DEBUG"
_OUTPUT = frozenset({errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""What writing may meet."""


class Commands(click.Group):
    """Finds commands by name and imports only the one that is asked for, so that `--help` is instant."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Give the names of all commands."""
        del ctx
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in COMMANDS:
            known = ", ".join(sorted(COMMANDS))
            ctx.fail(f"no command is called {cmd_name!r}; expected one of {known}{did_you_mean(cmd_name, COMMANDS)}")
        command: click.Command = import_module(f"tocsin.cli.{cmd_name}").command
        ctx.ensure_object(list).append(cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(sorted(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> object:
        """Run a command; a broken pipe would be an exit code of click's."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise SystemExit(_report(error)) from None


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="tocsin")
@click.option("--debug", is_flag=True, help=f"Show where an error comes from (or set {DEBUG}=1).")
def tocsin(debug: bool) -> None:  # noqa: FBT001  # click passes flags so
    """Turn streams of events into few, explained, deduplicated alerts.

    \b
    tocsin demo                                    see it work
    tocsin check topology.yaml                     is it right, and how does each rule clear?
    tocsin run topology.yaml --source payments=parquet:payments.parquet --sink ndjson:alerts.ndjson

    Exit codes: 0 good, 1 found something, 2 wrong use or unusable input, 70 a defect of tocsin, 128 + a signal.
    """  # noqa: D301  # \b is click's mark for lines that are not to be filled
    if debug:
        os.environ[DEBUG] = "1"


def main() -> NoReturn:
    """Be the command `tocsin`."""
    called: list[str] = []
    code = answer(called)
    if PURE.issuperset(called):
        sys.stderr.flush()
        os._exit(code)
    raise SystemExit(code)


def answer(called: list[str]) -> int:
    """Run the command line and give its exit code; `called` takes the name of the command.

    Whatever goes wrong is a sentence on stderr, never a traceback.
    """
    try:
        code = tocsin.main(prog_name="tocsin", standalone_mode=False, obj=called)
    except click.ClickException as error:
        error.show()
        code = WRONG_USE
    except (click.Abort, KeyboardInterrupt):
        _complain("stopped")
        code = INTERRUPTED
    except SystemExit as ended:
        code = ended.code
    except BaseException as error:  # noqa: BLE001  # nothing may reach a user raw, and a panic in Polars is no Exception
        code = _report(error)
    try:
        sys.stdout.flush()
    except OSError as error:
        code = _report(error)
    return code if isinstance(code, int) else 0


def _report(error: BaseException) -> int:
    """Say what went wrong; give the exit code. A reader that went away, as in `tocsin alerts | head`, hears nothing."""
    if isinstance(error, OSError) and error.errno in _OUTPUT:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            return PIPE_CLOSED
        _complain(f"{error.filename or 'what is printed'} cannot be written: {error.strerror}")
        return WRONG_USE
    if os.environ.get(DEBUG):
        sys.excepthook(type(error), error, error.__traceback__)
    if isinstance(error, TocsinError):
        _complain(str(error))
        return WRONG_USE
    first = str(error).partition("\n")[0]
    _complain(
        f"this is a defect of tocsin, please report it: {type(error).__name__}: {first} "
        f"({DEBUG}=1 shows where; what was committed is safe, and the same command goes on from there)"
    )
    return DEFECT


def _complain(message: str) -> None:
    with suppress(OSError):
        click.echo(f"tocsin: {message}", err=True)
