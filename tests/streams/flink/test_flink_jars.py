"""The jars of a Flink job are found, or told how to come by."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest

from stack.jars import CONNECTOR
from streams.flink.jars import LOCK, OURS, POM, SOURCES, VARIABLE, connector, ours
from streams.flink.jars import jars as needed
from tocsin import jars
from tocsin.errors import SourceError

if TYPE_CHECKING:
    from pathlib import Path

NAME = "flink-sql-connector-kafka-5.0.0-2.2.jar"


@pytest.fixture(autouse=True)
def _nothing_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


def write_sources(jar: Path, more: str = "") -> None:
    """Write a jar that holds what ours is built of, with more at the end of one file."""
    with zipfile.ZipFile(jar, "w") as opened:
        opened.writestr("META-INF/maven/tocsin/flink/pom.xml", POM.read_bytes())
        for path in SOURCES.rglob("*.java"):
            text = path.read_text(encoding="utf-8") + (more if path.name == "Pack.java" else "")
            opened.writestr(path.relative_to(SOURCES).as_posix(), text)


class TestWhereTheyAre:
    def test_those_that_the_stack_made(self) -> None:
        assert needed() == (CONNECTOR.folder / NAME, CONNECTOR.folder / OURS)

    def test_a_folder_that_is_named(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for jar in needed():
            (tmp_path / jar.name).symlink_to(jar)
        monkeypatch.setenv(VARIABLE, str(tmp_path))
        assert needed() == (tmp_path / NAME, tmp_path / OURS)


class TestWhatIsMissing:
    def test_it_is_told_how_to_come_by(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(jars.CACHE, str(tmp_path))
        with pytest.raises(SourceError) as told:
            needed()
        for words in (f"{NAME}, which is not in {tmp_path}", "stack fetch flink", f"mvn -f {POM} ", f"{VARIABLE}="):
            assert words in str(told.value)

    def test_a_named_folder_without_one(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / NAME).symlink_to(connector())
        monkeypatch.setenv(VARIABLE, str(tmp_path))
        with pytest.raises(SourceError, match=f"{OURS}, which is not in {tmp_path};"):
            needed()

    def test_half_a_download_is_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / NAME).write_bytes(connector().read_bytes()[:1000])
        monkeypatch.setenv(VARIABLE, str(tmp_path))
        with pytest.raises(SourceError, match=f"not the file that it should be: .*{jars.locked(LOCK)[NAME]}"):
            connector()

    @pytest.mark.parametrize("whole", [True, False])
    def test_one_of_other_sources_is_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, whole: bool
    ) -> None:
        monkeypatch.setenv(VARIABLE, str(tmp_path))
        write_sources(tmp_path / OURS)
        assert ours() == tmp_path / OURS
        write_sources(tmp_path / OURS, more=" ")
        if not whole:
            (tmp_path / OURS).write_bytes(b"PK")
        with pytest.raises(
            SourceError, match=f"{OURS} was built of other sources than those of this tocsin; in a check"
        ):
            ours()


def test_versions_are_those_that_are_installed() -> None:
    text = POM.read_text(encoding="utf-8")
    assert list(jars.locked(LOCK)) == [NAME]
    assert "<artifactId>flink-sql-connector-kafka</artifactId>\n      <version>5.0.0-2.2</version>" in text
    version = pytest.importorskip("pyflink.version", reason="the runtime flink is an extra").__version__
    assert f"<flink.version>{version}</flink.version>" in text


def test_looking_for_them_loads_no_flink() -> None:
    script = "import sys, streams.flink.jars; print('pyflink' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"
