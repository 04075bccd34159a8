"""The alert machine, sentence by sentence: semantics 7 and 15-17, decision 1 of the language."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from alert_reference import brief, expected_id, frame, make_spec, run

from operators.alerting.machine import AlertMachine
from operators.alerting.rule import LevelSpec, MachineSpec
from operators.contract import Instant
from tocsin.model.alerts import Level
from tocsin.model.types import STRING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alert_reference import Row

Truth = bool | None
END = 1000


def row(
    time: int,
    when: Truth | Sequence[Truth],
    *,
    reset: Truth | Sequence[Truth] = None,
    card: str = "A",
    unless: Truth = False,
    x: int = 0,
) -> Row:
    """Give a row; `when` and `reset` for the first level or for each."""
    whens, resets = ([one] if one is None or isinstance(one, bool) else [*one] for one in (when, reset))
    whens, resets = ((part + [None] * 4)[:4] for part in (whens, resets))
    row.count = getattr(row, "count", 0) + 1  # type: ignore[attr-defined]  # ids in the order of writing
    number = row.count  # type: ignore[attr-defined]
    return {"time": time, "id": f"e{number:05}", "card": card, "x": x, "when": whens, "reset": resets, "unless": unless}


def timeline(spec: MachineSpec, *rows: Row, watermarks: Sequence[int] = (END,)) -> list[str]:
    """Say what the machine says, as `10 raised blue`."""
    return [
        " ".join(map(str, (time, kind, level, reason))).strip()
        for _, time, _, kind, level, reason, *_ in brief(run(AlertMachine(spec), rows, watermarks))
    ]


class TestRising:
    """A level rises if any row's `when` holds."""

    def test_a_true_condition_raises_at_its_event_time(self) -> None:
        assert timeline(make_spec(), row(5, when=False), row(7, when=True)) == ["7 raised blue"]

    def test_null_does_not_raise(self) -> None:
        assert timeline(make_spec(), row(5, when=None)) == []

    def test_one_row_of_a_time_is_enough(self) -> None:
        assert timeline(make_spec(), row(5, when=True), row(5, when=False), row(5, when=None)) == ["5 raised blue"]

    def test_all_rows_of_a_time_are_one_step(self) -> None:
        spec = make_spec(2, update_every_ms=0)
        assert timeline(spec, row(5, when=(True, False)), row(5, when=(True, True))) == ["5 raised yellow"]

    def test_every_fingerprint_has_its_own_episode(self) -> None:
        out = brief(run(AlertMachine(make_spec()), [row(5, when=True), row(6, when=True, card="B")], [END]))
        assert [(said[0], said[1], said[2]) for said in out] == [("A", 5, 1), ("B", 6, 1)]

    def test_a_rule_without_entity_has_one_fingerprint(self) -> None:
        spec = MachineSpec(
            topology="t", rule="r", version="v", entity={}, levels=(LevelSpec(level=Level.RED, when="when0"),)
        )
        machine = AlertMachine(spec)
        out, state, _ = machine.step(
            frame([row(5, when=True), row(6, when=True, card="B")]), machine.initial(), Instant(6)
        )
        assert out.select("entity", "kind").rows() == [("{}", "raised")]
        assert machine.step(frame([row(7, when=False)]), state, Instant(7)).rows["kind"].to_list() == ["cleared"]


class TestFalling:
    """At a step: a `reset` holds and no `when` does."""

    def test_by_default_a_level_falls_when_its_condition_is_false(self) -> None:
        assert timeline(make_spec(), row(5, when=True), row(7, when=False)) == [
            "5 raised blue",
            "7 cleared clear reset",
        ]

    def test_null_does_not_reset(self) -> None:
        assert timeline(make_spec(), row(5, when=True), row(7, when=None)) == ["5 raised blue"]

    def test_a_reset_of_its_own_is_what_counts_then(self) -> None:
        spec = make_spec(resets=[0])
        rows = [row(5, when=True), row(7, when=False), row(9, when=None, reset=True)]
        assert timeline(spec, *rows) == ["5 raised blue", "9 cleared clear reset"]

    def test_a_level_does_not_fall_while_a_row_of_that_time_holds_it(self) -> None:
        rows = [row(5, when=True), row(7, when=False), row(7, when=True)]
        assert timeline(make_spec(update_every_ms=END), *rows) == ["5 raised blue"]

    def test_an_entity_that_becomes_trusted_is_cleared(self) -> None:
        rows = [row(5, when=True), row(7, when=True, unless=True), row(8, when=True, unless=True)]
        assert timeline(make_spec(), *rows) == ["5 raised blue", "7 cleared clear unless"]

    def test_not_knowing_whether_it_is_trusted_is_not_trust(self) -> None:
        assert timeline(make_spec(), row(5, when=True, unless=None)) == ["5 raised blue"]

    def test_an_empty_row_is_named_as_the_reason(self) -> None:
        spec = MachineSpec(
            topology="t",
            rule="r",
            version="v",
            entity={"card": STRING},
            levels=(LevelSpec(level=Level.RED, when="when0"),),
            empty="reset3",
        )
        out = run(AlertMachine(spec), [row(5, when=True), row(7, when=False, reset=(None, None, None, True))], [END])
        assert out["reason"].to_list() == ["", "empty"]


