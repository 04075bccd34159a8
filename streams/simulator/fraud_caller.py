"""Numbers on the list of recognised fraud numbers that call people, and calls that only look like it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from streams.simulator.calls import cells_of, conversation
from streams.simulator.population import foreign, phones
from streams.simulator.setting import DAY, MINUTE, OFFSET
from streams.simulator.simulation import Label, Part, merge

if TYPE_CHECKING:
    from streams.simulator.dice import Dice
    from streams.simulator.setting import Setting

RULE = "fraud-caller"
PERSONS = {"callee": "phone", "caller": "phone"}
RANGE = "0085255"
LONG_LISTED = 200
"""Numbers on the list that never call in this run."""

Cause = tuple[str, str, list[int], str, str]
"""Caller, callee, times of the calls, the case, its level."""


def incidents(setting: Setting, people: int, *, each: int = 4) -> Part:
    """Give `each` incidents and near misses of every sort, among the first `people` subscribers."""
    dice = setting.dice(RULE)
    sorts = 6
    victims = phones(pl.Series(dice.distinct(people, sorts * each))).to_list()
    lines = foreign(RANGE, 10 * dice.distinct(90_000, sorts * each + LONG_LISTED)).to_list()
    listed: list[tuple[str, int, str]] = [(line, setting.start - DAY, "police") for line in lines[sorts * each :]]
    parts: list[Part] = []
    for index in range(each):
        mine = slice(index * sorts, (index + 1) * sorts)
        moments = [setting.moment(minute) for minute in dice.between(20, setting.minutes - 20, sorts)]
        causes, news = _causes(lines[mine], victims[mine], moments, setting)
        listed.extend(news)
        parts.extend(_part(cause, dice) for cause in causes)
    return merge([Part(tables={"flagged": _flagged(listed)}), *parts])


def _causes(
    lines: list[str], victims: list[str], moments: list[int], setting: Setting
) -> tuple[list[Cause], list[tuple[str, int, str]]]:
    known, again, fresh, early, close, back = zip(lines, victims, moments, strict=True)
    before = setting.start - DAY
    causes: list[Cause] = [
        (*known[:2], [known[2]], "a listed number calls", "red"),
        (*again[:2], [again[2] + n * 4 * MINUTE for n in range(3)], "a listed number calls three times", "red"),
        (*fresh[:2], [fresh[2] + MINUTE], "the number was listed a minute before", "red"),
        (*early[:2], [early[2]], "the number is listed ten minutes after the call", ""),
        (_neighbour(close[0]), close[1], [close[2]], "one digit off a listed number", ""),
        (back[1], back[0], [back[2]], "a victim calls a listed number", ""),
    ]
    news = [
        (known[0], before, "police"), (again[0], before, "bank"), (fresh[0], fresh[2], "police"),
        (early[0], early[2] + 10 * MINUTE, "operator"), (close[0], before, "police"), (back[0], before, "bank"),
    ]  # fmt: skip
    return causes, news


def _part(cause: Cause, dice: Dice) -> Part:
    caller, callee, times, case, level = cause
    size = len(times)
    events = conversation(
        np.asarray(times), pl.Series([caller] * size), pl.Series([callee] * size), dice.between(4, 15, size),
        dice.chance(0.6, size), cells_of(dice.whole(0, 192, size)),
    )  # fmt: skip
    label = Label(RULE, {"callee": callee, "caller": caller}, times[0], times[-1], case, level, PERSONS)
    return Part({"calls": events}, labels=(label,))


def _neighbour(number: str) -> str:
    """Change the last digit; generated lines end in 0."""
    return number[:-1] + "7"


def _flagged(listed: list[tuple[str, int, str]]) -> pl.DataFrame:
    since = pl.from_epoch(pl.col("since") + OFFSET, time_unit="ms").dt.strftime("%Y-%m-%dT%H:%M:%S%.3f+08:00")
    rows = sorted(listed, key=lambda row: (row[1], row[0]))
    frame = pl.DataFrame(rows, schema={"phone": pl.String, "since": pl.Int64, "source": pl.String}, orient="row")
    return frame.with_columns(since)
