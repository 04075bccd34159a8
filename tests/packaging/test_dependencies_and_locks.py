"""Dependencies: declared, explained, pinned with hashes, and no more than what is used."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
LOCKS = ("core", "dev", "flink")
OURS = ("tocsin", "operators", "streams", "sinks", "monitoring")


def name_of(requirement: str) -> str:
    return re.split(r"[\[=<>~! ;]", requirement)[0].lower().replace("_", "-")


def told(title: str) -> list[str]:
    """Give the packages of a section of docs/dependencies.md."""
    text = (ROOT / "docs/dependencies.md").read_text(encoding="utf-8").split(f"\n## {title}\n")[1].split("\n## ")[0]
    return [line.split("|")[1].strip().lower() for line in text.splitlines() if line.startswith("| ")][2:]


def lock(name: str) -> str:
    return (ROOT / f"requirements/{name}.lock").read_text(encoding="utf-8")


def pinned(name: str) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9._-]+)==([^ \\]+)", lock(name), re.MULTILINE))


def imported() -> set[str]:
    """Give the top-level names of everything that our code imports, wherever it does."""
    found: set[str] = set()
    for path in (path for folder in OURS for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                found.add(node.module.split(".")[0])
    return found - sys.stdlib_module_names - set(OURS)


class TestExplained:
    def test_every_dependency_of_the_core_has_its_line_and_the_reverse(self) -> None:
        assert sorted(told("Core")) == sorted(map(name_of, PROJECT["dependencies"]))

    def test_every_tool_of_development_has_its_line_and_the_reverse(self) -> None:
        assert sorted(told("Development")) == sorted(map(name_of, EXTRAS["dev"]))

    def test_every_extra_has_its_line_and_the_reverse(self) -> None:
        planned = [name_of(one) for extra, listed in EXTRAS.items() if extra != "dev" for one in listed]
        assert sorted(told("Extras")) == sorted(planned)


class TestUsed:
    DECLARED = frozenset(map(name_of, PROJECT["dependencies"]))
    OPTIONAL = frozenset(name_of(one) for extra, listed in EXTRAS.items() if extra != "dev" for one in listed)

    def providers(self) -> list[set[str]]:
        """Give for everything that is imported the packages that it may come from; chdb comes in two."""
        distributions = {"pyflink": ["apache-flink"], **packages_distributions()}  # not there for every Python
        return [{name_of(package) for package in distributions[name]} for name in imported()]

    def test_what_the_code_imports_is_declared(self) -> None:
        assert [packages for packages in self.providers() if not packages & (self.DECLARED | self.OPTIONAL)] == []

    def test_what_is_declared_is_imported(self) -> None:
        read_as_data = {"tzdata"}
        assert self.DECLARED - set[str]().union(*self.providers()) == read_as_data


class TestLocks:
    @pytest.mark.parametrize("name", LOCKS)
    def test_every_requirement_has_hashes(self, name: str) -> None:
        blocks = re.split(r"^(?=[a-z0-9])", lock(name), flags=re.MULTILINE)
        assert [block.split()[0] for block in blocks if block.strip() and "--hash=sha256:" not in block] == []

    @pytest.mark.parametrize("name", LOCKS)
    def test_there_are_no_addresses_and_no_index(self, name: str) -> None:
        assert re.findall(r"https?:|--(?:extra-)?index|--find-links|--trusted|@ ", lock(name)) == []

    def test_versions_are_those_of_the_project(self) -> None:
        exact = dict(one.split("==") for one in [*PROJECT["dependencies"], *EXTRAS["dev"]] if "==" in one)
        versions = pinned("dev")
        assert {name: versions[name_of(name)] for name in exact} == exact

    def test_development_stands_on_the_core_as_it_is_shipped(self) -> None:
        assert pinned("core").items() <= pinned("flink").items() <= pinned("dev").items()

    def test_the_image_with_flink_has_what_its_runtimes_and_sinks_need(self) -> None:
        extras = [one for extra in ("flink", "kafka", "servers", "metrics") for one in EXTRAS[extra]]
        assert [name for name in map(name_of, extras) if name not in pinned("flink")] == []

    def test_what_builds_the_package_is_in_both(self) -> None:
        asked = re.findall(
            r"^([a-z]+)==(\S+)", (ROOT / "requirements/build.in").read_text(encoding="utf-8"), re.MULTILINE
        )
        assert asked
        assert set(asked) <= pinned("core").items() & pinned("dev").items()
