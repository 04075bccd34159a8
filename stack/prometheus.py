"""Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stack.asking import http_ok
from stack.server import Server, find_program

if TYPE_CHECKING:
    from pathlib import Path


class Prometheus(Server):
    """`config`: the text of prometheus.yml; by default it watches only itself. It is read at every start."""

    name = "prometheus"
    default_port = 9090
    programs = ("prometheus", "promtool")

    def __init__(self, folder: Path, *, port: int = 0, config: str = "") -> None:
        super().__init__(folder, port=port)
        self.config = config or (
            "global: {scrape_interval: 1s}\n"
            f"scrape_configs: [{{job_name: prometheus, static_configs: [{{targets: ['{self.address}']}}]}}]\n"
        )

    @property
    def url(self) -> str:
        """Where its API is."""
        return f"http://{self.address}"

    def prepare(self) -> None:
        """Write prometheus.yml."""
        (self.folder / "prometheus.yml").write_text(self.config, encoding="utf-8")

    def command(self) -> list[str]:
        """A day of data is enough for trying things out."""
        return [
            find_program("prometheus") or "prometheus",
            f"--config.file={self.folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={self.folder / 'data'}",
            "--storage.tsdb.retention.time=1d",
            f"--web.listen-address={self.address}",
        ]

    def ready(self) -> bool:
        """Ask /-/ready."""
        return http_ok(self.port, "/-/ready")
