"""Which errors of the operating system pass by themselves."""

from __future__ import annotations

import errno
from typing import Final

from tocsin.errors import SinkError, SinkUnavailable

PASSING: Final = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EAGAIN, errno.EBUSY, errno.ENOMEM, errno.ENFILE, errno.EMFILE, errno.ETIMEDOUT}
)
"""Worth another try: a full disk is emptied, a busy device comes free. A missing folder or right does not appear."""


def refusal(what: str, error: OSError) -> SinkError:
    """Give the error to raise for `error`; `what` names the target, as in "the file alerts.ndjson"."""
    kind = SinkUnavailable if error.errno in PASSING else SinkError
    advice = "; make room, it is tried again" if error.errno in {errno.ENOSPC, errno.EDQUOT} else ""
    return kind(f"{what}: {error.strerror or error}{advice}")
