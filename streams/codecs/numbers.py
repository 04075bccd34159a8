"""How one number is read, from whatever spells it: the definition that the columnar forms must equal.

A whole float counts as an integer (3.0 is 3, 3.5 is not one), a text that spells a number counts as that number, a
Boolean counts as 0 or 1 for an int64 only. A float counts by its shortest decimal text (57.16), so a decimal is exact
or a dead letter, never rounded.
"""

from __future__ import annotations

import math
import re
from datetime import timedelta
from decimal import Decimal

from streams.codecs.reasons import Bad, Reason, shown

INT64_MOST = 2**63 - 1
INT64_LEAST = -(2**63)
EXACT_FLOAT = 10**15
"""Below this many units a float's shortest decimal text is the decimal it was written as: 15 digits always survive."""

_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,9})?")
_NOT_FINITE = re.compile(r"[+-]?(?:nan|inf|infinity)", re.IGNORECASE)


class Real(float):
    """A float that remembers how a JSON text spelled it."""

    __slots__ = ("text",)
    text: str

    def __new__(cls, text: str) -> Real:  # noqa: PYI034  # `Self` breaks float's typing
        """Read the number."""
        self = super().__new__(cls, text)
        self.text = text
        return self


def exact(value: object) -> Decimal:
    """Give the number that `value` spells, exactly; a float by its shortest decimal text."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        raise Bad(Reason.WRONG_TYPE, f"{shown(value)} is not a number")
    if isinstance(value, str):
        return _spelled(value)
    number = Decimal(float.__repr__(value)) if isinstance(value, float) else Decimal(value)
    if not number.is_finite():
        raise Bad(Reason.NOT_FINITE, f"{shown(value)} is not finite")
    return number


def _spelled(text: str) -> Decimal:
    if _NUMBER.fullmatch(text):
        return Decimal(text)
    if _NOT_FINITE.fullmatch(text):
        raise Bad(Reason.NOT_FINITE, f"{shown(text)} is not finite")
    raise Bad(Reason.WRONG_TYPE, f"{shown(text)} is not a number")


def scaled(number: Decimal, scale: int) -> int:
    """Give `number` times 10^scale as an integer of 64 bits; Bad `does-not-fit` if it is not exactly one."""
    sign, digits, exponent = number.as_tuple()
    shift = int(exponent) + scale
    if not number:
        return 0
    if len(digits) + shift <= 19 and (shift >= 0 or not any(digits[shift:])):  # noqa: PLR2004  # digits of 2^63
        kept = digits if shift >= 0 else digits[:shift]
        whole = int("".join(map(str, kept)) or "0") * int(10 ** max(shift, 0))
        whole = -whole if sign else whole
        if INT64_LEAST <= whole <= INT64_MOST:
            return whole
    raise Bad(Reason.DOES_NOT_FIT, f"{shown(str(number))} does not fit {scale} digits after the point and 64 bits")


def read_int64(value: object) -> int:
    """Read a whole number of 64 bits."""
    if isinstance(value, bool):
        return int(value)
    number = exact(value)
    _, digits, exponent = number.as_tuple()
    if int(exponent) < 0 and any(digits[int(exponent) :]):
        raise Bad(Reason.WRONG_TYPE, f"{shown(value)} is not a whole number")
    return scaled(number, 0)


def read_float64(value: object) -> float:
    """Read a finite float of 64 bits."""
    exact(value)
    try:
        number = float(value)  # type: ignore[arg-type]  # `exact` let only numbers and their texts through
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise Bad(Reason.NOT_FINITE, f"{shown(value)} is beyond the range of a float64")
    return number


def read_decimal(value: object, scale: int) -> int:
    """Read a decimal as its integer of `scale` digits after the point.

    A JSON number with a point is a float64 first, as for every reader of JSON; from 10^15 units on, where a float no
    longer holds all digits, its text counts.
    """
    number = exact(value)
    if isinstance(value, Real) and abs(number) * 10**scale >= EXACT_FLOAT:
        number = Decimal(value.text)
    return scaled(number, scale)


_UNIT_MS = {"": 1, "ms": 1, "s": 1000, "min": 60_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}


def unit_ms(unit: str) -> int:
    """Give the milliseconds of a duration's unit; "" counts in milliseconds."""
    return _UNIT_MS[unit]


DURATION_MOST = 10**15
"""Milliseconds (31 709 years): what a duration may be at most."""


def read_duration(value: object, unit: str) -> int:
    """Read a duration given as a number in `unit`, as milliseconds: the nearest one, ties to the even."""
    if isinstance(value, timedelta):
        return value // timedelta(milliseconds=1)
    number = read_float64(value) * unit_ms(unit)
    if abs(number) > DURATION_MOST:
        raise Bad(Reason.DOES_NOT_FIT, f"{shown(value)} {unit} is too long")
    return round(number)