class TestKeep:
    """A level falls `keep` after it was last true, at that exact time."""

    def test_a_level_falls_when_its_keep_is_over(self) -> None:
        rows = [row(5, when=True), row(8, when=True), row(9, when=None)]
        assert timeline(make_spec(keep_ms=10), *rows) == ["5 raised blue", "18 cleared clear keep"]

    def test_rows_of_a_time_come_before_its_ticks(self) -> None:
        rows = [row(5, when=True), row(15, when=True)]
        assert timeline(make_spec(keep_ms=10), *rows) == ["5 raised blue", "25 cleared clear keep"]

    def test_a_row_that_resets_comes_before_the_tick_too(self) -> None:
        rows = [row(5, when=True), row(15, when=False)]
        assert timeline(make_spec(keep_ms=10), *rows) == ["5 raised blue", "15 cleared clear reset"]

    def test_keep_forever_lasts_until_it_expires(self) -> None:
        assert timeline(make_spec(expires_ms=500), row(5, when=True)) == ["5 raised blue", "505 cleared clear expired"]

    def test_a_host_is_told_when_to_call_again(self) -> None:
        machine = AlertMachine(make_spec(keep_ms=10, expires_ms=500))
        out, state, due = machine.step(frame([row(5, when=True)]), machine.initial(), Instant(5))
        assert due == 15
        assert machine.step(out.clear(), state, Instant(14)).rows.is_empty()
        assert machine.step(out.clear(), state, Instant(15)).rows["time"].to_list() == [15]


class TestExpires:
    """Nothing expires in silence."""

    def test_an_open_episode_without_a_row_is_cleared_as_expired(self) -> None:
        spec = make_spec(keep_ms=200, expires_ms=50)
        rows = [row(5, when=True), row(30, when=None)]
        assert timeline(spec, *rows) == ["5 raised blue", "80 cleared clear expired"]

    def test_what_is_only_pending_is_forgotten(self) -> None:
        assert timeline(make_spec(for_ms=60, expires_ms=50), row(5, when=True)) == []

    def test_the_state_is_empty_afterwards(self) -> None:
        machine = AlertMachine(make_spec(expires_ms=50))
        state = machine.step(frame([row(5, when=True)]), machine.initial(), Instant(55)).state
        assert state["episodes"].is_empty()


class TestLevels:
    """Each level is a latch of its own; the highest that is held shows."""

    def test_the_highest_held_level_shows(self) -> None:
        rows = [row(1, when=(True, False)), row(2, when=(True, True)), row(3, when=(True, False))]
        rows.append(row(4, when=(False, False)))
        assert timeline(make_spec(2), *rows) == [
            "1 raised blue",
            "2 level_changed yellow",
            "3 level_changed blue",
            "4 cleared clear reset",
        ]

    def test_a_higher_level_without_the_lower_one_is_enough(self) -> None:
        rows = [row(1, when=(None, True)), row(2, when=(None, False))]
        assert timeline(make_spec(2), *rows) == ["1 raised yellow", "2 cleared clear reset"]

    def test_each_level_has_its_own_keep(self) -> None:
        rows = [row(1, when=(True, True)), row(6, when=(True, None))]
        assert timeline(make_spec(2, keep_ms=10), *rows) == [
            "1 raised yellow",
            "11 level_changed blue",
            "16 cleared clear keep",
        ]

    def test_a_lower_level_that_changes_under_a_higher_one_does_not_show(self) -> None:
        rows = [row(1, when=(True, True)), row(2, when=(False, True)), row(3, when=(True, True))]
        assert timeline(make_spec(2, update_every_ms=END), *rows) == ["1 raised yellow"]


