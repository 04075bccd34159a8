"""One `tocsin run`: sources, tables, state folder, sinks; what a command line or a test has to say, and no more."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sinks.delivery import Delivery
from sinks.opening import make_sink, open_sink
from sinks.where import Where
from streams.dead_letters import DeadLetterStore
from streams.local.assembly import load_tables, make_flow, open_feeds
from streams.local.runner import Runner, Settings, Summary
from streams.local.store import Store
from streams.pseudonyms import load_pseudonyms

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from sinks.contract import Sink
    from tocsin.compiler import Plan

COMMITS = "commits"
DEAD = "dead"
RUN = "run.json"


@dataclass(slots=True)
class Order:
    """What to run. `folder`: of the topology's file, where its `file` tables lie. `state`: None keeps nothing.

    `sinks`: URIs instead of the sinks of the topology. `keep_state`: a bounded run that is through leaves its state, so
    that a later one with more input goes on; otherwise the same command starts anew.
    """

    plan: Plan
    topology: Path
    sources: Mapping[str, str]
    sinks: Sequence[str] = ()
    state: Path | None = None
    keep_state: bool = False
    buckets: int = 1
    settings: Settings = field(default_factory=Settings)


def carry_out(order: Order) -> Summary:
    """Run; see `Runner.run` for what it raises."""
    plan, pseudonyms = order.plan, load_pseudonyms()
    flow = make_flow(plan, buckets=order.buckets)
    dead = None if order.state is None else DeadLetterStore(order.state / DEAD)
    aside = load_tables(flow, order.sources, order.topology.parent, pseudonyms)
    feeds = open_feeds(flow, order.sources, pseudonyms)
    for feed in feeds.values():
        feed.until, feed.start = order.settings.until, _first_needed(order)
    store = None if order.state is None else _open_store(order, order.state)
    try:
        if dead is not None and store is not None:
            dead.put(aside, round(order.settings.wall() * 1000))
        summary = Runner(plan, flow, feeds, _deliveries(order, store), store, dead, order.settings).run()
    finally:
        if store is not None:
            store.close()
    if order.state is not None and summary.flushed and not order.keep_state:
        _forget(order.state / COMMITS)
    return summary


def _first_needed(order: Order) -> int | None:
    """Give the time before which no row matters for `--from` (semantics 26)."""
    start = order.settings.emit_from
    return None if start is None else start - max(order.plan.memory.values(), default=0)


def _open_store(order: Order, state: Path) -> Store:
    """Open the state folder, and note there what runs, for `explain` and `dlq replay`."""
    store = Store.open(state / COMMITS, order.plan.version, order.plan.name)
    note = {"topology": str(order.topology.resolve()), "sources": dict(order.sources), "until": order.settings.until}
    (state / RUN).write_text(json.dumps(note, indent=2))
    return store


def _deliveries(order: Order, store: Store | None) -> tuple[Delivery, ...]:
    snapshot = store.load() if store is not None else None
    known = snapshot.sinks if snapshot is not None else {}
    made = [(uri, open_sink(uri), None) for uri in order.sinks] if order.sinks else _declared(order.plan)
    return tuple(Delivery(name, sink, where=where, progress=known.get(name)) for name, sink, where in made)


def _declared(plan: Plan) -> list[tuple[str, Sink, Where | None]]:
    return [
        (sink.name, make_sink(sink.kind, sink.target), None if sink.where is None else Where(sink.where))
        for sink in plan.sinks
    ]


def _forget(commits: Path) -> None:
    """Remove the state of a run that is through; the folder's lock is free by now."""
    for file in commits.iterdir():
        file.unlink()
    commits.rmdir()
