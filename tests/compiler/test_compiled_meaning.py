"""What compiled stages do where the compiler decides: who asks, what has no key, who is compared, what is withheld."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from plans import compiled, stage

from operators.lookups import ALWAYS, GONE
from streams.local.dataflow import Dataflow, empty_table
from tocsin.model.rows import HASH, ID, POSITION, TIME

if TYPE_CHECKING:
    from tocsin.compiler import Plan

MINUTE = 60_000


def events(plan: Plan, stream: str, *rows: dict[str, object]) -> pl.DataFrame:
    """Rows of a stream, numbered; `at` in ms."""
    frame = pl.DataFrame(
        [{TIME: row["at"], ID: f"{n:03}", HASH: n, POSITION: n, **row} for n, row in enumerate(rows)],
        schema_overrides={TIME: pl.Int64, HASH: pl.UInt64, POSITION: pl.Int64},
    )
    return plan.streams[stream].output.conform(frame)


def results(
    plan: Plan,
    wanted: str,
    streams: dict[str, pl.DataFrame],
    *,
    buckets: int = 1,
    tables: dict[str, pl.DataFrame] | None = None,
) -> pl.DataFrame:
    """The rows of a stage after everything was read."""
    flow = Dataflow(plan, wanted=[wanted], buckets=buckets)
    for name in flow.table_names:
        flow.change_table(name, (tables or {}).get(name, empty_table(plan, name)))
    for name in flow.streams:
        if name in streams:
            flow.feed(name, streams[name])
    given = flow.advance(dict.fromkeys(flow.streams, 10**9))
    return given.get(wanted, pl.DataFrame())


class TestAsking:
    """`at`: rows of one node ask, rows of another answer."""

    def test_where_chooses_among_the_answers_only(self) -> None:
        text = """\
features:
  f: {from: payments, at: pace, by: card, where: online, windows: {trailing 10m: {m: count()}}}
"""
        plan = compiled(text)
        rows = [{"at": n * MINUTE, "card": "A", "online": n == 1, "amount": 100} for n in range(4)]
        found = results(plan, "f", {"payments": events(plan, "payments", *rows)})
        assert found.filter(pl.col("payment_id").is_null() & pl.col("at").is_not_null())["m"].to_list() == [0, 1, 1, 1]


class TestCopiesOfAStream:
    """`dedup:` of a stream: what its records say again, at a time of its own."""

    FEATURES = """\
streams:
  taps: {id: tap, dedup: 10m, time: {field: at, lateness: 1s}, fields: {tap: string, at: timestamp, card: string}}
features:
  once: {from: taps, by: card, windows: {tumbling 1h: {n: count()}}}
  looked-up: {from: taps, by: {owner: terminals(card).owner}, windows: {tumbling 1h: {n: count()}}}
"""

    @pytest.mark.parametrize("feature", ["once", "looked-up"])
    def test_counts_once_per_key_within_the_horizon(self, feature: str) -> None:
        plan = compiled(self.FEATURES)
        rows = [{"at": n * 3 * MINUTE, "card": "A"} for n in range(6)]
        told = events(plan, "taps", *rows).with_columns(pl.lit("same").alias(ID))
        versions = pl.DataFrame({"terminal": ["A"], "owner": ["o"], TIME: [ALWAYS], GONE: [False]})
        terminals = pl.concat([empty_table(plan, "terminals"), versions], how="diagonal")
        found = results(plan, feature, {"taps": told}, tables={"terminals": terminals})
        assert found["n"].to_list() == [2]  # at 0 and 12 minutes


class TestNoKey:
    """A feature without `by` has one key: everything."""

    @pytest.mark.parametrize("buckets", [1, 3])
    @pytest.mark.parametrize(("window", "expected"), [("tumbling 1h", [4]), ("trailing 1h", [1, 2, 3, 4, 0])])
    def test_everything_is_counted_together(self, window: str, expected: list[int], buckets: int) -> None:
        plan = compiled(f"features:\n  f: {{from: payments, windows: {{{window}: {{n: count()}}}}}}")
        rows = [{"at": n * MINUTE, "card": f"c{n}"} for n in range(4)]
        found = results(plan, "f", {"payments": events(plan, "payments", *rows)}, buckets=buckets)
        assert found["n"].to_list() == expected

    @pytest.mark.parametrize("buckets", [1, 3])
    def test_a_feature_over_a_feature_keeps_its_key_in_every_bucket(self, buckets: int) -> None:
        plan = compiled("features:\n  f: {from: minute, windows: {tumbling 1h: {worst: max(top)}}}")
        rows = [{"at": n * MINUTE, "rack": f"r{n % 4}", "volt": float(n)} for n in range(20)]
        found = results(plan, "f", {"readings": events(plan, "readings", *rows)}, buckets=buckets)
        assert sorted(found.select("rack", "worst").rows()) == [(f"r{n}", 16.0 + n) for n in range(4)]


class TestPeers:
    """Rows of a class meet, whatever bucket their own key is in."""

    TEXT = """\
