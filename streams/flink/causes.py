"""Why a job has failed, out of what Java says: pages of traces, in which one line or two count."""

from __future__ import annotations

import re

_PYTHON_ERROR = re.compile(r"[\w.]*(Error|Exception)\b: (?!java)")


def cause_in(text: str) -> str:
    """Give the last cause that Java names, and the last error of Python, if one is in it."""
    lines = [line.strip() for line in text.splitlines()]
    causes = [line for line in lines if line.startswith("Caused by:")]
    python = [line for line in lines if _PYTHON_ERROR.match(line)]
    return "; ".join(dict.fromkeys([*(causes[-1:] or lines[:1]), *python[-1:]]))
