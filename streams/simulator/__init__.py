"""A small city that behaves, and misbehaves where the labels say so.

    simulation = generate("wangiri", seed=7)
    write(simulation, Path("sim"), "ndjson")
    source_arguments(Path("sim"))       # ["--source", "flagged=ndjson:sim/tables/flagged.ndjson", …]

The same scenario, seed and scale give the same bytes.
"""

from streams.simulator.folder import read_labels, simulate, source_arguments, write
from streams.simulator.scenarios import SCENARIOS, Scenario, generate
from streams.simulator.simulation import LABELS, Label, Simulation

__all__ = [
    "LABELS",
    "SCENARIOS",
    "Label",
    "Scenario",
    "Simulation",
    "generate",
    "read_labels",
    "simulate",
    "source_arguments",
    "write",
]
