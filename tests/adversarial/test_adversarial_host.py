"""However badly batches, watermarks and workers behave, the outcome is that of the plain single run."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .case import Case, Change, Event, plain_run
from .host import Chaos, Host
from .topologies import cases, compiled, topology_text

EXAMPLES = int(os.environ.get("TOCSIN_EXAMPLES", "10"))
"""Per kind of topology; a night may take 200."""
chaotic = settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
chaos = st.builds(
    Chaos,
    seed=st.integers(0, 1 << 32),
    buckets=st.integers(1, 7),
    partitions=st.integers(1, 3),
    delays=st.booleans(),
    resends=st.booleans(),
    crashes=st.booleans(),
    rewinds=st.booleans(),
    wakeups=st.booleans(),
    straight=st.booleans(),
)
KINDS = ["windows", "trailing", "occupancy", "asked", "over", "sequence", "detected", "immediate", "together"]


ROUGH = [Chaos(seed, 7, 3, delays=True, resends=True, crashes=True, wakeups=True) for seed in range(5)]
BEGIN = 1_774_746_000_000


def event(number: int, at: int, **fields: object) -> Event:
    """Give a record of the drawn streams."""
    return {"id": str(number), "at": BEGIN + 1000 * at, "key": "a", "ok": True, "other": "x", "pieces": 1, **fields}


def case_of(features: dict[str, dict[str, object]], events: list[Event]) -> Case:
    """Give a case with a rule over the last feature."""
    rule: dict[str, object] = {"from": list(features)[-1], "levels": {"red": {"when": "n >= 2", "reset": "n < 2"}}}
    text = topology_text(features, {"r": rule | {"keep": "5s"}}, lateness="5s", named=True)
    return Case(text, {"events": events, "labels": []})


class TestWhatWasFoundOnce:
    """Cases that gave two outcomes, or none."""

    @pytest.mark.parametrize("how", ROUGH)
    def test_one_event_under_several_keys_has_one_order_under_another(self, how: Chaos) -> None:
        below = {"from": "events", "by": ["key", "other"], "windows": {"trailing 3s": {"w_n": "count()"}}}
        above = {"from": "below", "by": "key", "windows": {"tumbling 9s": {"n": "count()", "last": "last(other)"}}}
        case = case_of({"below": below, "f": above}, [event(1, i // 4, other="pqrs"[i % 4]) for i in range(24)])
        plan = compiled(case)
        assert Host(case, plan, how).run() == plain_run(case, plan)

    @pytest.mark.parametrize("how", ROUGH)
    def test_a_stream_may_be_asked_about_at_its_own_rows(self, how: Chaos) -> None:
        feature = {
            "from": "events",
            "at": "events",
            "by": "key",
            "where": "ok",
            "windows": {"trailing 9s": {"n": "count()"}},
        }
        case = case_of({"f": feature}, [event(i, i, ok=i % 2 == 0) for i in range(8)])
        plan = compiled(case)
        assert Host(case, plan, how).run() == plain_run(case, plan)
        assert len(plain_run(case, plan)["f"]) == 8

    @pytest.mark.parametrize("how", ROUGH[:2])
    def test_windows_beside_movement_may_look_things_up(self, how: Chaos) -> None:
        feature = {"from": "events", "by": "key", "windows": {"trailing 9s": {"n": "count()", "own": "max(cell.own)"}}}
        movement = {"movement": {"place": "spot", "forget": "9s"}}
        case = case_of({"f": feature | movement}, [event(i, i, cell="c1", spot="39.9 116.4") for i in range(4)])
        case = replace(case, changes={"cells": [Change({"cell": "c1", "own": "7"})]})
        plan = compiled(case)
        assert Host(case, plan, how).run() == plain_run(case, plan)
        assert all(row.endswith(", 7)") for row in plain_run(case, plan)["f"][:4])


class TestTheOutcomeIsThatOfThePlainRun:
    @pytest.mark.parametrize("kind", KINDS)
    @chaotic
    @given(st.data(), chaos)
    def test_under_any_chaos(self, kind: str, data: st.DataObject, how: Chaos) -> None:
        case = data.draw(cases(kind))
        plan = compiled(case)
        assert Host(case, plan, how).run() == plain_run(case, plan)
