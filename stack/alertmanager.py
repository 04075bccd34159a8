"""Alertmanager of Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stack.asking import http_ok
from stack.server import Server, find_program

if TYPE_CHECKING:
    from pathlib import Path

QUIET = "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n"
"""Takes alerts, tells nobody."""


class Alertmanager(Server):
    """`config`: the text of alertmanager.yml."""

    name = "alertmanager"
    default_port = 9093
    programs = ("prometheus-alertmanager",)

    def __init__(self, folder: Path, *, port: int = 0, config: str = QUIET) -> None:
        super().__init__(folder, port=port)
        self.config = config

    @property
    def url(self) -> str:
        """Where its API is."""
        return f"http://{self.address}"

    def prepare(self) -> None:
        """Write alertmanager.yml."""
        (self.folder / "alertmanager.yml").write_text(self.config, encoding="utf-8")

    def command(self) -> list[str]:
        """Alone: no cluster."""
        return [
            find_program("prometheus-alertmanager") or "prometheus-alertmanager",
            f"--config.file={self.folder / 'alertmanager.yml'}",
            f"--storage.path={self.folder / 'data'}",
            f"--web.listen-address={self.address}",
            "--cluster.listen-address=",
        ]

    def ready(self) -> bool:
        """Ask /-/ready."""
        return http_ok(self.port, "/-/ready")
