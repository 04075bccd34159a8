"""Topologies for the tests of the compiler: short ones, over the streams of base.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tocsin.compiler import compile_topology
from tocsin.language import loads
from tocsin.language.files import read_file

if TYPE_CHECKING:
    from operators.stage import Stage
    from tocsin.compiler import Plan

BASE = Path(__file__).with_name("base.yaml")


def compiled(text: str, header: str = "zone: UTC") -> Plan:
    """Compile sections that use base.yaml."""
    whole = f"topology: {{name: t, {header}, uses: [base.yaml]}}\n{text}"
    return compile_topology(
        loads(whole, name="t.yaml", reader=lambda path: read_file(BASE if path.name == BASE.name else path))
    )


def stage(plan: Plan, name: str) -> Stage:
    """Give a stage by its name."""
    return next(stage for stage in plan.stages if stage.name == name)


def names(plan: Plan) -> list[str]:
    """Give the stages that base.yaml does not have, in order."""
    return [stage.name for stage in plan.stages if stage.name not in {"pace", "minute", "visits"}]
