"""The shipped topologies: they load, say why, and name every scenario's rule."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.simulator import SCENARIOS, generate
from streams.simulator.arrival import FORMS
from tocsin.language import load

ROOT = Path(__file__).parents[2]
FILES = sorted(["topology.yaml", *(str(path.relative_to(ROOT)) for path in (ROOT / "topologies").glob("*.yaml"))])
PACKS = ["fraud-caller", "wangiri", "card-velocity", "scenic-flow", "city-units", "venue-energy"]


class TestFiles:
    """What every file keeps to."""

    @pytest.mark.parametrize("file", FILES)
    def test_it_loads(self, file: str) -> None:
        assert load(ROOT / file).header.name

    @pytest.mark.parametrize("file", FILES)
    def test_every_parameter_says_why(self, file: str) -> None:
        topology = load(ROOT / file)
        for owner in (*topology.rules.values(), *topology.features.values()):
            for name, parameter in owner.parameters.items():
                assert parameter.why, f"{owner.name}.{name}"

    @pytest.mark.parametrize("file", FILES)
    def test_every_rule_has_a_test_and_a_sentence(self, file: str) -> None:
        for rule in load(ROOT / file).rules.values():
            assert rule.tests, rule.name
            assert rule.says, rule.name

    @pytest.mark.parametrize("pack", PACKS)
    def test_a_pack_has_the_rule_of_its_name(self, pack: str) -> None:
        assert pack in load(ROOT / f"topologies/{pack}.yaml").rules


class TestCity:
    """The topology at the top level."""

    def test_it_uses_all_packs(self) -> None:
        assert set(PACKS) <= set(load(ROOT / "topology.yaml").rules)

    def test_the_city_simulates_all_it_reads(self) -> None:
        topology, city = load(ROOT / "topology.yaml"), generate("city", 1, scale=0.02)
        assert set(topology.streams) == set(city.streams)
        listed = {name for name, table in topology.tables.items() if table.rows is None}
        assert listed == set(city.tables)

    def test_declared_fields_are_the_simulated_columns(self) -> None:
        topology, city = load(ROOT / "topology.yaml"), generate("city", 1, scale=0.02)
        declared: dict[str, set[str]] = {str(name): set(word.fields) for name, word in topology.streams.items()}
        declared |= {str(name): set(word.fields) for name, word in topology.tables.items()}
        for name, rows in (*city.streams.items(), *city.tables.items()):
            assert declared[name] == set(rows.columns), name

    def test_the_lateness_is_the_one_that_the_simulator_keeps_to(self) -> None:
        streams = load(ROOT / "topology.yaml").streams
        assert {str(name): word.time.lateness.ms for name, word in streams.items()} == {
            name: form.lateness for name, form in FORMS.items()
        }

    def test_every_scenario_has_a_topology_with_its_rules(self) -> None:
        for scenario in SCENARIOS.values():
            rules = set(load(ROOT / scenario.topology).rules)
            labelled = set(generate(scenario.id, 1, scale=0.02).labels["rule"])
            assert labelled <= rules, scenario.id


class TestHandbook:
    """The published names."""

    def test_it_has_the_twelve_columns_of_the_oracle(self) -> None:
        features = load(ROOT / "topologies/handbook.yaml").features
        columns = {str(name) for word in features.values() for window in word.windows for name in window.columns}
        columns |= {str(name) for word in features.values() for name in word.derive}
        for days in (1, 7, 30):
            assert f"customer_id_nb_tx_{days}day_window" in columns
            assert f"customer_id_avg_amount_{days}day_window" in columns
            assert f"terminal_id_nb_tx_{days}day_window" in columns
            assert f"terminal_id_risk_{days}day_window" in columns
