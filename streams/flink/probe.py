"""A tiny job that asks a task manager of a cluster what Python it has, before the real one is submitted.

A job whose Python cannot start does not fail: Flink starts it again for ever. This one is not started again. It takes
one slot, and asks one task manager for all of them.
"""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from platform import python_version
from typing import TYPE_CHECKING

from streams.flink.causes import cause_in
from streams.flink.rest import is_here
from tocsin.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PACKAGES = ("tocsin", "apache-flink", "polars", "msgspec")
"""Whose versions have to be the same there and here: what travels with a job is only read by the same ones."""
PYTHON = "python.executable"
NAME = "tocsin looks at the Python of the task managers"


def probe(cluster: str, settings: Mapping[str, str]) -> None:
    """Raise SourceError if the task managers lack what a job's functions need; `settings`: of the job.

    Those of this machine that run the interpreter of this process are not asked: they have what is here.
    """
    python = settings.get(PYTHON, sys.executable)
    if python != sys.executable or not is_here(cluster):
        _ask(cluster, python, settings)


def _ask(cluster: str, python: str, settings: Mapping[str, str]) -> None:
    from pyflink.common import Types  # noqa: PLC0415  # the rest of this module is for task managers that may lack it

    from streams.flink.environment import make_environment  # noqa: PLC0415

    words = {name: value for name, value in settings.items() if not name.startswith("execution.")}
    words |= {PYTHON: python, "parallelism.default": "1", "restart-strategy.type": "disable"}
    env = make_environment(words, cluster)
    try:
        with env.from_collection([0], Types.INT()).map(tell, Types.STRING()).execute_and_collect(NAME) as answers:
            told = [json.loads(answer) for answer in answers]
    except Exception as error:
        raise SourceError(
            f"the task managers of {cluster} cannot run the functions of a job by {python}: {cause_in(str(error))}; "
            f"{_what_to_do()}"
        ) from error
    refuse_others(told, cluster, python)


def tell(_: int) -> str:
    """Say, where it runs, which versions are there; fails if what a job's functions need is not."""
    import streams.flink.functions  # noqa: F401, PLC0415  # that is the question

    return json.dumps(versions())


def versions() -> dict[str, str]:
    """Give the versions of what has to be the same."""
    return {"python": python_version().rpartition(".")[0], **{name: version(name) for name in PACKAGES}}


def refuse_others(told: Iterable[Mapping[str, str]], cluster: str, python: str) -> None:
    """Raise SourceError if versions differ from those here."""
    here = versions()
    for there in told:
        differ = [f"{name} {there.get(name)} instead of {here[name]}" for name in here if there.get(name) != here[name]]
        if differ:
            raise SourceError(
                f"{python} on the task managers of {cluster} has {', '.join(differ)}: a job can only be read by the "
                f"versions that it was made with; {_what_to_do()}"
            )


def _what_to_do() -> str:
    here = versions()
    return (
        f"on each of them, install Python {here['python']} with tocsin[flink,kafka]=={here['tocsin']} as its lock has "
        f"it, and name the interpreter: --flink {PYTHON}=PATH; flink-python-{here['apache-flink']}.jar has to be in "
        "Flink's lib"
    )
