"""ClickHouse server: the one that Debian has, 18.16, or a newer one that is on the machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stack.asking import http_ok
from stack.ports import free_port
from stack.server import Server, find_program

if TYPE_CHECKING:
    from pathlib import Path

_CONFIG = """<yandex>
  <logger><level>information</level><console>1</console></logger>
  <listen_host>127.0.0.1</listen_host>
  <tcp_port>{port}</tcp_port>
  <http_port>{http_port}</http_port>
  <path>{folder}/data/</path>
  <tmp_path>{folder}/tmp/</tmp_path>
  <user_files_path>{folder}/files/</user_files_path>
  <format_schema_path>{folder}/schemas/</format_schema_path>
  <users_config>users.xml</users_config>
  <default_profile>default</default_profile>
  <default_database>default</default_database>
  <timezone>UTC</timezone>
  <mark_cache_size>67108864</mark_cache_size>
  <uncompressed_cache_size>0</uncompressed_cache_size>
  <max_concurrent_queries>100</max_concurrent_queries>
  <keep_alive_timeout>3</keep_alive_timeout>
</yandex>
"""
_USERS = """<yandex>
  <profiles><default><max_memory_usage>1000000000</max_memory_usage><max_threads>2</max_threads></default></profiles>
  <users><default>
    <password></password>
    <networks><ip>127.0.0.1</ip></networks>
    <profile>default</profile>
    <quota>default</quota>
  </default></users>
  <quotas><default/></quotas>
</yandex>
"""


class ClickHouseServer(Server):
    """`port` speaks the native protocol (clickhouse-driver), `http_port` HTTP. User `default`, no password."""

    name = "clickhouse"
    default_port = 9000
    programs = ("clickhouse-server",)

    def __init__(self, folder: Path, *, port: int = 0, http_port: int = 0) -> None:
        super().__init__(folder, port=port)
        self.http_port = http_port or (8123 if port == self.default_port else free_port())

    def prepare(self) -> None:
        """Write config.xml and users.xml."""
        for name in ("data", "tmp", "files", "schemas"):
            (self.folder / name).mkdir(exist_ok=True)
        config = _CONFIG.format(port=self.port, http_port=self.http_port, folder=self.folder)
        (self.folder / "config.xml").write_text(config, encoding="utf-8")
        (self.folder / "users.xml").write_text(_USERS, encoding="utf-8")

    def command(self) -> list[str]:
        """In the foreground; it logs to its output."""
        return [
            find_program("clickhouse-server") or "clickhouse-server",
            f"--config-file={self.folder / 'config.xml'}",
        ]

    def ready(self) -> bool:
        """Ask /ping."""
        return http_ok(self.http_port, "/ping")
