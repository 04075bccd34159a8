"""Ports that nobody uses."""

from __future__ import annotations

import random
import socket

_FROM, _TO = 12000, 30000
"""Below what systems give to outgoing connections: a server that is away for a moment finds its port free again."""


def free_port() -> int:
    """Give a port of this machine that nobody listens on."""
    ports = random.SystemRandom()
    while True:
        port = ports.randrange(_FROM, _TO)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
