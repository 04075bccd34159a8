"""Source tasks and shards give what a plain run gives, however they are cut, and whenever they die."""

from __future__ import annotations

import os
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from memory_cluster import MemoryCluster
from test_layout import PLAN

from streams.ingest.lateness import state_of
from streams.pseudonyms import DEVELOPMENT_KEY, Pseudonyms
from streams.tasks.layout import lay_out
from streams.tasks.making import Maker
from tests.adversarial.case import plain_run
from tests.adversarial.test_adversarial_host import KINDS
from tests.adversarial.topologies import cases, compiled

EXAMPLES = int(os.environ.get("TOCSIN_EXAMPLES", "6"))
few = settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


class TestTasksThatExchangePackets:
    """Partitions, shards, restarts and repeated packets change nothing."""

    @pytest.mark.parametrize("kind", KINDS)
    @few
    @given(
        st.data(),
        st.integers(1, 4),
        st.integers(1, 3),
        st.sampled_from(["", "key"]),
        st.booleans(),
        st.integers(0, 1 << 32),
    )
    def test_raise_the_alerts_of_the_plain_run(  # what hypothesis draws
        self,
        kind: str,
        data: st.DataObject,
        shards: int,
        partitions: int,
        by: str,
        layered: bool,  # noqa: FBT001  # as above
        seed: int,
    ) -> None:
        case = data.draw(cases(kind))
        plan = compiled(case)
        expected = plain_run(case, plan)
        random = Random(seed)  # noqa: S311  # chaos, not secrets
        given_rows = MemoryCluster(case, plan, random, shards, partitions, by, layered).run()
        assert given_rows == {stage: expected[stage] for stage in given_rows}


class TestHowFarATaskIs:
    """What tables are told counts from the next moment of a task that is past it."""

    def test_a_partition_without_stages_has_looked_up_to_its_watermark_for_its_checks(self) -> None:
        task = Maker(lay_out(PLAN, {"calls": 1}, 1), {}, Pseudonyms(DEVELOPMENT_KEY)).source("calls", 0)
        task.state = state_of(5_000)
        assert task.reached == task.watermark == 3_999
