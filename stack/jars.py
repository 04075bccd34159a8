"""Sets of jars: fetched once by Maven, checked by their hashes, kept in the cache."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from stack.places import ROOT
from stack.server import StackError, find_program
from streams.flink import jars as ours
from tocsin import jars as kept


@dataclass(frozen=True, slots=True)
class Jars:
    """What the pom.xml in a folder names, and what that needs; jars.lock beside it has the hashes.

    `title`: what they are called in "the jars of …". After a change of pom.xml: `python -m stack lock`.
    """

    title: str
    told_in: Path
    programs: ClassVar[tuple[str, ...]] = ("mvn",)

    @property
    def pom(self) -> Path:
        """What is wanted."""
        return self.told_in / "pom.xml"

    @property
    def lock(self) -> Path:
        """What it has to be."""
        return self.told_in / "jars.lock"

    @property
    def folder(self) -> Path:
        """Where the jars are, or will be."""
        return kept.folder(self.lock)

    @property
    def here(self) -> bool:
        """Whether they were fetched."""
        return self.folder.is_dir()

    def classpath(self) -> str:
        """Give what `java -cp` wants; StackError if the jars are not there."""
        if not self.here:
            raise StackError(
                f"the jars of {self.title} are not here; `make stack` or `python -m stack fetch` fetches them"
            )
        return f"{self.folder}/*"

    def fetch(self) -> None:
        """Fetch the jars if they are not there; StackError if Maven cannot, or if one is not as it was locked."""
        if not self.here:
            self._fetch()

    def _fetch(self) -> None:
        coming = self.folder.with_suffix(".part")
        self._copy_dependencies(coming)
        found, wanted = hashes(coming), kept.locked(self.lock)
        if found != wanted:
            wrong = sorted(name for name, _ in found.items() ^ wanted.items())
            where = self.lock.relative_to(ROOT)
            raise StackError(f"what Maven brought is not what {where} says: {', '.join(wrong)} (left in {coming})")
        coming.rename(self.folder)

    def lock_anew(self) -> None:
        """Write the hashes of what Maven brings now."""
        coming = kept.cache() / "jars" / "to-lock"
        self._copy_dependencies(coming)
        lines = [f"{digest}  {name}\n" for name, digest in hashes(coming).items()]
        self.lock.write_text("".join(lines), encoding="utf-8")
        shutil.rmtree(coming)

    def _copy_dependencies(self, into: Path) -> None:
        shutil.rmtree(into, ignore_errors=True)
        self._maven(_GOAL, "-DincludeScope=runtime", f"-DoutputDirectory={into}")

    def _maven(self, *words: str) -> None:
        maven = find_program("mvn")
        if maven is None:
            raise StackError(f"the jars of {self.title} come by Maven, and there is no mvn here")
        command = [maven, "-B", "-q", "-C", f"-Dmaven.repo.local={kept.cache() / 'maven'}", "-f", str(self.pom), *words]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        if ran.returncode:
            raise StackError(f"Maven could not make the jars of {self.title}:\n{(ran.stdout + ran.stderr)[-2000:]}")


class FlinkJars(Jars):
    """The connector, and beside it what is built of our own sources; built anew when they have changed."""

    programs: ClassVar[tuple[str, ...]] = ("mvn", "javac")

    @property
    def here(self) -> bool:
        """Whether all is there, of the sources as they are."""
        built = self.folder / ours.OURS
        return self._fetched and built.is_file() and ours.built_of_these(built)

    @property
    def _fetched(self) -> bool:
        return self.folder.is_dir()

    def _fetch(self) -> None:
        if not self._fetched:
            super()._fetch()
        building = kept.cache() / "jars" / "built"
        shutil.rmtree(building, ignore_errors=True)
        self._maven(*ours.BUILD, "-Pstrict", f"-DbuiltIn={building}")
        (building / ours.OURS).rename(self.folder / ours.OURS)


def hashes(of: Path) -> dict[str, str]:
    """Give the SHA-256 of the jars in a folder, by name in order."""
    return {path.name: kept.digest(path) for path in sorted(of.glob("*.jar"))}


_GOAL = "dependency:copy-dependencies"
FETCHING = frozenset(Jars.programs)
"""Programs that are needed only while jars are not here."""
BROKER = Jars("Kafka", Path(__file__).parent)
CONNECTOR = FlinkJars("a Flink job", ROOT / "streams" / "flink")
SCHEMAS = Jars("the schemas of the Flink Kubernetes Operator", ROOT / "deploy" / "flink" / "operator")
PLUGINS = Jars("the plugins of Flink in the image", ROOT / "deploy" / "flink" / "image")
SETS = {"kafka": BROKER, "flink": CONNECTOR}
"""By the server that needs them."""
TESTED = {**SETS, "schemas": SCHEMAS}
"""What `python -m stack fetch` brings."""
LOCKED = (*TESTED.values(), PLUGINS)
"""What has a lock; the build of the image fetches its plugins itself."""
