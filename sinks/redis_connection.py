"""A connection to Redis, and what its errors mean: worth another try, or wrong for good."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from redis import CredentialProvider, Redis, exceptions

from sinks.redis_address import PREFIX
from tocsin.credentials import UNTRUSTED, certificate, credential
from tocsin.errors import SinkError, TocsinError

if TYPE_CHECKING:
    from sinks.redis_address import RedisAddress

CONNECT_SECONDS: Final = 5.0
ANSWER_SECONDS: Final = 30.0

PASSING: Final = {
    "OOM": "it has no memory left (maxmemory); make room, it is tried again",
    "READONLY": "it is a read-only replica now; it is tried again until it may write",
    "MISCONF": "it cannot write to its disk; make room, it is tried again",
    "LOADING": "it is still reading its data",
    "BUSY": "it is busy with a script of somebody",
    "MASTERDOWN": "its master is down",
    "CLUSTERDOWN": "its cluster is down",
    "TRYAGAIN": "its cluster is moving keys",
    "NOREPLICAS": "it has too few replicas to write",
}
"""Words that answers begin with, and what they say: worth another try."""
LASTING: Final = {
    "NOAUTH": f"it refuses the login: set {PREFIX}USER and {PREFIX}PASSWORD",
    "WRONGPASS": f"it refuses the login: check {PREFIX}USER and {PREFIX}PASSWORD",
    "NOPERM": "the user may not do that: allow it in its ACL",
    "WRONGTYPE": "a key of ours holds something else: remove it, or choose another database",
    "MOVED": "it is a node of a cluster, which is not supported: name a server that holds all keys",
    "CROSSSLOT": "it is a node of a cluster, which is not supported: name a server that holds all keys",
}
"""Words that answers begin with, and what they say: wrong for good."""
SPOKEN: Final = (
    (exceptions.OutOfMemoryError, "OOM"),
    (exceptions.ReadOnlyError, "READONLY"),
    (exceptions.BusyLoadingError, "LOADING"),
    (exceptions.NoPermissionError, "NOPERM"),
    (exceptions.AuthenticationError, "WRONGPASS"),
)
"""The classes that the client makes of some of these words, which it then leaves out."""


class Refusal(NamedTuple):
    """What an error of Redis means."""

    passing: bool
    says: str


class Login(CredentialProvider):
    """Who logs in, asked at every connection: a password in a file may change while a run goes on."""

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        """Give user and password, or the password alone."""
        user, password = (credential(PREFIX + name, exceptions.AuthenticationError) for name in ("USER", "PASSWORD"))
        return (user, password) if user else (password,)


def connect(address: RedisAddress, error: type[TocsinError] = SinkError) -> Redis:
    """Give a client, which connects when it is used; `error` if a file with a secret cannot be read."""
    known = any(credential(PREFIX + name, error) for name in ("USER", "PASSWORD"))
    authority, own, key = (certificate(PREFIX + name, error) for name in ("CA", "CERTIFICATE", "KEY"))
    trust: dict[str, Any] = (
        {"ssl": True, "ssl_ca_certs": authority or None, "ssl_certfile": own or None, "ssl_keyfile": key or None}
        if address.secure
        else {}
    )
    return Redis(
        host=address.host,
        port=address.port,
        db=address.database,
        credential_provider=Login() if known else None,
        socket_connect_timeout=CONNECT_SECONDS,
        socket_timeout=ANSWER_SECONDS,
        **trust,
    )


def refusal(address: RedisAddress, error: exceptions.RedisError) -> Refusal:
    """Say what an error means."""
    text = str(error).removeprefix("ERR ")
    word = next((word for kind, word in SPOKEN if isinstance(error, kind)), text.split(" ")[0])
    if (says := LASTING.get(word) or PASSING.get(word)) is not None:
        return Refusal(word in PASSING, f"Redis at {address}: {says} ({_short(text)})")
    if isinstance(error, exceptions.ConnectionError | exceptions.TimeoutError):
        return Refusal(UNTRUSTED not in text, f"Redis at {address} cannot be reached: {_short(text)}")
    return Refusal(passing=False, says=f"Redis at {address} refuses: {_short(text)}")


def _short(text: str) -> str:
    return text.partition(" script: ")[0].split("\n")[0].rstrip(".")
