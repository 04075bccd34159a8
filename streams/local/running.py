"""One `tocsin run`: sources, tables, state folder, sinks; what a command line or a test has to say, and no more.

| in the state folder | is |
|---|---|
| `commits/` | the state (`store`); emptied when a run is through, unless it is kept |
| `dead/` | dead letters and late records of the last run; those of the run before are in `dead.before` |
| | (those of a Kafka topic are in `TOPIC.dlq` instead, where there is such a topic) |
| `run.json` | what the last run read, for `explain` and `dlq replay` |
| `through` | the run is through and `commits/` is being emptied; a run that finds it goes on emptying |
"""

from __future__ import annotations

import shutil
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from monitoring import registry
from monitoring.health import TABLES
from monitoring.metrics import Metrics, NoMetrics
from sinks.delivery import Delivery, Progress
from streams.chosen_sinks import choose_sinks
from streams.dead_letters import DeadLetterStore
from streams.garbage import search_rarely
from streams.kafka.dead_letters import DeadLettersByStream
from streams.local import checkpoint
from streams.local.assembly import first_needed, follow_tables, load_tables, make_flow, open_inputs
from streams.local.feed import Span
from streams.local.note import Note, refuse_other_key
from streams.local.pages import keep_pages
from streams.local.runner import Runner, Settings, Summary
from streams.local.store import Store
from streams.local.tally import Tally, process_of
from streams.pseudonyms import KEY, load_pseudonyms
from streams.turns import take_short_turns
from tocsin.errors import StateError
from tocsin.locks import Held, Lock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import polars as pl

    from streams.local.dataflow import Dataflow
    from streams.local.inputs import Inputs
    from streams.local.snapshot import Snapshot
    from streams.pseudonyms import Pseudonyms
    from tocsin.compiler import Plan

COMMITS = "commits"
LOCK = "lock"
DEAD = "dead"
DEAD_BEFORE = "dead.before"
THROUGH = "through"


@dataclass(slots=True)
class Order:
    """What to run. `topology`: its file, beside which its `file` tables lie. `state`: None keeps nothing.

    `sinks`: URIs instead of the sinks of the topology. Unless `settings.keep`, the state of a run that is through is
    removed: the same command then starts anew.
    """

    plan: Plan
    topology: Path
    sources: Mapping[str, str]
    sinks: Sequence[str] = ()
    state: Path | None = None
    buckets: int = 1
    settings: Settings = field(default_factory=Settings)
    metrics: Metrics = field(default_factory=NoMetrics)


def carry_out(order: Order) -> Summary:
    """Run; `Runner.run` says what it raises, and SourceError and StateError before anything was read."""
    keep_pages()
    search_rarely()
    if order.settings.early:
        take_short_turns()
    plan, pseudonyms = order.plan, load_pseudonyms()
    warn_of_missing_key(plan, pseudonyms, order.settings.warn)
    flow = make_flow(plan, buckets=order.buckets)
    aside, ends = load_tables(flow, order.sources, order.topology.parent, pseudonyms)
    order.settings.health.ready(TABLES, ok=True)
    order.metrics.gauge(registry.PROCESS_INFO.of(process_of(plan, "local")), 1)
    span = Span(first_needed(plan, order.settings.emit_from), order.settings.until)
    inputs = open_inputs(flow, order.sources, pseudonyms, span=span)
    inputs.tables = follow_tables(plan, order.sources, ends, pseudonyms)
    if order.state is None:
        deliveries, tally = _deliveries(order, None), Tally(order.metrics, order.settings.wall)
        return Runner(plan, flow, inputs, deliveries, settings=order.settings, tally=tally).run()
    _forget_if_through(order.state)
    with Store.open(order.state / COMMITS, plan.version, plan.name) as store:
        made = pseudonyms if plan.names_persons else None
        summary = _carry_out_in(order.state, store, order, Prepared(flow, inputs, aside, made))
    _forget_if_through(order.state)
    return summary


