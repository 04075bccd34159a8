"""The commands of the README run as they are printed, and say what it shows."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
TOCSIN = ".venv/bin/tocsin "


@dataclass(frozen=True)
class Shown:
    """A command of the README, and the output that it shows below it."""

    words: str
    output: tuple[str, ...]


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


def consoles() -> list[Shown]:
    """Give the commands of console blocks with their output, in order."""
    parts = [part for block in blocks("console") for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]]
    return [Shown(lines[0], tuple(lines[1:])) for part in parts if (lines := part.rstrip("\n").split("\n"))]


def outline(text: str) -> str:
    """Give a line without what differs from run to run: numbers, times, hashes, blanks."""
    without = re.sub(r"\b[0-9a-f]{16,32}\b", "#", text)
    return re.sub(r"\s+", " ", re.sub(r"\d[\d.,:Z-]*", "#", without)).strip()


@dataclass(frozen=True)
class Terminal:
    """A folder where the README is followed, word by word."""

    folder: Path

    def type_in(self, line: str) -> tuple[int, str]:
        """Run a line; give its exit code and everything that it printed."""
        assert line.startswith(TOCSIN), line
        words = line.replace(TOCSIN, f"{sys.executable} -m tocsin.cli ", 1)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("TOCSIN_")}
        ran = subprocess.run(
            shlex.split(words),
            cwd=self.folder,
            env={**kept, "PYTHONPATH": str(ROOT), "COLUMNS": "200"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            text=True,
        )
        return ran.returncode, ran.stdout

    def an_alert(self) -> str:
        """Give the id of some alert of the last run."""
        return re.findall(r"\b[0-9a-f]{32}\b", self.type_in(f"{TOCSIN}alerts --json")[1])[0]


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Terminal:
    found = Terminal(tmp_path_factory.mktemp("reader"))
    (first,) = (line for block in blocks("sh") for line in block.splitlines() if line.startswith(TOCSIN))
    assert found.type_in(first)[0] == 0
    (topology,) = blocks("yaml")
    (found.folder / "my.yaml").write_text(topology, encoding="utf-8")
    return found


class TestReadme:
    @pytest.mark.parametrize("shown", consoles(), ids=lambda shown: shown.words.split()[1])
    def test_a_command_says_what_is_shown(self, shown: Shown, terminal: Terminal) -> None:
        words = shown.words.replace("ALERT_ID", terminal.an_alert()) if "ALERT_ID" in shown.words else shown.words
        code, said = terminal.type_in(words)
        assert code == 0, said
        assert {outline(line) for line in shown.output} <= {outline(line) for line in said.splitlines()} | {""}

    def test_it_shows_check_run_features_alerts_and_explain(self) -> None:
        assert [shown.words.split()[1] for shown in consoles()] == ["check", "run", "features", "alerts", "explain"]

    def test_its_first_topology_has_few_lines(self) -> None:
        (topology,) = blocks("yaml")
        assert len(topology.splitlines()) <= 14
