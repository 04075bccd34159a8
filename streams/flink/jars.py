"""The jar that Flink needs to read and write Kafka: where it is on this machine."""

from __future__ import annotations

import os
from pathlib import Path

from tocsin import jars
from tocsin.errors import SourceError

VARIABLE = "TOCSIN_FLINK_JARS"
"""Names a folder that holds the jar; without it, the jar is looked for where `python -m stack fetch` puts it."""
POM = Path(__file__).with_name("pom.xml")
LOCK = Path(__file__).with_name("jars.lock")


def connector() -> Path:
    """Give the path of the connector to Kafka, as `jars.lock` has it.

    SourceError where it is not on this machine, or is another file than the one that was locked.
    """
    ((name, digest),) = jars.locked(LOCK).items()
    named = os.environ.get(VARIABLE)
    jar = (Path(named).expanduser().absolute() if named else jars.folder(LOCK)) / name
    if not jar.is_file():
        raise SourceError(f"the runtime flink needs {name}, which is not in {jar.parent}; {_what_to_do(name)}")
    if jars.digest(jar) != digest:
        raise SourceError(f"{jar} is not the file that it should be: its SHA-256 has to be {digest}")
    return jar


def _what_to_do(name: str) -> str:
    return (
        "in a checkout `python -m stack fetch flink` fetches it; elsewhere "
        f"`mvn -f {POM} dependency:copy-dependencies -DoutputDirectory=FOLDER`, or put {name} of a Maven repository "
        f"into a folder by hand, and set {VARIABLE}=FOLDER"
    )
