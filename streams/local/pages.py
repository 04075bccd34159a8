"""Memory of large arrays stays with the process between batches.

glibc gives what an array of a megabyte took back to the system when it is freed, and every page of the next one is
faulted in again: a third of the time of a batch (`docs/decisions/0016-pages-stay.md`).
"""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of glibc's `malloc.h` (man mallopt)."""
_KEPT = 64 << 20
_LARGEST = 32 << 20
"""The most that glibc takes as threshold on 64-bit machines."""


def keep_pages() -> bool:
    """Let the C library keep up to 64 MB that are free at the moment; whether it can (glibc only)."""
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_MMAP_THRESHOLD, _LARGEST)) and bool(mallopt(_TRIM_THRESHOLD, _KEPT))
