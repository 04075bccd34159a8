"""Words of a feature that do not go together, and those that are not part of this version."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.model.windows import Same, Session, Trailing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tocsin.compiler.report import Report
    from tocsin.errors import Mark
    from tocsin.language.model import FeatureWord, StreamWord, Text

    Note = tuple[Text | Mark, str, str, str]
    """Place, code, what is wrong, what was expected."""


def check_feature(word: FeatureWord, report: Report) -> bool:
    """Note words that cannot stand together; whether all can."""
    if word.sequence:
        notes = list(_beside_sequence(word))
    else:
        notes = [*_operators(word), *_asking(word), *_several(word), *_expecting(word)]
    for place, code, what, expected in notes:
        report.add(place, code, what, expected=expected)
    return not notes


def check_stream(word: StreamWord, report: Report) -> None:
    """Note words of a stream that cannot stand together."""
    if word.dedup is not None and word.id is None:
        what = f"`dedup` tells copies by their id, and records of {word.name} have none"
        report.add(word.dedup.text, "dedup", what, expected="id: the field that names an event")


def _beside_sequence(word: FeatureWord) -> Iterator[Note]:
    """Only a key, and what is computed from matches, stands beside the steps, which say what they read."""
    beside: dict[str, Text | Mark | None] = {
        "from": next(iter(word.sources), None),
        "where": word.where,
        "each": next(iter(word.each), None),
        "for_all": word.for_all,
        "at": word.at,
        "roll_up": word.roll_up,
        "windows": next((window.mark for window in word.windows), None),
        "movement": None if word.movement is None else word.movement.mark,
        "occupancy": None if word.occupancy is None else word.occupancy.mark,
    }
    for name, place in beside.items():
        if place is not None:
            expected = "`from` and `where` in its steps; other words in a feature that reads this one"
            yield place, "operators", f"`{name}` beside a sequence", expected


def _expecting(word: FeatureWord) -> Iterator[Note]:
    if word.for_all is None:
        return
    if not word.windows or any(isinstance(window.window, Trailing | Session | Same) for window in word.windows):
        what = "`for_all` goes with windows that end without events"
        yield word.for_all, "for-all", what, "tumbling, hopping or cumulating windows"


def _operators(word: FeatureWord) -> Iterator[Note]:
    trails = [isinstance(window.window, Trailing) for window in word.windows]
    if word.occupancy is not None:
        if word.windows or word.movement is not None:
            what = f"{word.name} has occupancy and another operator"
            yield word.occupancy.mark, "operators", what, "a feature for each"
        if word.by:
            name = next(iter(word.by))
            yield name, "operators", "`by` beside occupancy, whose key is its `in`", "`in` alone"
    elif word.roll_up is not None:
        yield word.roll_up, "operators", "`roll_up` without occupancy", "occupancy: {who, in, every, forget}"
    if word.movement is not None:
        if not all(trails):
            yield (
                word.movement.mark,
                "operators",
                f"{word.name} mixes movement and windows",
                "trailing windows, or two features",
            )
        if not word.by:
            what = f"{word.name} does not say whose movement it is"
            yield word.movement.mark, "operators", what, "by: the column that says who moves"
    elif any(trails) and not all(trails):
        what = f"{word.name} mixes trailing windows, which have a row per event, with others, which have one per window"
        yield (
            next(w.mark for w, trail in zip(word.windows, trails, strict=True) if trail),
            "windows",
            what,
            "a feature for each",
        )


def _asking(word: FeatureWord) -> Iterator[Note]:
    if word.at is None:
        return
    if not word.windows or not all(isinstance(window.window, Trailing) for window in word.windows):
        yield word.at, "at", "`at` reads trailing windows at the rows of another stream", "windows: {trailing 7d: ...}"
    if word.movement is not None:
        yield word.movement.mark, "at", "`at` with movement", "movement in a feature of its own"
    if word.each:
        yield next(iter(word.each)), "at", "`at` with each", "each in a feature that reads this one"
    if not word.by:
        yield word.at, "at", "`at` without `by`", "by: columns that both have"


def _several(word: FeatureWord) -> Iterator[Note]:
    if len(word.sources) < 2:  # noqa: PLR2004  # several are two
        return
    if word.occupancy is not None or word.movement is not None or word.at is not None:
        what = f"{word.name} reads several features, whose rows are joined"
        yield word.sources[1], "operators", what, "one stream or feature"
    for name, text in word.by.items():
        if str(name) != str(text):
            what = f"{word.name} reads several features, so its key is theirs"
            yield name, "operators", what, "no `by`, or a feature that reads this one"
