"""Names, passwords and certificates of servers: from the environment or files that it names, never from a topology.

`TOCSIN_REDIS_PASSWORD` holds a password; `TOCSIN_REDIS_PASSWORD_FILE` names a file that does, as secrets are mounted.
Certificates are files anyway: `TOCSIN_REDIS_CA_FILE` names those of the authorities to trust.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE = "_FILE"
UNTRUSTED = "CERTIFICATE_VERIFY_FAILED"
"""In what Python says of a server whose certificate nobody vouches for: no other try makes that better."""


def credential(variable: str, error: type[Exception], environment: Mapping[str, str] = os.environ) -> str:
    """Give what `variable` holds, or else what the file holds that `variable`_FILE names; "" for neither.

    Raises `error` for a file that cannot be read.
    """
    if value := environment.get(variable):
        return value
    if path := environment.get(variable + FILE):
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as refused:
            why = refused.strerror if isinstance(refused, OSError) else "it is no text"
            raise error(f"{variable}{FILE}: {path} cannot be read: {why}") from refused
    return ""


def certificate(variable: str, error: type[Exception], environment: Mapping[str, str] = os.environ) -> str:
    """Give the path that `variable`_FILE names, "" for none; `error` if there is no such file."""
    path = environment.get(variable + FILE, "")
    if path and not Path(path).is_file():
        raise error(f"{variable}{FILE}: there is no file {path}")
    return path
