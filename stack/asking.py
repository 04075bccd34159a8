"""The questions that tell whether a server is ready, on bare sockets: no client library is needed."""

from __future__ import annotations

import json
import socket
import struct
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, build_opener

_SECONDS = 2.0
_METADATA, _VERSION = 3, 4
_DIRECT = build_opener(ProxyHandler({}))


def http_ok(port: int, path: str) -> bool:
    """Tell whether a GET gives 200; OSError if nothing answers."""
    try:
        with _DIRECT.open(f"http://127.0.0.1:{port}{path}", timeout=_SECONDS) as answer:
            return bool(answer.status == 200)  # noqa: PLR2004  # OK
    except HTTPError:
        return False


def http_json(port: int, path: str) -> dict[str, Any]:
    """Give what a GET answers, an object of JSON; OSError if nothing answers, or something else than 200."""
    with _DIRECT.open(f"http://127.0.0.1:{port}{path}", timeout=_SECONDS) as answer:
        told: dict[str, Any] = json.load(answer)
    return told


def accepts(port: int) -> bool:
    """Tell that something listens; OSError if nothing does."""
    with socket.create_connection(("127.0.0.1", port), _SECONDS):
        return True


def redis_pong(port: int) -> bool:
    """Tell whether Redis answers PING and has loaded its data; OSError if nothing answers."""
    with socket.create_connection(("127.0.0.1", port), _SECONDS) as line:
        line.sendall(b"PING\r\n")
        return line.recv(64).startswith(b"+PONG")


def kafka_brokers(port: int) -> int:
    """Ask a broker for metadata of no topic: how many brokers it knows to be alive. OSError if nothing answers.

    Request and response as in the protocol guide of Kafka, Metadata version 4.
    """
    client = b"stack"
    request = struct.pack(">hhih", _METADATA, _VERSION, 1, len(client)) + client + struct.pack(">i?", 0, False)  # noqa: FBT003  # a flag on the wire
    with socket.create_connection(("127.0.0.1", port), _SECONDS) as line:
        line.sendall(struct.pack(">i", len(request)) + request)
        answer = _exactly(line, 4 + 4 + 4 + 4)
    _, _, _, brokers = struct.unpack(">iiii", answer)
    return int(brokers)


def _exactly(line: socket.socket, length: int) -> bytes:
    got = b""
    while len(got) < length:
        more = line.recv(length - len(got))
        if not more:
            raise ConnectionResetError("the server closed the connection")
        got += more
    return got
