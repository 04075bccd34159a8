"""Redis."""

from __future__ import annotations

from stack.asking import redis_pong
from stack.server import Server, find_program


class RedisServer(Server):
    """Keeps what it is told in an append-only file, written before it answers: a kill loses nothing it confirmed."""

    name = "redis"
    default_port = 6379
    programs = ("redis-server",)

    @property
    def url(self) -> str:
        """As clients want it."""
        return f"redis://{self.address}/0"

    def prepare(self) -> None:
        """Nothing: everything is on the command line."""

    def command(self) -> list[str]:
        """Listen on this machine only."""
        words = f"--bind 127.0.0.1 --port {self.port} --appendonly yes --appendfsync always --dir".split()
        return [find_program("redis-server") or "redis-server", *words, str(self.folder), "--save", ""]

    def ready(self) -> bool:
        """Ask PING."""
        return redis_pong(self.port)