features:
  f: {from: minute, derive: {station: rack.station}, detect: {fleet: {peers: top, class: station}}}
"""

    @pytest.mark.parametrize("buckets", [1, 4])
    def test_a_member_is_compared_with_all_of_its_class(self, buckets: int) -> None:
        plan = compiled(self.TEXT)
        racks = pl.DataFrame(
            {
                "rack": [f"r{n}" for n in range(6)],
                "station": ["s"] * 6,
                "above": None,
                "most": 1,
                TIME: ALWAYS,
                GONE: False,
            },
            schema={**empty_table(plan, "racks").schema},
        )
        volts = {**{f"r{n}": float(n) for n in range(6)}, "unknown": 100.0}
        rows = [{"at": at, "rack": rack, "volt": volt} for at in (1000, MINUTE) for rack, volt in volts.items()]
        found = results(
            plan, "f", {"readings": events(plan, "readings", *rows)}, buckets=buckets, tables={"racks": racks}
        )
        first, second = (found.filter(pl.col("window_end") == end) for end in (MINUTE, 2 * MINUTE))
        assert first["fleet.value"].null_count() == len(volts)  # who knows when in this minute the racks began
        told = dict(second.select("rack", "fleet.value").rows())
        assert told == {**{f"r{n}": 2.5 for n in range(6)}, "unknown": None}


class TestATableThatChanges:
    """Rows for windows leave the head by key, and not by time; what they look up is of their own time."""

    @pytest.mark.parametrize("buckets", [1, 3])
    def test_is_read_as_of_each_event_of_a_window(self, buckets: int) -> None:
        plan = compiled("""\
features:
  f:
    from: payments
    by: card
    where: terminal.owner <> 'closed'
    windows: {tumbling 10m: {n: count(), mine: count() filter (where terminal.owner = 'us')}}
""")
        (windows,) = stage(plan, "f").inputs
        assert windows.reorder.by_key
        owners = ("us", "them", "closed")
        versions: list[dict[str, Any]] = [
            {"terminal": f"t{m}", "owner": owners[(m + n) % 3], TIME: n * MINUTE + m, GONE: False}
            for m in range(2)
            for n in range(0, 30, 2)
        ]
        paid = [(n * 7000 + 13, f"c{n % 5}", f"t{n % 2}") for n in range(250)]
        wanted: dict[tuple[str, int], list[str]] = {}
        for at, card, terminal in paid:
            known = [v for v in versions if v["terminal"] == terminal and v[TIME] <= at]
            owner = str(known[-1]["owner"]) if known else "closed"
            if owner != "closed":
                end = (at // (10 * MINUTE) + 1) * 10 * MINUTE
                wanted.setdefault((card, end), []).append(owner)
        rows = [{"at": at, "card": card, "terminal": terminal} for at, card, terminal in paid]
        terminals = pl.DataFrame(versions, schema=empty_table(plan, "terminals").schema)
        given = {"payments": events(plan, "payments", *rows)}
        found = results(plan, "f", given, buckets=buckets, tables={"terminals": terminals})
        told = {(card, end): (n, mine) for card, end, n, mine in found.select("card", "window_end", "n", "mine").rows()}
        assert told == {at: (len(owned), owned.count("us")) for at, owned in wanted.items()}


class TestADetectorAfterPeers:
    """It knows the history of its key, to whichever class that belongs at the moment."""

    USUAL = "usual: {baseline: top, history: 5m, refresh: 1m}"
    SOON = "soon: {forecast: top, history: 5m, ahead: 1m}"

    @pytest.mark.parametrize("buckets", [1, 4])
    @pytest.mark.parametrize("detector", [USUAL, SOON])
    def test_says_the_same_as_without_them_though_keys_change_their_class(self, detector: str, buckets: int) -> None:
        text = """\