class TestFor:
    """No false step between the first true step and its due tick."""

    def test_it_is_raised_when_the_time_is_over_also_in_silence(self) -> None:
        assert timeline(make_spec(for_ms=30), row(5, when=True)) == ["35 raised blue"]

    def test_a_false_step_begins_it_anew(self) -> None:
        rows = [row(5, when=True), row(10, when=False), row(20, when=True)]
        assert timeline(make_spec(for_ms=30), *rows) == ["50 raised blue"]

    def test_a_false_step_at_the_due_time_comes_first(self) -> None:
        assert timeline(make_spec(for_ms=30), row(5, when=True), row(35, when=False)) == []

    def test_a_null_step_is_no_false_step(self) -> None:
        assert timeline(make_spec(for_ms=30), row(5, when=True), row(10, when=None)) == ["35 raised blue"]

    def test_a_step_that_resets_is_a_false_step(self) -> None:
        assert timeline(make_spec(resets=[0], for_ms=30), row(5, when=True), row(9, when=None, reset=True)) == []

    def test_a_false_step_is_one_also_where_the_level_has_a_reset_of_its_own(self) -> None:
        rows = [row(5, when=True), row(10, when=False)]
        assert timeline(make_spec(resets=[0], for_ms=30), *rows, watermarks=[6, 12, END]) == []

    def test_what_is_not_kept_so_long_is_not_raised(self) -> None:
        assert timeline(make_spec(for_ms=30, keep_ms=30), row(5, when=True)) == []
        rows = [row(5, when=True), row(6, when=True)]
        assert timeline(make_spec(for_ms=30, keep_ms=30), *rows) == ["35 raised blue", "36 cleared clear keep"]

    def test_it_runs_per_level(self) -> None:
        rows = [row(5, when=(True, False)), row(15, when=(True, True))]
        assert timeline(make_spec(2, for_ms=30), *rows) == ["35 raised blue", "45 level_changed yellow"]

    def test_a_level_falls_at_once(self) -> None:
        rows = [row(5, when=True), row(40, when=False)]
        assert timeline(make_spec(for_ms=30), *rows) == ["35 raised blue", "40 cleared clear reset"]

    def test_the_tick_is_explained_by_the_last_row_that_knew(self) -> None:
        rows = [row(5, when=True, x=1), row(9, when=True, x=2), row(10, when=None, x=3)]
        assert [said[7] for said in brief(run(AlertMachine(make_spec(for_ms=30)), rows, [END]))] == [2]


class TestIdentity:
    """`alert_id` and `sequence` (semantics 16)."""

    def test_the_id_hashes_topology_rule_fingerprint_and_first_step(self) -> None:
        assert brief(run(AlertMachine(make_spec()), [row(5, when=True)], [END]))[0][-1] == expected_id("A", 5)

    def test_with_for_the_first_step_is_the_one_that_began_the_wait(self) -> None:
        spec = make_spec(2, for_ms=30)
        rows = [row(5, when=(True, False)), row(15, when=(True, True))]
        assert {said[-1] for said in brief(run(AlertMachine(spec), rows, [END]))} == {expected_id("A", 5)}

    def test_an_episode_keeps_its_id_and_counts_its_transitions(self) -> None:
        rows = [row(1, when=(True, False)), row(2, when=(True, True)), row(3, when=(False, False))]
        rows.append(row(4, when=(True, False)))
        out = brief(run(AlertMachine(make_spec(2)), rows, [1, 2, 3, END]))
        first, second = expected_id("A", 1), expected_id("A", 4)
        assert [(said[2], said[-1]) for said in out] == [(1, first), (2, first), (3, first), (1, second)]


class TestUpdated:
    """`updated` is rate-limited per episode, in event time."""

    def test_news_is_told_when_the_last_transition_is_old_enough(self) -> None:
        rows = [row(time, when=True, x=time) for time in range(1, 40)]
        assert timeline(make_spec(update_every_ms=15), *rows) == ["1 raised blue", "16 updated blue", "31 updated blue"]

    def test_nothing_new_is_not_told(self) -> None:
        rows = [row(time, when=True) for time in range(1, 40)]
        for each in rows:
            each["id"] = "same"
        rows.append(row(50, when=True, x=1))
        assert timeline(make_spec(update_every_ms=15), *rows) == ["1 raised blue", "50 updated blue"]

    def test_a_row_that_knows_nothing_of_the_level_is_no_news(self) -> None:
        assert timeline(make_spec(update_every_ms=15), row(1, when=True), row(20, when=None, x=9)) == ["1 raised blue"]

    def test_every_transition_counts_for_the_rate(self) -> None:
        rows = [row(1, when=(True, False)), row(10, when=(True, True)), row(20, when=(True, True), x=1)]
        assert timeline(make_spec(2, update_every_ms=15), *rows) == ["1 raised blue", "10 level_changed yellow"]


