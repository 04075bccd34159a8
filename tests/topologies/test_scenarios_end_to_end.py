"""Every scenario through its shipped topology: the incidents are found at their level, the near misses stay quiet."""

from __future__ import annotations

from pathlib import Path

import pytest

from sinks.ndjson import decode
from streams.local.running import Order, carry_out
from streams.pseudonyms import load_pseudonyms
from streams.rule_tests import run_tests
from streams.scoring import RuleScore, score
from streams.simulator import SCENARIOS, simulate, source_arguments
from tocsin.compiler import compile_topology
from tocsin.language import load

ROOT = Path(__file__).parents[2]
SMALL = [name for name in SCENARIOS if name != "city"]
FILES = sorted(path.name for path in (ROOT / "topologies").glob("*.yaml"))


def watched(
    scenario: str, seed: int, folder: Path, *, form: str = "ndjson", scale: float = 1.0
) -> dict[str, RuleScore]:
    """Simulate, run the scenario's topology over it, and score every rule that has labels."""
    simulation = simulate(scenario, seed, folder, scale=scale, format="parquet" if form == "parquet" else "ndjson")
    file = ROOT / SCENARIOS[scenario].topology
    sources = dict(text.split("=", 1) for text in source_arguments(folder)[1::2])
    alerts = folder / "alerts.ndjson"
    carry_out(Order(compile_topology(load(file)), file, sources, sinks=(f"ndjson:{alerts}",)))
    with alerts.open("rb") as lines:
        return score(decode(lines), simulation.labels, pseudonyms=load_pseudonyms())


class TestScenarios:
    """Recall and precision of each system."""

    @pytest.mark.parametrize("scenario", SMALL)
    def test_finds_every_incident_and_raises_nothing_else(self, scenario: str, tmp_path: Path) -> None:
        (got,) = watched(scenario, 7, tmp_path).values()
        assert (got.missed.rows(), got.false.rows()) == ([], [])
        assert got.level_right == got.incidents
        assert got.quiet == got.near_misses

    @pytest.mark.parametrize("scenario", ["card-velocity", "city-units"])
    def test_parquet_gives_the_same(self, scenario: str, tmp_path: Path) -> None:
        lines, columns = (watched(scenario, 3, tmp_path / form, form=form) for form in ("ndjson", "parquet"))
        assert lines == columns

    def test_a_small_city_with_everything_at_once(self, tmp_path: Path) -> None:
        for rule, got in watched("city", 5, tmp_path, scale=0.05).items():
            assert got.recall >= 0.95, rule
            assert got.precision >= 0.90, rule


class TestRules:
    """The tests that stand inside the rules."""

    @pytest.mark.parametrize("file", FILES)
    def test_every_rule_passes_its_own_tests(self, file: str) -> None:
        topology = load(ROOT / "topologies" / file)
        outcomes = list(run_tests(topology, compile_topology(topology)))
        assert [outcome for outcome in outcomes if not outcome.good] == []