features:
  f: {{from: minute, derive: {{station: rack.station}}, detect: {{{}}}}}
"""
        both = compiled(text.format(f"fleet: {{peers: top, class: station, least: 3}}, {detector}"))
        alone = compiled(text.format(detector))
        readings = [
            {"at": n * MINUTE + 1000, "rack": f"r{m}", "volt": float((7 * n + m) % 5)}
            for n in range(15)
            for m in range(12)
        ]
        stations = [
            {"rack": f"r{m}", "station": f"s{(m + change) % 3}", TIME: change * 7 * MINUTE, GONE: False}
            for m in range(12)
            for change in range(2)
        ]
        racks = pl.DataFrame(stations, schema=empty_table(both, "racks").schema)
        given = {"readings": events(both, "readings", *readings)}
        one = results(alone, "f", given, tables={"racks": racks})
        two = results(both, "f", given, buckets=buckets, tables={"racks": racks})
        columns = [name for name in one.columns if name.partition(".")[0] in {"rack", "usual", "soon"}]
        assert one.drop_nulls(columns).height > 50
        assert two["fleet.value"].null_count() < two.height / 2
        assert two.select(TIME, *columns).sort(TIME, "rack").equals(one.select(TIME, *columns).sort(TIME, "rack"))


class TestDetectorsOfWhatFills:
    """A detector does not see rows that are not full yet."""

    TEXT = """\
features:
  f:
    from: payments
    occupancy: {who: card, in: terminal, every: 1m, forget: 10m}
    detect: {soon: {forecast: people, ahead: 5m, history: 3m}}
"""

    @pytest.mark.parametrize("buckets", [1, 4])
    def test_an_occupancy_is_full_when_it_could_have_forgotten_the_first_one(self, buckets: int) -> None:
        """One more person a minute for ten minutes, then none: the climb is not drawn on."""
        plan = compiled(self.TEXT)
        rows = [
            {"at": minute * MINUTE, "card": f"c{min(minute, 9) if minute < 10 else minute % 10}", "terminal": where}
            for minute in range(30)
            for where in "xy"
        ]
        told = [{**row, "card": f"{row['card']}{row['terminal']}"} for row in rows]
        found = results(plan, "f", {"payments": events(plan, "payments", *told)}, buckets=buckets)
        shown = found.filter(pl.col("soon.value").is_not_null(), pl.col("window_end") <= 30 * MINUTE)
        assert set(shown["people"]) == {10}
        assert set(shown["soon.value"]) == {10.0}
        assert shown["window_end"].min() == MINUTE * (1 + 10 + 3)  # first row, forget, history


class TestForAll:
    """`for_all`: rows for every key of a table, each from the bucket that the key is in."""

    @pytest.mark.parametrize("buckets", [1, 4])
    def test_every_key_that_has_begun_has_a_row_per_window(self, buckets: int) -> None:
        text = """\
features:
  f: {from: readings, by: {place: rack}, for_all: racks, windows: {tumbling 1m: {n: count()}}}
"""
        plan = compiled(text)
        schema = dict(empty_table(plan, "racks").schema)
        columns = {"station": "s", "above": None, "most": 1, TIME: ALWAYS, GONE: False}
        racks = pl.DataFrame({"rack": [f"r{n}" for n in range(8)], **columns}, schema=schema)
        rows = [{"at": 1000, "rack": f"r{n}"} for n in range(6)] + [{"at": 3 * MINUTE, "rack": "r0"}]
        flow = Dataflow(plan, wanted=["f"], buckets=buckets)
        flow.change_table("racks", racks)
        flow.feed("readings", events(plan, "readings", *rows))
        found = flow.advance({"readings": 3 * MINUTE - 1})["f"]
        assert sorted(found.select("window_end", "place", "n").rows()) == sorted(
            (minute * MINUTE, f"r{n}", int(minute == 1)) for minute in (1, 2, 3) for n in range(6)
        )


class TestSmallGroups:
    """Counts of persons below `min_group` are withheld from alerts, and decide as before."""

    TEXT = """\
features:
  f:
    from: payments
    by: terminal
    windows: {tumbling 1m: {cards: count(distinct card), n: count()}}
rules:
  r:
    from: f
    measure: cards / 2
    levels: {red: 1}
    says: "{cards} cards paid {n} times, {cards * 10}"
