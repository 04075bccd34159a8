"""What a topology is compiled to does not depend on the hashes of a process: the next one must read its state."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.chaos.material import ROOT

PROGRAM = """
import sys
from dataclasses import fields, is_dataclass
from pathlib import Path
import polars as pl
from tocsin.compiler import compile_topology
from tocsin.language import load

def told(value):
    if isinstance(value, set | frozenset):
        return sorted(map(told, value))
    if isinstance(value, pl.Expr):
        return value.meta.serialize(format="json") if not value.meta.has_multiple_outputs() else str(value)
    if isinstance(value, dict):
        return ["dict", *([told(name), told(part)] for name, part in value.items())]
    if isinstance(value, tuple | list):
        return [told(part) for part in value]
    if is_dataclass(value) and not isinstance(value, type):
        shown = [one.name for one in fields(value) if one.repr]
        return [type(value).__name__, *([name, told(getattr(value, name))] for name in shown)]
    return value if isinstance(value, str | int | float | None) else type(value).__name__

for file in sys.argv[1:]:
    for stage in compile_topology(load(Path(file))).stages:
        print(file, stage.name, told(stage))
"""
"""Prints the stages of topologies; sets, whose order is no part of a plan, are sorted."""


def stages(seed: str) -> list[str]:
    """Compile all shipped topologies under a hash seed."""
    files = sorted(str(path) for path in (ROOT / "topology.yaml", *(ROOT / "topologies").glob("*.yaml")))
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM, *files]
    environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.splitlines()


@pytest.mark.parametrize("seed", ["2", "3"])
def test_stages_are_the_same_under_any_hash_seed(seed: str) -> None:
    """The order of columns above all: frames of the state are put together by it, and what was told is hashed in it."""
    first, other = stages("1"), stages(seed)
    assert len(first) > 50
    for one, same in zip(first, other, strict=True):
        assert one == same
