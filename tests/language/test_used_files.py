"""`uses`: several files read as one topology."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tocsin.errors import TopologyError
from tocsin.language import load, loads
from tocsin.language.model import Text, Topology

if TYPE_CHECKING:
    from pathlib import Path

STREAM = "{fields: {at: timestamp}, time: {field: at, lateness: 5s}}"


def read(files: dict[str, str], name: str = "main.yaml") -> Topology:
    """Load a topology from files in memory."""

    def reader(path: Path) -> str:
        if str(path) not in files:
            raise FileNotFoundError(2, "No such file or directory")
        return files[str(path)]

    return loads(files[name], name, reader)


def problems(files: dict[str, str]) -> list[str]:
    with pytest.raises(TopologyError) as caught:
        read(files)
    return [str(problem) for problem in caught.value.problems]


class TestMerging:
    """What a used file brings."""

    def test_the_names_of_a_used_file_are_known(self) -> None:
        found = read(
            {
                "main.yaml": "topology: {name: main, uses: [base.yaml]}\nfeatures: {f: {from: calls}}",
                "base.yaml": f"topology: {{name: base}}\nstreams: {{calls: {STREAM}}}",
            }
        )
        assert list(found.streams) == ["calls"]
        assert found.streams[Text("calls")].mark.file == "base.yaml"
        assert found.files == ("main.yaml", "base.yaml")

    def test_its_header_holds_unless_overridden_and_its_name_never(self) -> None:
        files = {
            "main.yaml": "topology: {name: main, uses: base.yaml, min_group: 5}",
            "base.yaml": "topology: {name: base, zone: Asia/Shanghai, min_group: 10}",
        }
        header = read(files).header
        assert (header.name, header.zone, header.min_group) == ("main", "Asia/Shanghai", 5)
        assert header.zone.mark.file == "base.yaml"

    def test_the_windows_of_a_used_file_are_in_the_zone_that_holds(self) -> None:
        files = {
            "main.yaml": "topology: {name: main, uses: base.yaml, zone: Asia/Tokyo}",
            "base.yaml": "topology: {name: base, zone: UTC}\n"
            "features: {f: {from: a, windows: {tumbling 1d at 05:00: {n: count()}}}}",
        }
        assert read(files).features[Text("f")].windows[0].window.zone == "Asia/Tokyo"  # type: ignore[union-attr]  # a day

    def test_paths_are_relative_to_the_file_that_names_them(self) -> None:
        files = {
            "main.yaml": "topology: {name: main, uses: packs/cards.yaml}",
            "packs/cards.yaml": "topology: {name: cards, uses: ../base/lists.yaml}",
            "base/lists.yaml": "topology: {name: lists}\ntables: {t: {key: k, fields: {k: string}, file: t.csv}}",
        }
        assert read(files).tables[Text("t")].mark.file == "base/lists.yaml"

    def test_a_file_used_twice_by_different_paths_is_read_once(self) -> None:
        files = {
            "main.yaml": "topology: {name: main, uses: [a.yaml, packs/../base.yaml]}",
            "a.yaml": "topology: {name: a, uses: ./base.yaml}",
            "base.yaml": f"topology: {{name: base}}\nstreams: {{calls: {STREAM}}}",
        }
        assert read(files).files == ("main.yaml", "a.yaml", "base.yaml")

    def test_a_link_to_a_file_is_that_file(self, tmp_path: Path) -> None:
        (tmp_path / "base.yaml").write_text(f"topology: {{name: base}}\nstreams: {{calls: {STREAM}}}", encoding="utf-8")
        (tmp_path / "link.yaml").symlink_to(tmp_path / "base.yaml")
        (tmp_path / "main.yaml").write_text("topology: {name: main, uses: [base.yaml, link.yaml]}", encoding="utf-8")
        assert len(load(tmp_path / "main.yaml").files) == 2


class TestConflicts:
    """What cannot be merged."""

    def test_one_name_in_two_files_names_both_places(self) -> None:
        files = {
            "main.yaml": f"topology: {{name: main, uses: base.yaml}}\nstreams:\n  calls: {STREAM}",
            "base.yaml": f"topology: {{name: base}}\nstreams:\n  calls: {STREAM}",
        }
        assert problems(files) == [
            (
                "main.yaml:3:3: 'calls' is among the streams already; expected another name (first: base.yaml:3:3)"
                " [duplicate-name]"
            )
        ]

    def test_files_that_use_each_other_are_refused(self) -> None:
        files = {
            "main.yaml": "topology: {name: main, uses: a.yaml}",
            "a.yaml": "topology: {name: a, uses: [main.yaml]}",
        }
        assert problems(files) == [
            (
                "a.yaml:1:28: files use each other in a circle: main.yaml uses a.yaml uses main.yaml;"
                " expected files that do not need their users [uses-circle]"
            )
        ]

    def test_a_file_cannot_use_itself(self) -> None:
        assert "main.yaml uses main.yaml" in problems({"main.yaml": "topology: {name: main, uses: main.yaml}"})[0]

    def test_headers_that_disagree_must_be_decided(self) -> None:
        files = {
            "main.yaml": "topology: {name: main, uses: [a.yaml, b.yaml]}",
            "a.yaml": "topology: {name: a, zone: Asia/Tokyo}",
            "b.yaml": "topology: {name: b, zone: UTC}",
        }
        assert problems(files) == [
            "main.yaml:1:39: 'zone' differs between a.yaml and b.yaml; expected `zone:` in this header [contradiction]"
        ]
        files["main.yaml"] = "topology: {name: main, uses: [a.yaml, b.yaml], zone: UTC}"
        assert read(files).header.zone == "UTC"

    def test_problems_in_a_used_file_are_reported_in_it(self) -> None:
        files = {
            "main.yaml": "topology: {name: main, uses: base.yaml}",
            "base.yaml": "topology: {name: base, zoone: UTC}\nstream: {}\nrules: []\nfeatures: {f: {form: a}}",
        }
        assert [problem.split(": ")[0] for problem in problems(files)] == [
            "base.yaml:1:24",
            "base.yaml:2:1",
            "base.yaml:3:8",
            "base.yaml:4:12",
            "base.yaml:4:16",
        ]

    def test_a_used_file_that_is_not_there_is_named_where_it_is_used(self) -> None:
        files = {"main.yaml": "topology: {name: main, uses: [q8.yaml]}"}
        assert problems(files) == [
            "main.yaml:1:31: cannot read 'q8.yaml': No such file or directory; expected a file [no-file]"
        ]
