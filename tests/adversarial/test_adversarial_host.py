"""However badly batches, watermarks and workers behave, the outcome is that of the plain single run."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .case import plain_run
from .host import Chaos, Host
from .topologies import cases, compiled

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
KINDS = ["windows", "trailing", "occupancy", "asked", "over", "detected", "immediate", "together"]


class TestTheOutcomeIsThatOfThePlainRun:
    @pytest.mark.parametrize("kind", KINDS)
    @chaotic
    @given(st.data(), chaos)
    def test_under_any_chaos(self, kind: str, data: st.DataObject, how: Chaos) -> None:
        case = data.draw(cases(kind))
        plan = compiled(case)
        assert Host(case, plan, how).run() == plain_run(case, plan)
