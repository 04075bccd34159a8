"""What addresses of servers have in common: `SCHEME://HOST[:PORT]…`, without name and password."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

if TYPE_CHECKING:
    from tocsin.errors import TocsinError


def split_address(uri: str, form: str, prefix: str, error: type[TocsinError]) -> SplitResult:
    """Split an address, whose host and port can then be asked for; `error` says what is wrong with it.

    `form`: what it should be. `prefix`: of the variables that hold name and password (`tocsin.credentials`); where
    those stand in the address, it is not said again.
    """
    secret = (
        f"{uri.partition(':')[0]}://…@{uri.rpartition('@')[2]} holds a name or password: "
        f"put them into {prefix}USER and {prefix}PASSWORD"
    )
    try:
        parts = urlsplit(uri)
        _ = parts.port
    except ValueError as why:
        raise error(secret if "@" in uri else f"{uri} is no {form} ({why})") from None
    if "@" in parts.netloc:
        raise error(secret)
    return parts
