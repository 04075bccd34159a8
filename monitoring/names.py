"""Names of sinks and sources as metrics and health may show them."""

from __future__ import annotations

import re

_LOGIN = re.compile(r"//[^/@]*@")
_OPTIONS = re.compile(r"[?#].*", re.DOTALL)


def shown(name: str) -> str:
    """Give a name without what an address may hold beside the place: `redis://me:secret@host/0?x=y` is `redis://host/0`."""
    return _OPTIONS.sub("", _LOGIN.sub("//", name)) if "//" in name else name
