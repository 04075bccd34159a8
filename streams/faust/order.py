"""What a worker is told: one JSON file that the supervisor writes and every worker of a run reads."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  # msgspec reads the annotations

import msgspec


class Order(msgspec.Struct, kw_only=True):
    """One run on Kafka.

    `servers`: host:port, separated by commas. `topics`, `partitions`: of each stream that is read. `tables`: URIs in
    place of what the topology says. `sinks`: URIs instead of the sinks of the topology. `web_host`, `web_ports`: where
    each worker's web listens; no ports for none. `until`: ms since the epoch. `settings`: further ones of Faust.
    """

    topology: Path
    group: str
    servers: str
    topics: dict[str, str]
    partitions: dict[str, int]
    shards: int
    folder: Path
    tables: dict[str, str] = {}
    sinks: list[str] = []
    until: int | None = None
    early: bool = False
    commit_seconds: float = 1.0
    web_host: str = "127.0.0.1"
    web_ports: list[int] = []
    settings: dict[str, float | int | str | bool] = {}

    def write(self, path: Path) -> None:
        """Put it into a file."""
        path.write_bytes(msgspec.json.encode(self, enc_hook=str))

    @classmethod
    def read(cls, path: Path) -> Order:
        """Read it again."""
        return _ORDER.decode(path.read_bytes())


_ORDER = msgspec.json.Decoder(Order, dec_hook=lambda kind, value: kind(value))
