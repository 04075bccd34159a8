"""The pages say what is there: links, files, targets, words, columns."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from operators.detectors import DETECTORS
from streams.pseudonyms import KEY, KEY_FILE, KEY_LEAST
from tocsin.cli import COMMANDS
from tocsin.language.frames import FRAMES
from tocsin.language.records import words_of
from tocsin.language.window_words import FORMS
from tocsin.model.alerts import CLOSED_AT_BIRTH, LEVELS, TRANSITIONS, Transition
from tocsin.model.rows import EVIDENCE_MOST

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
DECISIONS = sorted((ROOT / "docs/decisions").glob("*.md"))
FOLDERS = "tocsin|operators|streams|sinks|monitoring|tests|bench|docs|topologies|requirements"
IMPLEMENTED = re.compile(rf"`((?:{FOLDERS})/[\w/.-]+\.\w+)`")


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def section(text: str, title: str) -> str:
    """Give what stands under a heading of the second level."""
    return text.split(f"\n## {title}\n")[1].split("\n## ", maxsplit=1)[0]


def typed_in(text: str) -> str:
    """Give what is meant to be typed: what stands between backticks, and fenced blocks."""
    fenced = re.findall(r"^```\w*\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return "\n".join([*fenced, *re.findall(r"`([^`\n]+)`", text)])


def first_cells(text: str) -> list[str]:
    """Give the first cell of every row of the tables in a text."""
    return [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("|")]


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


class TestLinks:
    @pytest.mark.parametrize("path", PAGES, ids=named)
    def test_every_link_within_the_project_leads_somewhere(self, path: Path) -> None:
        targets = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8"))
        assert [target for target in targets if not (path.parent / target).exists()] == []

    @pytest.mark.parametrize("path", PAGES, ids=named)
    def test_every_file_that_is_named_exists(self, path: Path) -> None:
        files = IMPLEMENTED.findall(path.read_text(encoding="utf-8"))
        made = {"bench/results.json"}
        assert [file for file in files if file not in made and not (ROOT / file).exists()] == []

    @pytest.mark.parametrize("path", PAGES, ids=named)
    def test_every_target_of_make_exists(self, path: Path) -> None:
        targets = set(re.findall(r"^([a-z]+):", page("Makefile"), re.MULTILINE))
        asked = re.findall(r"^make ([a-z]+)", typed_in(path.read_text(encoding="utf-8")), re.MULTILINE)
        assert set(asked) <= targets

    @pytest.mark.parametrize("path", PAGES, ids=named)
    def test_every_command_of_tocsin_exists(self, path: Path) -> None:
        typed = typed_in(path.read_text(encoding="utf-8"))
        asked = re.findall(r"^(?:\$ )?(?:\.venv/bin/)?tocsin ([a-z]+)", typed, re.MULTILINE)
        assert set(asked) <= set(COMMANDS)


class TestArchitecture:
    TABLE = section(page("docs/architecture.md"), "Which file implements which word")

    def test_every_word_of_the_language_has_its_file(self) -> None:
        told = {word for cell in first_cells(self.TABLE) for word in re.findall(r"[a-z_]+", cell)}
        words = {word.spelled for frame in FRAMES for word in words_of(frame.cls)}
        assert words | set(FORMS) | {"detect", *DETECTORS} <= told

    def test_each_row_names_a_file(self) -> None:
        rows = [line for line in self.TABLE.splitlines() if line.startswith("| ")][2:]
        assert [row for row in rows if not IMPLEMENTED.search(row)] == []

    def test_the_steps_of_a_commit_stand_in_the_order_of_the_code(self) -> None:
        code = (ROOT / "streams/local/store.py").read_text(encoding="utf-8").split("def _write")[1]
        calls = ["_put(", "finish(", "manifests.write(", "_sync(", "put_in_force(", "_sweep("]
        places = [code.index(call) for call in calls]
        assert places == sorted(places)
        steps = section(page("docs/architecture.md"), "State, commit, outbox")
        told = [
            "new segment, fsync",
            "`manifest.json.part` written",
            "fsync of the folder",
            "renamed",
            "segments removed",
        ]
        at = [steps.index(words) for words in told]
        assert at == sorted(at)


class TestDecisions:
    def test_their_numbers_have_no_gaps(self) -> None:
        assert [path.name[:4] for path in DECISIONS] == [f"{number:04d}" for number in range(1, len(DECISIONS) + 1)]

    @pytest.mark.parametrize("path", DECISIONS, ids=lambda path: path.stem)
    def test_each_is_a_page_with_question_decision_and_costs(self, path: Path) -> None:
        text = path.read_text(encoding="utf-8")
        assert text.startswith("# ")
        assert len(text.splitlines()) <= 60
        for part in ("**Question.**", "**Decision.**", "**Instead of**", "**Costs.**"):
            assert part in text, part


class TestAlerts:
    TEXT = page("docs/alerts.md")

    def test_every_column_of_the_log_is_described_in_order(self) -> None:
        assert first_cells(section(self.TEXT, "Columns"))[2:] == [f"`{name}`" for name in TRANSITIONS]

    def test_every_kind_is_described(self) -> None:
        assert first_cells(section(self.TEXT, "An episode"))[2:] == [f"`{kind}`" for kind in Transition]

    def test_every_level_is_mapped_to_words_that_the_standards_have(self) -> None:
        rows = [line.split("|")[1:-1] for line in section(self.TEXT, "Levels elsewhere").splitlines() if "|" in line]
        mapped = {cells[0].strip(): [cell.strip() for cell in cells[1:4]] for cells in rows[2:]}
        assert list(mapped) == [*reversed(LEVELS), "clear"]
        cap, x733, alertmanager = zip(*(mapped[level] for level in reversed(LEVELS)), strict=True)
        assert cap == ("Extreme", "Severe", "Moderate", "Minor")
        assert x733 == ("critical", "major", "minor", "warning")
        assert len(set(alertmanager)) == len(LEVELS)

    def test_every_reason_is_named(self) -> None:
        reasons = ("reset", "keep", "empty", "unless", "expired", CLOSED_AT_BIRTH)
        assert [reason for reason in reasons if f"`{reason}`" not in self.TEXT] == []

    def test_the_number_of_events_in_the_evidence_is_right(self) -> None:
        number = ("none", "one", "two", "three", "four", "five")[EVIDENCE_MOST]
        assert f"at most {number}" in self.TEXT


class TestPrivacy:
    def test_the_key_is_described_as_the_code_reads_it(self) -> None:
        text = page("docs/privacy.md")
        assert first_cells(section(text, "The key"))[2:] == [f"`{KEY}`", f"`{KEY_FILE}`"]
        assert f"{KEY_LEAST} bytes or more" in text
        assert f"{KEY_LEAST} bytes or\nmore" in page("README.md")
