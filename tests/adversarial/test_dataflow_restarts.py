"""The dataflow of `local` itself: cuts, buckets, and restarts from any snapshot change nothing."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators import state as state_bytes
from tocsin.model.rows import TIME

from .case import ordered_rows, outcome_of, plain_flow, plain_run
from .test_adversarial_host import KINDS, chaotic
from .topologies import cases, compiled

if TYPE_CHECKING:
    import polars as pl

    from streams.local.dataflow import Dataflow, Plain
    from tocsin.compiler import Plan

    from .case import Case, Outcome

Kept = tuple[bytes, dict[str, tuple[str, ...]], bytes, int, int]


@dataclass(slots=True)
class Disturbed:
    """Feeds a dataflow in small batches, some rows earlier than their time, and lets it die now and then."""

    case: Case
    plan: Plan
    buckets: int
    random: Random
    flow: Dataflow = field(init=False)
    batches: list[tuple[str, pl.DataFrame]] = field(init=False)
    given: list[tuple[str, pl.DataFrame]] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Cut the rows of every stream into batches."""
        self.flow = plain_flow(self.case, self.plan, self.buckets)
        self.batches = []
        for name in sorted(self.flow.streams):
            rows = ordered_rows(self.case, self.plan, name)
            places = sorted(range(rows.height), key=lambda place: place + self.random.randint(0, 5))
            while places:
                size = self.random.randint(1, 8)
                self.batches.append((name, rows[places[:size]]))
                places = places[size:]
        order = {id(batch): number + self.random.randint(0, 3) for number, (_, batch) in enumerate(self.batches)}
        self.batches.sort(key=lambda batch: order[id(batch[1])])

    def run(self) -> Outcome:
        """Feed, advance, die, go on; then close."""
        at, left = 0, 2
        while at < len(self.batches):
            self.flow.feed(*self.batches[at])
            at += 1
            if self.random.random() < 0.7:
                self.given += self.flow.advance(self._watermarks(at)).items()
            if self.random.random() < 0.4:
                self.kept.append(self._keep(at))
            if self.kept and left and self.random.random() < 0.3:
                left -= 1
                del self.kept[self.random.randrange(len(self.kept)) + 1 :]  # whoever goes back has what was then
                at = self._go_on_from(self.kept[-1])
        self.given += self.flow.advance(dict.fromkeys(self.flow.streams, self.case.end)).items()
        self.given += self.flow.close(self.case.end).items()
        return outcome_of(self.plan, self.given)

    def _watermarks(self, at: int) -> dict[str, int]:
        """Give for each stream a time before which nothing more comes."""
        least = dict.fromkeys(self.flow.streams, self.case.end)
        for name, rows in self.batches[at:]:
            least[name] = min(least[name], int(str(rows[TIME].min())) - 1)
        return {name: time - self.random.choice([0, 0, 3000]) for name, time in least.items()}

    def _keep(self, at: int) -> Kept:
        frames, plain = self.flow.snapshot()
        named = {str(number): path for number, path in enumerate(frames)}
        data = state_bytes.dump({name: frames[path] for name, path in named.items()})
        return data, named, pickle.dumps(plain), at, len(self.given)

    def _go_on_from(self, kept: Kept) -> int:
        """Be a new process that has nothing but a snapshot."""
        data, named, plain_bytes, at, given = kept
        plain: Plain = pickle.loads(plain_bytes)  # noqa: S301  # our own bytes
        self.flow = plain_flow(self.case, self.plan, self.buckets)
        self.flow.restore({named[name]: frame for name, frame in state_bytes.restore(data).items()}, plain)
        self.given = self.given[:given]
        return at


class TestADisturbedDataflow:
    """Batches, buckets and restarts, without a network."""

    @pytest.mark.parametrize("kind", KINDS)
    @chaotic
    @given(st.data(), st.integers(1, 5), st.integers(0, 1 << 32))
    def test_gives_what_the_plain_run_gives(self, kind: str, data: st.DataObject, buckets: int, seed: int) -> None:
        case = data.draw(cases(kind))
        plan = compiled(case)
        random = Random(seed)  # noqa: S311  # chaos, not secrets
        assert Disturbed(case, plan, buckets, random).run() == plain_run(case, plan)
