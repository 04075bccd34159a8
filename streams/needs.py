"""What a run needs of a plan and of what the command line says: stages, tables, sources that the plan knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from operators.lookups import look_up
from tocsin.errors import SourceError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    import polars as pl

    from operators.stage import Stage
    from streams.ingest.spec import LookUp
    from tocsin.compiler import Plan


def needed_stages(plan: Plan, wanted: Collection[str]) -> list[Stage]:
    """Give the wanted stages and all they depend on, in order."""
    needed = set(wanted)
    for stage in reversed(plan.stages):
        if stage.name in needed:
            needed |= {item.upstream for item in stage.inputs}
    return [stage for stage in plan.stages if stage.name in needed]


def checked_tables(plan: Plan, streams: Iterable[str]) -> set[str]:
    """Name the tables that the checks of streams, and what these derive, look up."""
    found = [plan.streams[name] for name in streams]
    bounds = [bound for stream in found for _, bound in stream.derive]
    bounds += [check.bound for stream in found for check in stream.checks]
    return {lookup.table for bound in bounds for lookup in bound.lookups}


def look_up_in(plan: Plan, tables: Mapping[str, pl.DataFrame]) -> LookUp:
    """Give what looks up for the checks of streams; `tables`: by name, as they are when it is asked."""
    keys = {name: table.key for name, table in plan.tables.items()}
    return lambda rows, lookups: look_up(rows, lookups, tables, keys)


def refuse_unknown(plan: Plan, sources: Iterable[str]) -> None:
    """Raise SourceError for a name that is neither a stream nor a table, with the nearest that is."""
    known = [*plan.streams, *plan.tables]
    for name in sources:
        if name not in known:
            only = ", ".join(known) + did_you_mean(name, known)
            raise SourceError(f"{plan.name} has no stream or table {name!r}, only {only}")
