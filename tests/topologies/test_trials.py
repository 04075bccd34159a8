"""The topologies that were written before there was an engine, where they are at hand: their tests come out as said."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from streams.rule_tests import run_tests
from tocsin.compiler import compile_topology
from tocsin.language import load

ROOT = Path(__file__).parents[2]
TRIALS = Path(os.environ.get("TOCSIN_TRIALS", ROOT.parent / "shared" / "language"))

pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(not TRIALS.is_dir(), reason="real data: NOT RUN"),
]


@pytest.mark.parametrize("trial", ["card-velocity", "gathering", "city-units"])
def test_every_rule_passes_its_own_tests(trial: str) -> None:
    topology = load(TRIALS / f"{trial}.yaml")
    outcomes = list(run_tests(topology, compile_topology(topology)))
    assert outcomes
    assert [outcome for outcome in outcomes if not outcome.good] == []
