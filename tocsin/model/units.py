"""Quantities and their units: `10m`, `80%`, `50 km`, `2 °C/min`, `4 terminals`.

A unit has a dimension and a factor to the dimension's base unit; two units of one dimension convert by a factor, which
is kept exact. A compound unit is `a/b`. A noun that is no known unit counts things, and any count compares with any
other (`4 terminals` with a column of no unit). Currencies do not convert, and neither do points on different
temperature scales: only differences do, which is what stands in `°C/min`.

Factors: BIPM, The International System of Units (9th edition, tables 4, 7 and 8); NIST SP 811 (appendix B.8) for miles,
feet, knots, psi and calories.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from fractions import Fraction
from typing import TYPE_CHECKING

from tocsin.errors import UnitError
from tocsin.model.display import display
from tocsin.model.types import DURATION, FLOAT64, INT64, Type

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "DURATIONS",
    "DURATION_FORM",
    "Quantity",
    "dimension",
    "display",
    "exact_factor",
    "factor",
    "known",
    "nearest_unit",
    "parse_duration",
    "parse_quantity",
]

DURATIONS = {"ms": 1, "s": 1000, "min": 60_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
"""Milliseconds of each unit that a duration may be written in."""

DURATION_FORM = "a duration such as 90s, 10m or 1d 12h (units ms, s, m or min, h, d, w)"
COUNT = "count"

_TABLE: Mapping[str, Mapping[str, int | str]] = {
    "length": {"m": 1, "km": 1000, "cm": "1/100", "mm": "1/1000", "mi": "1609.344", "nmi": 1852, "ft": "0.3048"},
    "time": {"ms": "1/1000", "s": 1, "min": 60, "h": 3600, "d": 86400, "w": 604800},
    "length/time": {"kn": "1852/3600", "kmh": "1000/3600", "mph": "1609.344/3600"},
    "voltage": {"V": 1, "mV": "1/1000", "kV": 1000},
    "current": {"A": 1, "mA": "1/1000", "kA": 1000},
    "resistance": {"Ω": 1, "mΩ": "1/1000", "kΩ": 1000},
    "power": {"W": 1, "mW": "1/1000", "kW": 1000, "MW": 10**6, "GW": 10**9},
    "energy": {
        "J": 1, "kJ": 1000, "MJ": 10**6, "GJ": 10**9, "cal": "4.184", "kcal": 4184,
        "Wh": 3600, "kWh": 3_600_000, "MWh": 36 * 10**8, "GWh": 36 * 10**11,
    },
    "charge": {"Ah": 3600, "mAh": "3.6", "C": 1},
    "pressure": {"Pa": 1, "hPa": 100, "kPa": 1000, "MPa": 10**6, "mbar": 100, "bar": 10**5, "psi": "6894.757"},
    "frequency": {"Hz": 1, "kHz": 1000, "MHz": 10**6, "GHz": 10**9, "rpm": "1/60"},
    "mass": {"g": 1, "mg": "1/1000", "kg": 1000, "t": 10**6, "lb": "453.59237"},
    "volume": {"l": 1, "L": 1, "ml": "1/1000", "mL": "1/1000", "hl": 100, "m3": 1000, "m³": 1000},
    "area": {"m2": 1, "m²": 1, "km2": 10**6, "km²": 10**6, "ha": 10**4},
    "data": {
        "B": 1, "kB": 1000, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30,
        "bit": "1/8", "kbit": 125, "Mbit": 125_000, "Gbit": 125_000_000,
    },
    "angle": {"°": 1, "deg": 1},
    "ratio": {"%": "1/100", "‰": "1/1000"},
    "temperature in °C": {"°C": 1},
    "temperature in K": {"K": 1},
    "temperature in °F": {"°F": "5/9"},
}  # fmt: skip
_CURRENCIES = "AUD BRL CAD CHF CNY CZK DKK EUR GBP HKD INR JPY KRW MXN NOK NZD PLN SEK SGD THB TRY TWD USD ZAR"


def _ratio(text: str | int) -> Fraction:
    above, _, below = str(text).partition("/")
    return Fraction(above) / Fraction(below or 1)


_UNITS = {unit: (dimension, _ratio(f)) for dimension, units in _TABLE.items() for unit, f in units.items()}
_UNITS |= {code: (f"money in {code}", Fraction(1)) for code in _CURRENCIES.split()}

_NUMBER = r"[+-]?(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+)?"
_QUANTITY = re.compile(rf"({_NUMBER})\s*(%|[^\s\d.,;:+\-][^,;:]*)?")
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|min|s|m|h|d|w)(?![A-Za-z])\s*")


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number as its author wrote it: `value` in `type.unit` (a duration in ms), and the text."""

    value: float | int
    type: Type
    text: str


def parse_duration(text: str) -> int:
    """Read `90s`, `10m`, `1d 12h` as milliseconds.

    Raises:
        UnitError: it is no duration, or no whole number of milliseconds.

    """
    total = _milliseconds(text)
    if total is None:
        raise UnitError(f"{text!r} is no duration", DURATION_FORM, _nearest_duration(text))
    if total.denominator != 1:
        raise UnitError(f"{text!r} is no whole number of milliseconds", DURATION_FORM)
    return int(total)


