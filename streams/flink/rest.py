"""Questions to the REST of a Flink cluster, whose answers are JSON, and where its task managers are."""

from __future__ import annotations

import json
import re
import socket
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

from tocsin.errors import SourceError

PORT = 8081
SECONDS = 10.0
_DIRECT = build_opener(ProxyHandler({}))
"""As Java's client asks: a proxy for pages of the web knows nothing of a cluster."""
_HOST = re.compile(r"@\[?(?P<host>[^/\]]+?)\]?:\d+/")


def place_of(cluster: str) -> tuple[str, int]:
    """Give host and port of HOST:PORT, or of HOST alone; SourceError if it is neither."""
    host, _, port = cluster.partition(":")
    if not host or (port and not port.isdecimal()):
        raise SourceError(f"{cluster!r} is no REST address of a Flink cluster: expected HOST:PORT, such as h1:{PORT}")
    return host, int(port or PORT)


def ask(cluster: str, path: str) -> Any:  # noqa: ANN401  # JSON
    """Give what a GET answers; SourceError if no Flink cluster does."""
    host, port = place_of(cluster)
    try:
        with _DIRECT.open(f"http://{host}:{port}{path}", timeout=SECONDS) as answer:
            return json.load(answer)
    except (OSError, ValueError, HTTPException) as error:
        raise SourceError(
            f"no Flink cluster answers at {cluster}: {error}; --cluster wants the address of its REST and web page"
        ) from error


def is_here(cluster: str) -> bool:
    """Whether there are task managers, and all are at addresses of this machine.

    Containers that share its network look so, too.
    """
    found = [_HOST.search(one["path"]) for one in ask(cluster, "/taskmanagers")["taskmanagers"]]
    return bool(found) and all(one is not None and _is_ours(one["host"]) for one in found)


def _is_ours(host: str) -> bool:
    """Whether one can listen at an address."""
    try:
        ((family, *_, address), *_) = socket.getaddrinfo(host, 0, type=socket.SOCK_DGRAM)
        with socket.socket(family, socket.SOCK_DGRAM) as listening:
            listening.bind(address)
    except OSError:
        return False
    return True


def post(cluster: str, path: str, body: object) -> Any:  # noqa: ANN401  # as above
    """Give what a POST answers; SourceError with what the cluster says if it refuses, or if no cluster answers."""
    host, port = place_of(cluster)
    wanted = Request(
        f"http://{host}:{port}{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}, method="POST"
    )
    try:
        with _DIRECT.open(wanted, timeout=SECONDS) as answer:
            return json.load(answer)
    except HTTPError as error:
        said = error.read().decode(errors="replace")
        raise SourceError(f"the Flink cluster at {cluster} refuses {path}: {said[:500]}") from error
    except (OSError, ValueError, HTTPException) as error:
        raise SourceError(f"no Flink cluster answers at {cluster}: {error}") from error
