"""Persons, auctions and bids after the distributions of Nexmark, in columns: the same bytes for the same seed.

The numbers are those of the benchmark's generator as Flink uses it (github.com/nexmark/nexmark, `generator/`; before it
Beam's; first Tucker and others, NEXMark, a benchmark for queries over data streams, 2002). Of 50 events one is a
person, three are auctions and 46 are bids. Three auctions of four are by the seller, three bids of four by the bidder,
and one bid of two is for the auction that is *hot*: the first (of bidders the second) of the last hundred ones. The
others are drawn from the last 1000 persons and 100 auctions, and a few that are yet to come. Prices are log-uniform
over six decades. What is only text (names, cities) is ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

from streams.simulator.dice import Dice

if TYPE_CHECKING:
    from pathlib import Path

    from streams.simulator.dice import Floats, Wholes

BEGIN = 1_700_000_000_000
"""When the first event happens, ms: a whole number of ten-second windows."""
LATENESS = 3_000
"""The longest delay, ms."""

EPOCH, PERSONS, AUCTIONS = 50, 1, 3
"""Of so many events the first are persons, the next auctions, the rest bids."""
FIRST_ID, FIRST_CATEGORY, CATEGORIES = 1_000, 10, 5
LEAD = 10
"""So many persons and auctions may be named before they are there."""
ACTIVE_PERSONS, OPEN_AUCTIONS = 1_000, 100
BATCH = 100
"""One person and one auction of so many is hot."""
COLD_SELLERS, COLD_AUCTIONS, COLD_BIDDERS = 1 / 4, 1 / 2, 1 / 4
"""Which share is not of, for, or by a hot one."""
DELAYED = 0.1
"""Which share of the events comes later than others of its time."""

FIRST_NAMES = ("Ada", "Bo", "Carla", "Dilip", "Emre", "Fei", "Grace", "Hugo", "Ines", "Jun", "Kofi")
LAST_NAMES = ("Abe", "Bauer", "Chen", "Diaz", "Evans", "Fall", "Gupta", "Haddad", "Ito")
CITIES = ("Aachen", "Bergen", "Cork", "Dijon", "Espoo", "Faro", "Ghent", "Halle", "Izmir", "Jena")
STATES = ("AA", "BB", "CC", "DD", "EE", "FF")


class Load(NamedTuple):
    """How many events, how many per second of event time while it is busy and while it is quiet, by turns."""

    events: int
    busy: float = 10_000
    quiet: float = 10_000
    turn: int = 300
    """Seconds that it is busy, and then quiet."""


class Events(NamedTuple):
    """The three streams, each in the order in which its events arrive."""

    persons: pl.DataFrame
    auctions: pl.DataFrame
    bids: pl.DataFrame

    def write(self, folder: Path) -> dict[str, Path]:
        """Write each stream as lines of JSON; give the files by stream."""
        files = {name: folder / f"{name}.ndjson" for name in self._fields}
        for rows, path in zip(self, files.values(), strict=True):
            rows.write_ndjson(path)
        return files


def generate(load: Load, seed: int = 1) -> Events:
    """Give all events of a load."""
    number = np.arange(load.events)
    place = number % EPOCH
    persons = number[place < PERSONS]
    auctions = number[(place >= PERSONS) & (place < PERSONS + AUCTIONS)]
    bids = number[place >= PERSONS + AUCTIONS]
    return Events(
        _arriving(_persons(load, persons, seed), seed, "persons"),
        _arriving(_auctions(load, auctions, seed), seed, "auctions"),
        _arriving(_bids(load, bids, seed), seed, "bids"),
    )


def moments(load: Load, number: Wholes) -> Wholes:
    """Say when events happen, ms: a busy turn, then a quiet one, and again."""
    busy, quiet = round(load.busy * load.turn), round(load.quiet * load.turn)
    turns, rest = np.divmod(number, busy + quiet)
    delays = np.minimum(rest, busy) * _delay(load.busy) + np.maximum(rest - busy, 0) * _delay(load.quiet)
    return BEGIN + turns * (2_000 * load.turn) + delays // 1_000


def _delay(rate: float) -> int:
    """Give the time between two events, microseconds."""
    return round(1_000_000 / rate)


def _persons(load: Load, number: Wholes, seed: int) -> pl.DataFrame:
    dice, size = Dice(seed, "persons"), number.size
    first, last = _one_of(dice, FIRST_NAMES, size), _one_of(dice, LAST_NAMES, size)
    return pl.DataFrame(
        {
            "event": number,
            "at": moments(load, number),
            "id": FIRST_ID + _last_person(number),
            "name": first + " " + last,
            "city": _one_of(dice, CITIES, size),
            "state": _one_of(dice, STATES, size),
        }
    )


def _auctions(load: Load, number: Wholes, seed: int) -> pl.DataFrame:
    dice, size = Dice(seed, "auctions"), number.size
    now = moments(load, number)
    open_for = moments(load, number + OPEN_AUCTIONS * EPOCH // AUCTIONS) - now
    initial = _prices(dice, size)
    return pl.DataFrame(
        {
            "event": number,
            "at": now,
            "id": FIRST_ID + _last_auction(number),
            "seller": FIRST_ID + _sellers(dice, number),
            "category": FIRST_CATEGORY + dice.whole(0, CATEGORIES, size),
            "initial_bid": initial,
            "reserve": initial + _prices(dice, size),
            "expires": now + 1 + _below(dice, np.maximum(2 * open_for, 1)),
        }
    )


def _bids(load: Load, number: Wholes, seed: int) -> pl.DataFrame:
    dice = Dice(seed, "bids")
    return pl.DataFrame(
        {
            "event": number,
            "at": moments(load, number),
            "auction": FIRST_ID + _auctions_bid_for(dice, number),
            "bidder": FIRST_ID + _bidders(dice, number),
            "price": _prices(dice, number.size),
        }
    )


def _last_person(number: Wholes) -> Wholes:
    """Give the person that came last, counted from 0."""
    return number // EPOCH * PERSONS + np.minimum(number % EPOCH, PERSONS - 1)


def _last_auction(number: Wholes) -> Wholes:
    """Give the auction that was opened last by an event that is no person, counted from 0."""
    return number // EPOCH * AUCTIONS + np.minimum(number % EPOCH - PERSONS, AUCTIONS - 1)


def _sellers(dice: Dice, number: Wholes) -> Wholes:
    hot = _last_person(number) // BATCH * BATCH
    return np.where(dice.chance(COLD_SELLERS, number.size), _active_person(dice, number), hot)


def _bidders(dice: Dice, number: Wholes) -> Wholes:
    hot = _last_person(number) // BATCH * BATCH + 1
    return np.where(dice.chance(COLD_BIDDERS, number.size), _active_person(dice, number), hot)


def _auctions_bid_for(dice: Dice, number: Wholes) -> Wholes:
    last = _last_auction(number)
    least = np.maximum(last - OPEN_AUCTIONS, 0)
    cold = least + _below(dice, last - least + 1 + LEAD)
    return np.where(dice.chance(COLD_AUCTIONS, number.size), cold, last // BATCH * BATCH)


def _active_person(dice: Dice, number: Wholes) -> Wholes:
    people = _last_person(number) + 1
    active = np.minimum(people, ACTIVE_PERSONS)
    return people - active + _below(dice, active + LEAD)


def _prices(dice: Dice, size: int) -> Wholes:
    """Draw prices in cents, from one to a million."""
    return np.round(np.power(10.0, dice.between(0.0, 6.0, size)) * 100.0).astype(np.int64)


def _below(dice: Dice, bound: Wholes) -> Wholes:
    """Draw an integer in [0, bound) for each bound."""
    drawn: Floats = np.floor(dice.unit(bound.size) * bound)
    return drawn.astype(np.int64)


def _one_of(dice: Dice, words: tuple[str, ...], size: int) -> pl.Series:
    return pl.Series(words).gather(dice.whole(0, len(words), size))


def _arriving(rows: pl.DataFrame, seed: int, name: str) -> pl.DataFrame:
    """Put events in the order of their arrival: some are delayed by up to three seconds."""
    dice, size = Dice(seed, f"delays of {name}"), rows.height
    delay = np.where(dice.chance(DELAYED, size), dice.whole(0, LATENESS, size), 0)
    order = np.argsort(rows["at"].to_numpy() + delay, kind="stable")
    return rows[order]
