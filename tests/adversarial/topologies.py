"""Topologies drawn as YAML text, so that language and compiler are on the way too."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import yaml
from hypothesis import reject
from hypothesis import strategies as st

from tocsin.compiler import Plan, compile_topology
from tocsin.errors import TopologyError
from tocsin.language import loads

from .case import Case
from .drawing import CLOCKS, FIELDS, LABEL_FIELDS, LABEL_VALUES, TABLES, VALUES, Clock, changes, events, moments

if TYPE_CHECKING:
    from collections.abc import Mapping

Words = dict[str, object]

AGGREGATES = [
    "count(amount)", "count(distinct other)", "sum(pieces)", "sum(amount)", "sum(level)", "avg(level)", "avg(amount)",
    "min(level)", "max(amount)", "min(other)", "first(other)", "last(amount)", "last(level)", "previous(amount)",
    "arg_min(other, level)", "arg_max(amount, pieces)", "stddev_pop(level)", "stddev_samp(amount)", "p50(level)",
    "p95(amount)", "top_k(other, 2)", "slope(level, 's')", "count() filter (where ok)",
    "sum(amount) filter (where level >= 0)", "max(cell.own)", "sum(amount) / count()", "sum(level) - min(level)",
    "last(key) filter (where not ok)",
]  # fmt: skip
KEYS_BY: list[object] = ["key", ["key", "other"], {"unit": "cell.unit"}, {"k": "coalesce(other, key)"}, "who"]
WHERE = ["ok", "amount > 1", "not ok or level >= 0", "key in trusted", "cell.own >= 1", "pieces between 0 and 3"]


@dataclass(frozen=True, slots=True)
class Made:
    """A feature and what rules over it may read: key columns, numbers, how its rows come."""

    name: str
    words: Words
    by: tuple[str, ...]
    numbers: tuple[str, ...]
    shape: str
    more: tuple[Made, ...] = field(default=())


def key_names(by: object) -> tuple[str, ...]:
    """Name the columns of a key."""
    return (by,) if isinstance(by, str) else tuple(by)  # type: ignore[arg-type, return-value]


@st.composite
def aggregates(draw: st.DrawFn, prefix: str) -> Words:
    """Draw the columns of a window; the first is always the count."""
    chosen = draw(st.lists(st.sampled_from(AGGREGATES), max_size=3, unique=True))
    return {f"{prefix}_n": "count()"} | {f"{prefix}_{number}": text for number, text in enumerate(chosen)}


@st.composite
def window_words(draw: st.DrawFn, clock: Clock) -> tuple[Words, bool]:
    """Draw the windows of a feature that is no trailing one; and whether they are sessions."""
    small = draw(st.integers(1, 4))
    hop, size = clock.text(small), clock.text(small * draw(st.integers(1, 5)))
    kinds = [f"tumbling {size}", f"hopping {size} every {hop}", f"cumulating {size} every {hop}", f"session gap {hop}"]
    if clock.unit == "h":
        kinds += ["tumbling 1d at 05:00", "tumbling 1d at 02:30"]
    kind = draw(st.sampled_from(kinds))
    windows: Words = {kind: draw(aggregates("w"))}
    if kind.startswith("hopping") and draw(st.booleans()):
        windows[f"hopping {clock.text(small * 3)} every {hop}"] = draw(aggregates("v"))
    if f"hopping {clock.text(small * 3)} every {hop}" == kind:
        windows = {kind: draw(aggregates("w"))}
    return windows, kind.startswith("session")


@st.composite
def window_feature(draw: st.DrawFn, clock: Clock, name: str) -> Made:
    """Draw a feature of windows over events."""
    by = draw(st.sampled_from(KEYS_BY))
    windows, session = draw(window_words(clock))
    words: Words = {"from": "events", "by": by, "windows": windows} | draw(filters())
    if by == {"unit": "cell.unit"} and not session and draw(st.booleans()):
        words["for_all"] = "units"
    return Made(name, words, key_names(by), ("w_n",), "session" if session else "gauge")


@st.composite
def filters(draw: st.DrawFn) -> Words:
    """Draw a condition on events, or none."""
    where = draw(st.one_of(st.none(), st.sampled_from(WHERE)))
    return {} if where is None else {"where": where}


@st.composite
def trailing_feature(draw: st.DrawFn, clock: Clock, name: str) -> Made:
    """Draw trailing windows, with movement or without; or movement alone."""
    by = draw(st.sampled_from(KEYS_BY))
    kind = draw(st.sampled_from(["trailing", "trailing", "both", "movement"]))
    words: Words = {"from": "events", "by": by} | draw(filters())
    numbers: tuple[str, ...] = ()
    if kind != "movement":
        words["windows"] = draw(trailing_words(clock))
        numbers = ("t_n",)
    if kind != "trailing":
        words["movement"] = draw(movement_words(clock))
        numbers += ("distance", "speed")
    return Made(name, words, key_names(by), numbers, "movement" if kind == "movement" else "trailing")


@st.composite
def trailing_words(draw: st.DrawFn, clock: Clock) -> Words:
    """Draw one or two trailing windows."""
    windows: Words = {f"trailing {clock.text(draw(st.integers(1, 12)))}": draw(aggregates("t"))}
    if draw(st.booleans()):
        width, delay = draw(st.integers(1, 9)), draw(st.integers(1, 5))
        windows[f"trailing {clock.text(width)} delayed {clock.text(delay)}"] = draw(aggregates("d"))
    return windows


@st.composite
def movement_words(draw: st.DrawFn, clock: Clock) -> Words:
    """Draw movement, with a fence or without."""
    place = draw(st.sampled_from(["spot", "cell.spot"]))
    fence = {"fence": "cell.fence"} if draw(st.booleans()) else {}
    return {"place": place, "forget": clock.text(draw(st.integers(1, 20)))} | fence


@st.composite
def occupancy_feature(draw: st.DrawFn, clock: Clock, name: str) -> Made:
    """Draw an occupancy, perhaps rolled up."""
    area = draw(st.sampled_from(["cell.unit", "other"]))
    every = draw(st.integers(1, 4))
    words: Words = {
        "from": "events",
        "occupancy": {
            "who": draw(st.sampled_from(["who", "key"])),
            "in": area,
            "every": clock.text(every),
            "forget": clock.text(every * draw(st.integers(1, 6))),
        },
    }
    if area == "cell.unit" and draw(st.booleans()):
        words["roll_up"] = "parent"
    by = area.rsplit(".", maxsplit=1)[-1]
    return Made(name, words, (by,), ("people", "inflow"), "gauge")


@st.composite
def asked_feature(draw: st.DrawFn, clock: Clock, name: str) -> Made:
    """Draw trailing windows over labels, read at the rows of events or of a trailing feature."""
    columns = {
        "l_n": "count()",
        "l_bad": "count() filter (where bad)",
        "l_worth": "sum(worth)",
        "l_last": "last(worth)",
    }
    delay = f" delayed {clock.text(draw(st.integers(1, 4)))}" if draw(st.booleans()) else ""
    windows = {f"trailing {clock.text(draw(st.integers(1, 12)))}{delay}": columns}
    below = ()
    at = "events"
    if draw(st.booleans()):
        at = f"{name}_asking"
        below = (Made(at, {"from": "events", "by": "who", "windows": draw(trailing_words(clock))}, ("who",), (), ""),)
    words: Words = {"from": "labels", "at": at, "by": "key", "windows": windows}
    if draw(st.integers(0, 3)) == 0:  # a stream at its own rows
        words = {"from": "events", "at": "events", "by": "key", "windows": draw(trailing_words(clock))}
        return Made(name, words | draw(filters()), ("key",), ("t_n",), "rows")
    return Made(name, words, ("key",), ("l_n",), "rows", below)


@st.composite
def over_feature(draw: st.DrawFn, clock: Clock, name: str) -> Made:
    """Draw a feature over a feature: the same window, a wider one, a trailing one, or rows multiplied by a table."""
    below = Made(f"{name}_below", *draw(_two_keys(clock)))
    kind = draw(st.sampled_from(["same", "tumbling", "trailing", "each"]))
    words: Words = {"from": below.name, "by": "key"}
    if kind == "each":
        words = {"from": below.name, "each": {"wish": "limits(key)"}, "derive": {"share": "w_n / wish.most"}}
        return Made(name, words, below.by, ("w_n", "share"), "gauge", (below,))
    window = "same" if kind == "same" else f"{kind} {clock.text(draw(st.integers(2, 9)))}"
    if kind != "same" and draw(st.booleans()):
        below = Made(
            below.name,
            below.words | {"windows": {f"trailing {clock.text(3)}": {"w_n": "count()"}}},
            *below.by,
            below.numbers,
            "trailing",
        )
    words["windows"] = {window: {"o_n": "count()", "o_sum": "sum(w_n)", "o_last": "last(other)", "o_max": "max(w_n)"}}
    return Made(name, words, ("key",), ("o_n", "o_sum"), "trailing" if kind == "trailing" else "gauge", (below,))


@st.composite
def _two_keys(draw: st.DrawFn, clock: Clock) -> tuple[Words, tuple[str, ...], tuple[str, ...], str]:
    small = draw(st.integers(1, 4))
    kinds = [f"tumbling {clock.text(small)}", f"hopping {clock.text(3 * small)} every {clock.text(small)}"]
    windows = {draw(st.sampled_from(kinds)): draw(aggregates("w"))}
    return {"from": "events", "by": ["key", "other"], "windows": windows}, ("key", "other"), ("w_n",), "gauge"


@st.composite
def detected_feature(draw: st.DrawFn, clock: Clock, name: str) -> Made:
    """Draw a detector over small windows."""
    by = draw(st.sampled_from(["key", ["key", "other"]]))
    hop = draw(st.integers(1, 2))
    windows: Words = {f"tumbling {clock.text(hop)}": {"w_n": "count()", "w_sum": "sum(level)"}}
    column = draw(st.sampled_from(["w_n", "w_sum"]))
    history = clock.text(draw(st.integers(3, 12)) * hop)
    detector: Words = draw(
        st.sampled_from(
            [
                {"baseline": column, "history": history, "least": "2"},
                {"baseline": column, "history": history, "least": "1", "season": "hour of day", "accept": history},
                {"forecast": column, "ahead": clock.text(hop), "history": history},
                {"peers": column, "least": "2"},
                {"peers": column, "least": "2", "class": "key"},
            ]
        )
    )
    words: Words = {"from": "events", "by": by, "windows": windows, "detect": {"usual": detector}}
    return Made(name, words, key_names(by), ("w_n", "usual.score", "usual.value"), "gauge")


SEQUENCE_KEYS: list[tuple[object, Mapping[str, str]]] = [
    ("key", {}),
    ({"k": "coalesce(other, key)"}, {"k": "key"}),
    ({"unit": "cell.unit"}, {"unit": "coalesce(key, 'u1')"}),
]
"""Keys of events, and how labels say the same."""


@st.composite
def sequence_feature(draw: st.DrawFn, clock: Clock, name: str) -> Made:
    """Draw two to four steps over events, labels and a feature, perhaps one of them missing, perhaps compared."""
    by, otherwise = draw(st.sampled_from(SEQUENCE_KEYS))
    below = Made(f"{name}_below", {"from": "events", "by": "who", "windows": draw(trailing_words(clock))}, (), (), "")
    sources = draw(st.lists(st.sampled_from(["events", "events", "labels", below.name]), min_size=2, max_size=4))
    absent = draw(st.one_of(st.none(), st.integers(0, len(sources) - 1)))
    steps = []
    for number, source in enumerate(sources):
        words: Words = {"from": source} | ({"by": dict(otherwise)} if otherwise and source == "labels" else {})
        conditions = ["bad", "worth > 0"] if source == "labels" else list(WHERE)
        compared = [f"coalesce(s{n}.pieces, 0) <= coalesce(pieces, 1)" for n in range(number) if n != absent
                    and "labels" not in {source, sources[n]} and not absent == number == len(sources) - 1]  # fmt: skip
        where = draw(st.one_of(st.none(), st.sampled_from(conditions + compared * 2)))
        steps.append({f"s{number}": words | ({} if where is None else {"where": where})})
    first = 1 if absent == 0 else 0
    number_of = "worth" if sources[first] == "labels" else "pieces"
    words = {"by": by, "within": clock.text(draw(st.integers(1, 20))), "sequence": steps}
    words |= {} if absent is None else {"absence": f"s{absent}"}
    words["derive"] = {"m_n": f"abs(coalesce(s{first}.{number_of}, 3))"}
    return Made(name, words, key_names(by), ("m_n",), "sequence", (below,) if below.name in sources else ())


FEATURES = {
    "detected": detected_feature,
    "sequence": sequence_feature,
    "windows": window_feature,
    "trailing": trailing_feature,
    "occupancy": occupancy_feature,
    "asked": asked_feature,
    "over": over_feature,
}


@st.composite
def rules(draw: st.DrawFn, clock: Clock, made: Made) -> Words:
    """Draw a rule over a feature."""
    number = draw(st.sampled_from(made.numbers))
    words: Words = {"from": made.name}
    if draw(st.booleans()):
        words |= {"measure": number, "levels": {"yellow": "1", "orange": "2", "red": "4"}}
        words |= {"slack": draw(st.sampled_from(["5%", "50%"]))} if draw(st.booleans()) else {}
    else:
        low, high = draw(st.integers(1, 2)), draw(st.integers(2, 5))
        reset = {"reset": f"{number} < {low}"} if draw(st.booleans()) else {}
        words["levels"] = {"blue": {"when": f"{number} >= {low}"} | reset, "red": f"{number} >= {high}"}
    return (
        words
        | draw(
            timers(
                clock, must_keep=made.shape in {"session", "movement", "sequence"} or number in {"distance", "speed"}
            )
        )
        | draw(exemption(made))
    )


@st.composite
def timers(draw: st.DrawFn, clock: Clock, *, must_keep: bool) -> Words:
    """Draw `for`, `keep` and `expires`."""
    words: Words = {}
    if draw(st.booleans()):
        words["for"] = clock.text(draw(st.integers(1, 3)))
    if must_keep or draw(st.booleans()):
        words["keep"] = draw(st.sampled_from(["forever", *(clock.text(n) for n in (1, 3, 10))]))
    if draw(st.booleans()):
        words["expires"] = clock.text(draw(st.integers(4, 30)))
    return words


@st.composite
def exemption(draw: st.DrawFn, made: Made) -> Words:
    """Draw `unless`, or nothing."""
    if "key" not in made.by or not draw(st.booleans()):
        return {}
    return {"unless": "key in trusted"}


@st.composite
def immediate(draw: st.DrawFn, clock: Clock) -> Words:
    """Draw a rule on single events."""
    condition = draw(
        st.sampled_from(["amount >= 1", "key in trusted", "pieces > limits(key, 'x').most", "level > 0.4"])
    )
    entity = draw(st.sampled_from(["key", ["key", "other"], "id", "cell.unit"]))
    levels = {"orange": condition, "red": "amount > 2"}
    return {"from": "events", "entity": entity, "levels": levels, "keep": clock.text(draw(st.sampled_from([1, 3, 7])))}


@st.composite
def together(draw: st.DrawFn, clock: Clock) -> tuple[tuple[Made, Made], Words]:
    """Draw two features with the same key and windows, and a rule over both."""
    hop = clock.text(draw(st.integers(1, 3)))
    windows = draw(st.sampled_from([f"tumbling {hop}", f"hopping {clock.text(12)} every {hop}", f"trailing {hop}"]))
    left = Made("left", {"from": "events", "by": "key", "windows": {windows: {"a_n": "count()"}}}, ("key",), (), "")
    right = Made("right", {"from": "labels", "by": "key", "windows": {windows: {"b_n": "count()"}}}, ("key",), (), "")
    high = draw(st.sampled_from(["a_n >= 2 and b_n >= 1", "coalesce(a_n, 0) < coalesce(b_n, 0)"]))
    levels = {"yellow": {"when": "a_n >= 1", "reset": "coalesce(b_n, 0) >= 1"}, "red": high}
    return (left, right), {"from": ["left", "right"], "levels": levels} | draw(timers(clock, must_keep=False))


def topology_text(
    features: Mapping[str, Words], rules: Mapping[str, Words], *, lateness: str, named: bool, dedup: str = ""
) -> str:
    """Write a topology. `named`: events have an id; `dedup`: and a horizon of copies."""
    stream: Words = {"time": {"field": "at", "lateness": lateness}, "fields": FIELDS}
    labels: Words = {"id": "name", "time": {"field": "seen", "lateness": lateness}, "fields": LABEL_FIELDS}
    identity: Words = ({"id": "id"} if named else {}) | ({"dedup": dedup} if dedup else {})
    whole = {
        "topology": {"name": "drawn", "zone": "Europe/Berlin"},
        "streams": {"events": identity | stream, "labels": labels},
        "tables": TABLES,
        "features": features,
        "rules": rules,
    }
    return yaml.safe_dump({name: part for name, part in whole.items() if part}, sort_keys=False, allow_unicode=True)


def compiled(case: Case) -> Plan:
    """Compile a case; one whose rule `check` refuses, because it could not clear, is passed over."""
    try:
        return compile_topology(loads(case.text))
    except TopologyError as error:
        if {problem.code for problem in error.problems} <= {"expires", "never-clears"}:
            reject()
        raise


@st.composite
def cases(draw: st.DrawFn, kind: str, most: int = 30) -> Case:
    """Draw a case around one kind of feature, or `immediate`, or `together`."""
    clock = draw(st.sampled_from(CLOCKS))
    features: dict[str, Words] = {}
    rules_: dict[str, Words] = {}
    if kind == "immediate":
        rules_["at-once"] = draw(immediate(clock))
    elif kind == "together":
        pair, rules_["both"] = draw(together(clock))
        features = {made.name: made.words for made in pair}
    else:
        made = draw(FEATURES[kind](clock, "f"))
        features = {each.name: each.words for each in (*made.more, made)}
        rules_["r"] = draw(rules(clock, made))
    lateness = clock.text(draw(st.integers(0, 5)))
    named = draw(st.booleans())
    dedup = clock.text(draw(st.integers(1, 12))) if named and draw(st.booleans()) else ""
    text = topology_text(features, rules_, lateness=lateness, named=named, dedup=dedup)
    drawn = {"events": draw(events(clock, VALUES, most)), "labels": draw(events(clock, LABEL_VALUES, most // 2))}
    until = draw(st.one_of(st.none(), st.none(), moments(clock)))
    return Case(text, drawn, draw(changes(clock)), until)
