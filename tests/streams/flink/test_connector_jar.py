"""The connector of Flink to Kafka is found, or told how to come by."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from stack.jars import CONNECTOR
from streams.flink.jars import LOCK, POM, VARIABLE, connector
from tocsin import jars
from tocsin.errors import SourceError

if TYPE_CHECKING:
    from pathlib import Path

NAME = "flink-sql-connector-kafka-5.0.0-2.2.jar"


@pytest.fixture(autouse=True)
def _nothing_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


class TestWhereItIs:
    def test_the_one_that_the_stack_fetched(self) -> None:
        assert connector() == CONNECTOR.folder / NAME

    def test_a_folder_that_is_named(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / NAME).symlink_to(connector())
        monkeypatch.setenv(VARIABLE, str(tmp_path))
        assert connector() == tmp_path / NAME


class TestWhatIsMissing:
    def test_it_is_told_how_to_come_by(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(jars.CACHE, str(tmp_path))
        with pytest.raises(SourceError) as told:
            connector()
        for words in (f"{NAME}, which is not in {tmp_path}", "stack fetch flink", f"mvn -f {POM} ", f"{VARIABLE}="):
            assert words in str(told.value)

    def test_a_named_folder_without_it(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(VARIABLE, str(tmp_path))
        with pytest.raises(SourceError, match=f"not in {tmp_path};"):
            connector()

    def test_half_a_download_is_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / NAME).write_bytes(connector().read_bytes()[:1000])
        monkeypatch.setenv(VARIABLE, str(tmp_path))
        with pytest.raises(SourceError, match=f"not the file that it should be: .*{jars.locked(LOCK)[NAME]}"):
            connector()


def test_the_lock_is_of_the_version_of_the_pom() -> None:
    assert list(jars.locked(LOCK)) == [NAME]
    assert "<artifactId>flink-sql-connector-kafka</artifactId>\n      <version>5.0.0-2.2</version>" in POM.read_text(
        encoding="utf-8"
    )


def test_looking_for_it_loads_no_flink() -> None:
    script = "import sys, streams.flink.jars; print('pyflink' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"
