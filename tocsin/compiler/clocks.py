"""Who goes by event time and who by the clock of the computer that reads, as `quality` does; nobody by both.

A run over old files has the events of years ago and counts their quality now. What waits for both would have the
alerts of the one half years before those of the other, and a run that ends closes it at the end of the events.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.compiler.log_reading import rules_read
from tocsin.compiler.order import key_of, read_by
from tocsin.language.model import FeatureWord
from tocsin.model.quality import QUALITY

if TYPE_CHECKING:
    from tocsin.compiler.order import Reader
    from tocsin.compiler.report import Report
    from tocsin.language.model import Topology


def check_clocks(topology: Topology, report: Report) -> None:
    """Note features and rules that read by both times; nothing is said of what reads these in turn."""
    words: list[Reader] = [*topology.features.values(), *topology.rules.values()]
    behind = {
        key_of(word): {*read_by(word), *(f"rule {name}" for name in rules_read(word, topology))} for word in words
    }
    clocked = _reached({QUALITY}, behind)
    timed = _reached({str(name) for name in topology.streams}, behind)
    for word in words:
        read = behind[key_of(word)]
        if read & clocked and read & timed and not read & clocked & timed:
            _note(word, sorted(read & clocked), sorted(read & timed), report)


def _reached(found: set[str], behind: dict[str, set[str]]) -> set[str]:
    """Give the sources and all that reads them, directly or not."""
    while more := {name for name, read in behind.items() if name not in found and read & found}:
        found = found | more
    return found


def _note(word: Reader, clocked: list[str], timed: list[str], report: Report) -> None:
    what = f"{word.name} reads {_told(clocked)} by the clock of the computer and {_told(timed)} by event time"
    rules = [f"'{name.removeprefix('rule ')}'" for name in timed if name.startswith("rule ")]
    expected = "one feature for each"
    if rules and isinstance(word, FeatureWord):
        expected = f"only one kind, such as `where: rule in ({', '.join(rules)})`"
    elif rules:
        expected = "a feature over the alerts of one kind, by a `where` that names their rules"
    report.add(word.name, "two-clocks", what, expected=expected)


def _told(names: list[str]) -> str:
    rules = [name.removeprefix("rule ") for name in names if name.startswith("rule ")]
    others = [name for name in names if not name.startswith("rule ")]
    return " and ".join([*others, *([f"the alerts of {', '.join(rules)}"] if rules else [])])