class TestUntil:
    """A bounded run ends at T (semantics 7)."""

    def test_ticks_stop_at_until_and_the_one_at_until_fires(self) -> None:
        machine = AlertMachine(make_spec(keep_ms=10))
        rows = [row(5, when=True), row(6, when=True, card="B")]
        out = brief(run(machine, rows, [7], until=15))
        assert [(said[0], said[1], said[3]) for said in out] == [
            ("A", 5, "raised"),
            ("A", 15, "cleared"),
            ("B", 6, "raised"),
        ]

    def test_rows_after_until_are_taken_in_order_without_ticks(self) -> None:
        rows = [row(5, when=True), row(30, when=False), row(40, when=True)]
        out = brief(run(AlertMachine(make_spec(keep_ms=10)), rows, [6], until=12))
        assert [(said[1], said[3], said[5]) for said in out] == [
            (5, "raised", ""),
            (30, "cleared", "reset"),
            (40, "raised", ""),
        ]


class TestCardVelocity:
    """The example of the language: `orange` has a reset of its own, `red` has not, both keep 30 minutes."""

    MINUTE = 60_000
    spec = make_spec(2, resets=[0], keep_ms=30 * MINUTE)

    def test_a_burst_clears_at_the_empty_row(self) -> None:
        """Twelve payments, one each half minute; the tenth is one too many; the window runs empty at 10:15:30."""
        half = self.MINUTE // 2
        rows = [row(n * half, when=(n >= 9, False), reset=(n < 4, None)) for n in range(12)]
        rows.append(row(11 * half + 10 * self.MINUTE, when=(False, None), reset=(True, None)))
        assert timeline(self.spec, *rows, watermarks=[10**8]) == [
            f"{9 * half} raised blue",
            f"{31 * half} cleared clear reset",
        ]

    def test_an_impossible_journey_clears_after_its_keep(self) -> None:
        """Rows at 10:00, 10:30 and the empty ones ten minutes after each, which know no speed."""
        minute = self.MINUTE
        empty = {"when": (False, None), "reset": (True, None)}
        rows = [row(0, when=(False, None), reset=(True, None)), row(10 * minute, **empty)]  # type: ignore[arg-type]
        rows += [row(30 * minute, when=(False, True), reset=(True, None)), row(40 * minute, **empty)]  # type: ignore[arg-type]
        assert timeline(self.spec, *rows, watermarks=[10**8]) == [
            f"{30 * minute} raised yellow",
            f"{60 * minute} cleared clear keep",
        ]


class TestSpecs:
    """A spec refuses what makes no machine."""

    @pytest.mark.parametrize("levels", [(), (Level.RED, Level.BLUE), (Level.RED, Level.RED)])
    def test_levels_ascend(self, levels: Sequence[Level]) -> None:
        with pytest.raises(ValueError, match="one to four levels, ascending"):
            MachineSpec(
                topology="t",
                rule="r",
                version="v",
                entity={},
                levels=tuple(LevelSpec(level=level, when="w") for level in levels),
            )

    def test_times_are_longer_than_nothing(self) -> None:
        with pytest.raises(ValueError, match="keep and expires must be longer than nothing"):
            make_spec(keep_ms=0)

    def test_an_immediate_rule_needs_its_cooldown(self) -> None:
        with pytest.raises(ValueError, match="needs keep"):
            make_spec(immediate=True)


class TestWhatIsLookedAt:
    """Python sees a fingerprint only where something can happen; the rest is done in columns."""

    def test_rows_that_hold_nothing_end_before_anything_is_made_of_them(self) -> None:
        machine = AlertMachine(make_spec(2))
        state = machine.initial()
        step = machine.step(frame([row(5, when=(False, None)), row(6, when=False)]), state, Instant(6))
        assert step.state is state
        assert step.rows.is_empty()

    def test_no_latches_run_where_nothing_is_held_and_where_an_alert_goes_on_as_it_is(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        machine = AlertMachine(make_spec())
        state = machine.step(frame([row(5, when=True)]), machine.initial(), Instant(5)).state
        monkeypatch.delattr("operators.alerting.machine.Evaluator")
        rows = [row(6, when=True), row(6, when=False, card="B"), row(6, when=None, card="C")]
        step = machine.step(frame(rows), state, Instant(6))
        assert step.rows.is_empty()
        assert step.state["episodes"].select("card", "__seen").rows() == [("A", 6)]
