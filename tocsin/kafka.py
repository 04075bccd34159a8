"""Where a Kafka cluster is and how to log in: addresses that users write, settings from the environment or files.

Addresses hold no secrets: `kafka://HOST[:PORT][,HOST[:PORT]…]/TOPIC[?from=…]`. Everything else comes from variables named
`TOCSIN_KAFKA_` and the client's own name of a setting in capitals, `.` as `_` (`TOCSIN_KAFKA_SASL_USERNAME` is
`sasl.username`), or from a file that such a variable with `_FILE` behind it names, as secrets are mounted.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from tocsin.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEME = "kafka"
PREFIX = "TOCSIN_KAFKA_"
_FROM_FILE = "_FILE"
_PORT = 9092


@dataclass(frozen=True, slots=True)
class KafkaAddress:
    """A topic of a cluster. `servers`: host:port, separated by commas; `options`: what stands behind `?`."""

    servers: str
    topic: str
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def plain(self) -> str:
        """The address without its options."""
        return f"{SCHEME}://{self.servers}/{self.topic}"


def parse_address(uri: str) -> KafkaAddress:
    """Read `kafka://HOST/TOPIC`; SourceError says what is missing."""
    scheme, _, rest = uri.partition("://")
    place, _, query = rest.partition("?")
    hosts, _, topic = place.partition("/")
    if scheme != SCHEME or not hosts or not topic or "/" in topic:
        raise SourceError(f"{uri} is no Kafka address: expected kafka://HOST:PORT/TOPIC")
    if "@" in hosts:
        raise SourceError(
            f"{SCHEME}://…/{topic} holds a name or password: put them into {PREFIX}SASL_USERNAME and so on"
        )
    servers = ",".join(host if ":" in host else f"{host}:{_PORT}" for host in hosts.split(","))
    return KafkaAddress(servers, topic, dict(parse_qsl(query, keep_blank_values=True)))


def client_settings(servers: str, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Give the settings of a librdkafka client for these servers, secrets included; SourceError if a file is unreadable."""
    settings = {"bootstrap.servers": servers}
    for name, value in sorted(environment.items()):
        if not name.startswith(PREFIX) or not value:
            continue
        name = name.removeprefix(PREFIX)  # noqa: PLW2901  # the rest of it
        if name.endswith(_FROM_FILE):
            name, value = name.removesuffix(_FROM_FILE), _read(value, PREFIX + name)  # noqa: PLW2901
        settings[name.lower().replace("_", ".")] = value
    return settings


def _read(path: str, variable: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{variable}: {path} cannot be read: {error}") from error
