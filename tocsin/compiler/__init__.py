"""Checks a topology for all that can be wrong with it, and compiles it to keyed stages."""

from tocsin.compiler.compile import compile_topology
from tocsin.compiler.plan import Plan, RulePlan, SinkPlan, StreamPlan, TablePlan

__all__ = ["Plan", "RulePlan", "SinkPlan", "StreamPlan", "TablePlan", "compile_topology"]