"""

    def alert(self, persons: int, header: str = "min_group: 5") -> tuple[str, dict[str, object]]:
        plan = compiled(self.TEXT, header)
        rows = [{"at": n, "card": f"c{n}", "terminal": "t"} for n in range(persons)]
        told, *_ = results(plan, "rule r", {"payments": events(plan, "payments", *rows)}).to_dicts()
        return told["says"], json.loads(told["values"])

    def test_a_small_group_is_not_told(self) -> None:
        says, values = self.alert(4)
        assert says == "– cards paid 4 times, –"  # noqa: RUF001  # the sign for nothing
        assert (values["cards"], values["measure"]) == (None, None)

    def test_nobody_is_no_small_group(self) -> None:
        """Who is not there cannot be found out; a dash would say that somebody is."""
        text = """\
features:
  f:
    from: payments
    by: terminal
    windows: {tumbling 1m: {n: count(), away: count(distinct card) filter (where online)}}
    derive: {share: away / n}
rules:
  r: {from: f, levels: {red: n > 0}, says: "{away} of {n}, {share}"}
"""
        plan = compiled(text, "min_group: 5")
        rows = [{"at": n, "card": f"c{n}", "terminal": "t", "online": False} for n in range(7)]
        told, *_ = results(plan, "rule r", {"payments": events(plan, "payments", *rows)}).to_dicts()
        assert told["says"] == "0 of 7, 0"

    def test_nor_is_a_count_of_which_there_is_no_row(self) -> None:
        text = """\
features:
  f: {from: payments, by: terminal, where: not online, windows: {tumbling 1m: {n: count()}}}
  g: {from: payments, by: terminal, where: online, windows: {tumbling 1m: {away: count(distinct card)}}}
rules:
  r: {from: [f, g], levels: {red: n > 0}, says: "{coalesce(away, 0)} of {n}"}
"""
        plan = compiled(text, "min_group: 5")
        for others, told in ((0, "0 of 7"), (4, "– of 7"), (5, "5 of 7")):  # noqa: RUF001  # the sign for nothing
            rows = [{"at": n, "card": f"c{n}", "terminal": "t", "online": n >= 7} for n in range(7 + others)]
            alert, *_ = results(plan, "rule r", {"payments": events(plan, "payments", *rows)}).to_dicts()
            assert alert["says"] == told

    def test_what_was_before_nobody_is_withheld(self) -> None:
        text = """\
features:
  f:
    from: payments
    occupancy: {who: card, in: terminal, every: 1m, forget: 1m}
    detect: {soon: {forecast: people, ahead: 1m, history: 3m}}
rules:
  r: {from: f, levels: {red: people = 0}, says: "{people}, soon {soon.value}, {soon.rise}"}
"""
        plan = compiled(text, "min_group: 5")
        cards = [(minute, f"c{card}") for minute in range(8) for card in range(min(4, 8 - minute))]
        rows = [{"at": minute * MINUTE, "card": card, "terminal": "t"} for minute, card in cards]
        told, *_ = results(plan, "rule r", {"payments": events(plan, "payments", *rows)}).to_dicts()
        assert told["says"] == "0, soon –, –"  # noqa: RUF001  # the sign for nothing
        shown, *_ = results(compiled(text), "rule r", {"payments": events(plan, "payments", *rows)}).to_dicts()
        assert "–" not in shown["says"]  # noqa: RUF001  # the sign for nothing

    def test_a_group_that_is_large_enough_is(self) -> None:
        says, values = self.alert(5)
        assert says == "5 cards paid 5 times, 50"
        assert (values["cards"], values["measure"]) == (5, 2.5)

    def test_without_min_group_everything_is_told(self) -> None:
        assert self.alert(4, "zone: UTC")[0] == "4 cards paid 4 times, 40"


class TestSigns:
    """`signs(...)` counts, and names what it counted."""

    def test_an_alert_names_the_signs_that_are_true(self) -> None:
        text = """\
rules:
  r:
    from: pace
    measure: "signs(many => n >= 2, dear => spent > 500, away => terminal = 'x')"
    levels: {red: 1}
    keep: 1h
    says: "{measure} of 3: {signs}"
"""
        plan = compiled(text)
        rows = [{"at": n * MINUTE, "card": "A", "amount": 100, "terminal": "x"} for n in range(2)]
        found = results(plan, "rule r", {"payments": events(plan, "payments", *rows)}).sort("sequence")
        assert [json.loads(values)["signs"] for values in found["values"]] == [["away"], []]
        assert found.row(0, named=True)["says"] == "1 of 3: away"
