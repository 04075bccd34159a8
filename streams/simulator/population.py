"""Phone numbers, and the devices and SIMs behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from streams.simulator.dice import Wholes

RANGES = 400
"""Number ranges (the first seven digits) that the city's subscribers share."""

SUBSCRIBERS = 70_000


def subscribers(people: int) -> pl.Series:
    """Give the phone numbers of the city's people: 11 digits, spread over RANGES ranges."""
    return phones(pl.int_range(people, dtype=pl.Int64, eager=True))


def phones(index: pl.Series) -> pl.Series:
    """Give the phone number of each subscriber index."""
    return (13_000_000_000 + index % RANGES * 10_000 + index // RANGES).cast(pl.String)


def visitors(block: int, people: int) -> pl.Series:
    """Give phone numbers of people that only come to one place; each place has a block (0 … 999) of its own."""
    first = 15_000_000_000 + block * 1_000_000
    return (first + pl.int_range(people, dtype=pl.Int64, eager=True)).cast(pl.String)


def foreign(prefix: str, lines: Wholes) -> pl.Series:
    """Give numbers of a range abroad: its seven digits, then six of the line."""
    return prefix + pl.Series(lines).cast(pl.String).str.zfill(6)


def devices(numbers: pl.Series) -> pl.Series:
    """Give the device identity (15 digits, as an IMEI has) that each number is used in."""
    return "8612" + numbers.str.slice(-11)


def sims(numbers: pl.Series) -> pl.Series:
    """Give the subscriber identity (15 digits, as an IMSI has) of each number."""
    return "4600" + numbers.str.slice(-11)
