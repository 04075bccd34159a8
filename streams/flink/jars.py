"""The jars that a Flink job needs: where they are on this machine, and whether they are what they should be."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

from tocsin import jars as kept
from tocsin.errors import SourceError

VARIABLE = "TOCSIN_FLINK_JARS"
"""Names a folder that holds them; without it, they are looked for where `python -m stack fetch` puts them."""
POM = Path(__file__).with_name("pom.xml")
LOCK = Path(__file__).with_name("jars.lock")
SOURCES = Path(__file__).with_name("java")
OURS = "tocsin-flink.jar"
_SUFFIXES = (".java", "/pom.xml")
BUILD = ("resources:resources", "compiler:compile", "jar:jar")
"""Maven's goals that make it; `-DbuiltIn=FOLDER` says where."""


def jars() -> tuple[Path, Path]:
    """Give the paths of the connector to Kafka and of what was built of `java/`.

    SourceError where one is not on this machine, or is another file than it should be.
    """
    return connector(), ours()


def connector() -> Path:
    """Give the path of the connector to Kafka, as `jars.lock` has it; SourceError as above."""
    ((name, digest),) = kept.locked(LOCK).items()
    jar = _found(name)
    if kept.digest(jar) != digest:
        raise SourceError(f"{jar} is not the file that it should be: its SHA-256 has to be {digest}")
    return jar


def ours() -> Path:
    """Give the path of what was built of `java/`; SourceError as above."""
    jar = _found(OURS)
    if not built_of_these(jar):
        raise SourceError(f"{jar} was built of other sources than those of this tocsin; {_what_to_do()}")
    return jar


def built_of_these(jar: Path) -> bool:
    """Whether a jar was built of what is beside this module, sources and pom.xml: it holds them."""
    try:
        with zipfile.ZipFile(jar) as opened:
            return _sources() == {name: opened.read(name) for name in opened.namelist() if name.endswith(_SUFFIXES)}
    except zipfile.BadZipFile:
        return False


def _sources() -> dict[str, bytes]:
    """Give what the jar is built of, by the names that it has in there."""
    found = {path.relative_to(SOURCES).as_posix(): path.read_bytes() for path in SOURCES.rglob("*.java")}
    return {**found, "META-INF/maven/tocsin/flink/pom.xml": POM.read_bytes()}


def _found(name: str) -> Path:
    named = os.environ.get(VARIABLE)
    jar = (Path(named).expanduser().absolute() if named else kept.folder(LOCK)) / name
    if not jar.is_file():
        raise SourceError(f"the runtime flink needs {name}, which is not in {jar.parent}; {_what_to_do()}")
    return jar


def _what_to_do() -> str:
    return (
        f"in a checkout `python -m stack fetch flink` makes it; elsewhere `mvn -f {POM} dependency:copy-dependencies "
        f"{' '.join(BUILD)} -DincludeScope=runtime -DoutputDirectory=/FOLDER -DbuiltIn=/FOLDER`, with a JDK, and set "
        f"{VARIABLE}=/FOLDER"
    )