def _milliseconds(text: str) -> Fraction | None:
    rest, total = text.strip(), Fraction(0)
    if not rest:
        return None
    while rest:
        part = _PART.match(rest)
        if part is None:
            return None
        total += Fraction(part[1]) * DURATIONS[part[2]]
        rest = rest[part.end() :]
    return total


def _nearest_duration(text: str) -> str:
    word = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]+)\s*", text)
    if word is None:
        return ""
    initial = {"sec": "s", "day": "d", "hou": "h", "hr": "h", "wee": "w", "mil": "ms"}
    unit = next((unit for start, unit in initial.items() if word[2].lower().startswith(start)), "")
    unit = unit or ("m" if word[2].lower().startswith("mi") else "")
    return f"{word[1]}{unit}" if unit else ""


def parse_quantity(text: str) -> Quantity:
    """Read a whole YAML value as a number with its unit.

    `10m` and `14 d` are DURATION in ms, `80%` is FLOAT64 0.8, `18` INT64, `0.5 °C/min` FLOAT64 with that unit.

    Raises:
        UnitError: the text is no number, or a number followed by what is no unit.

    """
    clean = text.strip()
    duration = _milliseconds(clean)
    if duration is not None:
        return Quantity(parse_duration(clean), DURATION, clean)
    match = _QUANTITY.fullmatch(clean)
    if match is None:
        raise UnitError(f"{text!r} is no quantity", "a number with a unit, such as 80%, 50 km, 10m or 4 terminals")
    number, unit = match[1], (match[2] or "").strip()
    if re.search(r"\d", unit) and not known(unit):
        raise UnitError(f"{unit!r} is no unit", "a unit, or a noun for what is counted", nearest_unit(unit))
    if unit == "%":
        return Quantity(float(Fraction(number) / 100), FLOAT64, clean)
    whole = re.fullmatch(r"[+-]?\d+", number) is not None
    if whole:
        return Quantity(int(number), INT64.with_unit(unit), clean)
    return Quantity(float(number), FLOAT64.with_unit(unit), clean)


def dimension(unit: str) -> str:
    """Name what a unit measures: "length", "length/time", "count" for no unit and for nouns."""
    return _resolve(unit)[0]


def known(unit: str) -> bool:
    """Whether the unit measures something, rather than counting things."""
    return dimension(unit) != COUNT


def _resolve(unit: str) -> tuple[str, Fraction]:
    """Give the dimension and the factor; a compound's dimension is spelled from its parts, in order."""
    if unit in _UNITS:
        return _UNITS[unit]
    above, slash, below = unit.partition("/")
    if slash and below:
        over, under = _resolve(above.strip()), _resolve(below.strip(" ()"))
        names = [_difference(name) for name in (over[0], under[0])]
        return (COUNT if names[0] == names[1] else "/".join(names)), over[1] / under[1]
    one, dot, other = unit.partition("·")
    if dot and other:
        first, second = _resolve(one.strip()), _resolve(other.strip())
        return "·".join(sorted((_difference(first[0]), _difference(second[0])))), first[1] * second[1]
    return COUNT, Fraction(1)


def _difference(measured: str) -> str:
    """Name what a unit measures inside a compound, where temperatures are differences and convert."""
    return "temperature" if measured.startswith("temperature") else measured


def exact_factor(from_unit: str, to_unit: str) -> Fraction:
    """Give what a number in `from_unit` is multiplied by to be in `to_unit`, exactly.

    Raises:
        UnitError: the units measure different things.

    """
    if from_unit == to_unit:
        return Fraction(1)
    (source, up), (target, down) = _resolve(from_unit), _resolve(to_unit)
    if source != target:
        raise UnitError(
            f"{from_unit or 'a plain number'} ({source}) does not convert to {to_unit or 'a plain number'} ({target})",
            f"a unit of {target}" if to_unit else "a count",
            nearest_unit(from_unit, target),
        )
    return up / down


def factor(from_unit: str, to_unit: str) -> float:
    """Give what a number in `from_unit` is multiplied by to be in `to_unit`; raises as `exact_factor`."""
    return float(exact_factor(from_unit, to_unit))


def nearest_unit(unit: str, wanted: str = "") -> str:
    """Give the known unit spelled most like `unit`, of the dimension `wanted` if one is given.

    "" if none is near, or `unit` is itself a known one: then it was meant.
    """
    if known(unit) or not unit:
        return ""
    names = _measuring(wanted)
    return misspelt_unit(unit, wanted) or next(iter(get_close_matches(unit, names, n=1, cutoff=0.5)), "")


def misspelt_unit(unit: str, wanted: str = "") -> str:
    """Give the known unit that differs from an unknown one only in capital letters, "" for none.

    As a noun it would count things: `kwh` those that are called so.
    """
    same = (name for name in _measuring(wanted) if name.lower() == unit.lower())
    return "" if known(unit) else next(same, "")


def _measuring(wanted: str) -> list[str]:
    return [name for name, (measures, _) in _UNITS.items() if wanted in {"", measures}]
