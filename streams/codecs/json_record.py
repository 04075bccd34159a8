"""One JSON record alone: the definition that the columnar reading of `json_lines.py` must equal.

A record is one JSON object; unknown names are passed over. Of a name that stands twice the first counts, as for the
columnar parser. NaN and Infinity, which JSON does not know, are read in order to be named in the dead letter.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from streams.codecs.numbers import Real
from streams.codecs.reasons import Bad, Reason, shown

if TYPE_CHECKING:
    from collections.abc import Mapping


def parse_object(raw: bytes) -> Mapping[str, object]:
    """Read one JSON object; Bad `invalid-utf8` or `bad-json` if it is none."""
    try:
        value = _DECODER.decode(raw.decode())
    except UnicodeDecodeError as error:
        raise Bad(Reason.INVALID_UTF8, f"byte {error.start} of the record is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise Bad(Reason.BAD_JSON, f"{error.msg} at character {error.pos + 1}") from None
    except RecursionError:
        raise Bad(Reason.BAD_JSON, "nested too deeply") from None
    if not isinstance(value, dict):
        raise Bad(Reason.BAD_JSON, f"expected an object, got {shown(value)}")
    return value


def _first_counts(pairs: list[tuple[str, object]]) -> dict[str, object]:
    return dict(reversed(pairs))


def _whole(text: str) -> int | Real:
    return int(text) if len(text) < _DIGITS_MOST else Real(text)


_DIGITS_MOST = 100
"""A whole number spelled in more digits fits no type; as a float it costs no more than its text."""

_DECODER = json.JSONDecoder(
    object_pairs_hook=_first_counts, parse_float=Real, parse_int=_whole, parse_constant=Real, strict=True
)
