"""Setting up: what make says on machines that lack something, and what goes into the image."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
IGNORED = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
SETUPTOOLS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
PACKAGED, DATA = SETUPTOOLS["packages"], SETUPTOOLS["package-data"]

make = pytest.mark.skipif(shutil.which("make") is None, reason="no make here")


def set_up(tmp_path: Path, python: Path | str) -> subprocess.CompletedProcess[str]:
    """Run `make install` with an interpreter, into an environment of its own that is not there."""
    words = ["make", "install", f"PYTHON={python}", f"VENV={tmp_path / 'venv'}"]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)


def interpreter(path: Path, version: str, *, new_enough: bool) -> Path:
    """Write a program that answers as an interpreter of some version would, and can make no environment."""
    path.write_text(
        f"#!/bin/sh\n"
        f'case "$1" in\n-c) exit {0 if new_enough else 1};;\n--version) echo "Python {version}"; exit 0;;\nesac\n'
        f'mkdir -p "$3/bin" && touch "$3/bin/python"\nexit 1\n',
        encoding="utf-8",
    )
    path.chmod(0o755)
    return path


@make
class TestMakeInstall:
    def test_an_old_python_is_told_with_its_version_and_what_to_do(self, tmp_path: Path) -> None:
        ran = set_up(tmp_path, interpreter(tmp_path / "python3", "3.9.2", new_enough=False))
        assert ran.returncode != 0
        assert "Python 3.9.2, Tocsin needs 3.11 or newer" in ran.stderr
        assert "make PYTHON=" in ran.stderr
        assert not (tmp_path / "venv").exists()

    def test_a_missing_python_is_told(self, tmp_path: Path) -> None:
        ran = set_up(tmp_path, tmp_path / "python3")
        assert ran.returncode != 0
        assert "install Python 3.11 or newer" in ran.stderr

    def test_a_half_made_environment_does_not_stay(self, tmp_path: Path) -> None:
        ran = set_up(tmp_path, interpreter(tmp_path / "python3", "3.12.1", new_enough=True))
        assert ran.returncode != 0
        assert not (tmp_path / "venv").exists()


class TestPackage:
    def test_what_only_development_needs_is_not_in_it(self) -> None:
        folders = {path.parent.name for path in ROOT.glob("*/__init__.py")}
        assert {"stack", "bench"} <= folders
        assert not {"stack", "bench", "tests"} & {name.rstrip("*") for name in PACKAGED["find"]["include"]}

    def test_the_files_beside_the_code_are_in_it(self) -> None:
        named = DATA["streams.flink"]
        assert {"pom.xml", "jars.lock", "java/**/*.java"} == set(named)
        assert [name for name in named if not list((ROOT / "streams/flink").glob(name))] == []


class TestImage:
    def copied(self) -> list[str]:
        """Give what is copied from the project, by stage in order."""
        lines = re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE)
        return [word.rstrip("/") for line in lines for word in line.split()[:-1]]

    def test_every_package_is_copied(self) -> None:
        assert {name.rstrip("*") for name in PACKAGED["find"]["include"]} <= set(self.copied())

    def test_the_shipped_topologies_are_in_it(self) -> None:
        assert {"topology.yaml", "topologies"} <= set(self.copied())

    def test_the_builder_is_sent_what_is_copied_and_nothing_else(self) -> None:
        assert IGNORED[1] == "*"
        assert {line[1:] for line in IGNORED if line.startswith("!")} == set(self.copied())

    def test_what_is_copied_exists(self) -> None:
        assert [name for name in self.copied() if not (ROOT / name).exists()] == []

    def test_the_base_is_an_argument_of_all_stages_and_what_has_no_flink_is_the_last(self) -> None:
        stages = re.findall(r"^FROM (\S+) AS (\S+)$", DOCKERFILE, re.MULTILINE)
        assert stages == [
            *(("${BASE}", name) for name in ("build", "jars", "runtime")),
            ("runtime", "flink"),
            ("runtime", "local"),
        ]

    def test_there_is_a_lock_for_each_that_it_may_run(self) -> None:
        assert "-r /build/${RUNTIME}.lock" in DOCKERFILE
        assert set(re.findall(r"^COPY requirements/\S+ /build/(\w+)\.lock$", DOCKERFILE, re.MULTILINE)) == {
            "local",
            "flink",
        }

    def test_jars_are_checked_by_their_hashes(self) -> None:
        assert "sha256sum --check --strict jars.lock" in DOCKERFILE

    def test_it_does_not_run_as_root(self) -> None:
        assert re.findall(r"^USER (\d+)$", DOCKERFILE, re.MULTILINE)[-1] != "0"

    def test_packages_are_installed_by_their_hashes(self) -> None:
        installs = re.findall(r"pip install (.*)", DOCKERFILE)
        assert [line for line in installs if "--require-hashes" not in line and "--no-deps" not in line] == []

    def test_no_host_is_named(self) -> None:
        assert re.findall(r"https?:|\w\.(?:com|org|io|net)\b", DOCKERFILE) == []

    def test_the_state_is_a_volume_where_it_starts(self) -> None:
        assert 'VOLUME ["/data"]' in DOCKERFILE
        assert "WORKDIR /data" in DOCKERFILE