def warn_of_missing_key(plan: Plan, pseudonyms: Pseudonyms, warn: Callable[[str], None]) -> None:
    """Say that anybody can undo the pseudonyms, where there are any."""
    if pseudonyms.development and plan.names_persons:
        warn(f"{KEY} is not set: pseudonyms are made with a key that everybody knows")


class Prepared(NamedTuple):
    """What was opened before the state: the dataflow with its tables, the inputs, dead letters of the tables.

    `pseudonyms`: None where nobody needs one.
    """

    flow: Dataflow
    inputs: Inputs
    aside: pl.DataFrame
    pseudonyms: Pseudonyms | None


def _carry_out_in(state: Path, store: Store, order: Order, prepared: Prepared) -> Summary:
    """Run with a state folder that is ours; mark it when the run is through."""
    flow, inputs, aside, pseudonyms = prepared
    begin = store.load()
    if begin is not None and pseudonyms is not None:
        refuse_other_key(checkpoint.key_of(begin), pseudonyms, state)
    kept = _dead_letters(state, fresh=begin is None)
    key = "" if pseudonyms is None else pseudonyms.fingerprint
    note = Note.of(order.topology, order.sources, order.settings, key)
    tally, deliveries = Tally(order.metrics, order.settings.wall), _deliveries(order, begin)
    streams = {name: uri for name, uri in order.sources.items() if name in order.plan.streams}
    with closing(DeadLettersByStream.of(streams, kept, order.settings.warn)) as dead:
        dead.put(aside, round(order.settings.wall() * 1000))
        runner = Runner(order.plan, flow, inputs, deliveries, store, dead, order.settings, tally, begin)
        summary = runner.run(accepted=lambda: note.write(state))
    note.ended(summary.until, stopped=summary.stopped).write(state)
    if summary.flushed and not summary.stopped and not order.settings.keep:
        (state / THROUGH).touch()
    return summary


def _dead_letters(state: Path, *, fresh: bool) -> DeadLetterStore:
    """Open the dead letters; a run that begins anew reads everything again, and finds its own."""
    if fresh and (state / DEAD).exists():
        shutil.rmtree(state / DEAD_BEFORE, ignore_errors=True)
        try:
            (state / DEAD).rename(state / DEAD_BEFORE)
        except OSError as error:
            raise StateError(f"{state / DEAD} cannot be put aside: {error.strerror}") from error
    return DeadLetterStore(state / DEAD)


def _deliveries(order: Order, begin: Snapshot | None) -> tuple[Delivery, ...]:
    """Make the sinks, each from where it stood; one that the state does not know gets what is decided from now on."""
    known = begin.sinks if begin is not None else {}
    first = begin.outbox_end - sum(chunk.rows.height for chunk in begin.outbox) if begin is not None else 0
    made = choose_sinks(order.plan, order.sinks)
    for one in made:
        if begin is not None and one.name not in known:
            order.settings.warn(
                f"the sink {one.name} is new to this run: it gets what is not delivered to all others yet"
            )
    new = Progress(first)
    return tuple(
        Delivery(
            one.name,
            one.sink,
            where=one.where,
            at_most=one.at_most,
            progress=known.get(one.name, new),
            metrics=order.metrics,
        )
        for one in made
    )


def _forget_if_through(state: Path) -> None:
    """Empty the state of a run that is through, or go on doing so; its lock file stays (tocsin/locks.py)."""
    mark, commits = state / THROUGH, state / COMMITS
    if not mark.exists():
        return
    commits.mkdir(exist_ok=True)
    try:
        lock = Lock(commits / LOCK)
    except Held as held:
        raise StateError(f"the state folder {commits} is in use by {held.holder}") from None
    try:
        for file in commits.iterdir():
            if file.name != LOCK:
                file.unlink()
        mark.unlink(missing_ok=True)
    finally:
        lock.release()
