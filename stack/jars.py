"""The jars of the broker: fetched once by Maven, checked by their hashes, kept in the cache."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

from stack.places import cache
from stack.server import StackError, find_program

POM = Path(__file__).with_name("pom.xml")
LOCK = Path(__file__).with_name("jars.lock")
"""A line per jar as `sha256sum` writes it; `python -m stack lock` writes it anew after a change of pom.xml."""


def locked(lock: Path = LOCK) -> dict[str, str]:
    """Give the SHA-256 of every jar by its name."""
    pairs = (line.split() for line in lock.read_text(encoding="utf-8").splitlines())
    return {name: digest for digest, name in pairs}


def folder() -> Path:
    """Say where the jars are, or will be: another lock, another folder, so that versions never mix."""
    return cache() / "jars" / hashlib.sha256(LOCK.read_bytes()).hexdigest()[:16]


def classpath() -> str:
    """Give what `java -cp` wants; StackError if the jars are not there."""
    if not folder().is_dir():
        raise StackError("the jars of Kafka are not here; `make stack` or `python -m stack fetch` fetches them")
    return f"{folder()}/*"


def fetch() -> None:
    """Fetch the jars if they are not there; StackError if Maven cannot, or if a jar is not the one that was locked."""
    if folder().is_dir():
        return
    coming = folder().with_suffix(".part")
    copy_dependencies(coming)
    found, wanted = hashes(coming), locked()
    if found != wanted:
        wrong = sorted(name for name, _ in found.items() ^ wanted.items())
        raise StackError(f"what Maven brought is not what stack/jars.lock says: {', '.join(wrong)} (left in {coming})")
    coming.rename(folder())


def copy_dependencies(into: Path) -> None:
    """Let Maven bring what pom.xml names, and what that needs."""
    maven = find_program("mvn")
    if maven is None:
        raise StackError("the jars of Kafka come by Maven, and there is no mvn here")
    shutil.rmtree(into, ignore_errors=True)
    folders = [f"-Dmaven.repo.local={cache() / 'maven'}", f"-DoutputDirectory={into}"]
    words = [
        maven,
        *["-B", "-q", "-C", "-DincludeScope=runtime"],
        *folders,
        "-f",
        str(POM),
        "dependency:copy-dependencies",
    ]
    ran = subprocess.run(words, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise StackError(f"Maven could not fetch the jars of Kafka:\n{(ran.stdout + ran.stderr)[-2000:]}")


def hashes(of: Path) -> dict[str, str]:
    """Give the SHA-256 of the jars in a folder, by name in order."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(of.glob("*.jar"))}
