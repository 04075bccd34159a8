"""Where a Kafka cluster is and how to log in: addresses that users write, settings from the environment or files.

Addresses hold no secrets: `kafka://HOST[:PORT][,HOST[:PORT]…]/TOPIC[?from=…]`. Everything else comes from variables
named `TOCSIN_KAFKA_` and the client's own name of a setting in capitals, `.` as `_` (`TOCSIN_KAFKA_SASL_USERNAME` is
`sasl.username`), or from a file that such a variable with `_FILE` behind it names, as secrets are mounted.
`TOCSIN_KAFKA_BOOTSTRAP_SERVERS` holds the servers where a topic stands alone.
"""

from __future__ import annotations

import logging
import os
import re
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

from tocsin.credentials import FILE, credential
from tocsin.errors import SourceError, TocsinError, did_you_mean, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType

    from confluent_kafka import KafkaError

SCHEME = "kafka"
PREFIX = "TOCSIN_KAFKA_"
SERVERS = f"{PREFIX}BOOTSTRAP_SERVERS"
LOGGER = logging.getLogger("tocsin.kafka")
"""What librdkafka has to say goes there, and not raw to stderr; the errors that matter come back as ours."""
LOGGER.addHandler(logging.NullHandler())

_PORT = 9092
_TOPIC = re.compile(r"[a-zA-Z0-9._-]{1,249}")

NAMES: Final = (
    *("bootstrap.servers", "client.id", "client.rack", "group.id", "message.max.bytes", "receive.message.max.bytes"),
    *("security.protocol", "sasl.mechanism", "sasl.mechanisms", "sasl.username", "sasl.password"),
    *("sasl.kerberos.service.name", "sasl.kerberos.principal", "sasl.kerberos.keytab", "sasl.kerberos.kinit.cmd"),
    *("sasl.oauthbearer.method", "sasl.oauthbearer.client.id", "sasl.oauthbearer.client.secret"),
    *("sasl.oauthbearer.scope", "sasl.oauthbearer.extensions", "sasl.oauthbearer.token.endpoint.url"),
    *("ssl.ca.location", "ssl.ca.pem", "ssl.certificate.location", "ssl.certificate.pem", "ssl.key.location"),
    *("ssl.key.pem", "ssl.key.password", "ssl.keystore.location", "ssl.keystore.password", "ssl.crl.location"),
    *("ssl.cipher.suites", "ssl.endpoint.identification.algorithm", "enable.ssl.certificate.verification"),
    *("broker.address.family", "client.dns.lookup", "connections.max.idle.ms", "metadata.max.age.ms"),
    *(
        "reconnect.backoff.ms",
        "reconnect.backoff.max.ms",
        "retry.backoff.ms",
        "retry.backoff.max.ms",
        "request.timeout.ms",
    ),
    *("socket.timeout.ms", "socket.connection.setup.timeout.ms", "socket.keepalive.enable", "debug", "log_level"),
    *(
        "batch.size",
        "linger.ms",
        "compression.codec",
        "compression.level",
        "queue.buffering.max.kbytes",
        "queued.max.messages.kbytes",
    ),
    *(
        "fetch.min.bytes",
        "fetch.max.bytes",
        "fetch.wait.max.ms",
        "max.partition.fetch.bytes",
        "queued.max.messages.kbytes",
    ),
)
"""Settings that one may have a reason to make, to tell what was meant by a name that librdkafka does not know."""


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

    def refuse_options_but(self, *known: str, error: type[TocsinError] = SourceError) -> None:
        """Raise for an option that nobody reads, with the nearest that somebody does."""
        for name in self.options.keys() - set(known):
            expected = f"expected {' or '.join(known)}" if known else "none is expected"
            raise error(f"{self.plain}: unknown option {name!r}: {expected}{did_you_mean(name, known)}")


def parse_address(uri: str, error: type[TocsinError] = SourceError) -> KafkaAddress:
    """Read `kafka://HOST/TOPIC`; `error` says what is missing."""
    scheme, _, rest = uri.partition("://")
    place, _, query = rest.partition("?")
    hosts, _, topic = place.partition("/")
    if "@" in place:
        shown = f"{SCHEME}://…@{place.rpartition('@')[2]}"
        raise error(f"{shown} holds a name or password: put them into {PREFIX}SASL_USERNAME and so on")
    if scheme != SCHEME or not hosts or not topic:
        raise error(f"{uri} is no Kafka address: expected kafka://HOST:PORT/TOPIC")
    _refuse_topic(topic, error)
    servers = ",".join(_with_port(host) for host in hosts.split(","))
    return KafkaAddress(servers, topic, dict(parse_qsl(query, keep_blank_values=True)))


def address_of(
    target: str, error: type[TocsinError] = SourceError, environment: Mapping[str, str] = os.environ
) -> KafkaAddress:
    """Read an address, or the name of a topic whose servers TOCSIN_KAFKA_BOOTSTRAP_SERVERS holds."""
    if "://" in target or target.startswith("//"):
        return parse_address(f"{SCHEME}:{target}" if target.startswith("//") else target, error)
    topic, _, query = target.removeprefix(f"{SCHEME}:").partition("?")
    _refuse_topic(topic, error)
    servers = client_settings("", environment, error)["bootstrap.servers"]
    if not servers:
        raise error(f"the Kafka topic {topic}: no servers: set {SERVERS}=HOST:PORT or write kafka://HOST:PORT/{topic}")
    return KafkaAddress(servers, topic, dict(parse_qsl(query, keep_blank_values=True)))


def client_settings(
    servers: str, environment: Mapping[str, str] = os.environ, error: type[TocsinError] = SourceError
) -> dict[str, str]:
    """Give the settings of a librdkafka client, secrets included; `error` if a file cannot be read.

    `servers` counts before TOCSIN_KAFKA_BOOTSTRAP_SERVERS.
    """
    variables = sorted({name.removesuffix(FILE) for name in environment if name.startswith(PREFIX)})
    found = {_spelled(name.removeprefix(PREFIX)): credential(name, error, environment) for name in variables}
    given = {name: value for name, value in found.items() if value}
    return {"bootstrap.servers": ""} | given | ({"bootstrap.servers": servers} if servers else {})


def confluent(error: type[TocsinError] = SourceError) -> ModuleType:
    """Import the client, which takes 60 ms and is an extra; `error` says how to get it."""
    try:
        return import_module("confluent_kafka")
    except ImportError as missing:
        raise error("Kafka needs the package confluent-kafka: pip install 'tocsin[kafka]'") from missing


def make_client(kind: str, settings: Mapping[str, Any], error: type[TocsinError] = SourceError) -> Any:  # noqa: ANN401  # of the class `kind`
    """Make a Producer, Consumer or AdminClient; `error` names the variable whose name or value the client refuses."""
    module = import_module("confluent_kafka.admin") if kind == "AdminClient" else confluent(error)
    try:
        return getattr(module, kind)(dict(settings), logger=LOGGER)
    except confluent(error).KafkaException as refused:
        raise error(_explained(refused.args[0].str())) from refused


def hopeless(error: KafkaError) -> bool:
    """Whether waiting makes it no better: who we are is refused, or what we may, or there is no such topic."""
    kinds = confluent().KafkaError
    return error.code() in {
        kinds._AUTHENTICATION,  # noqa: SLF001  # so are the client's own errors called
        kinds._SSL,  # noqa: SLF001
        kinds._UNKNOWN_TOPIC,  # noqa: SLF001
        kinds._UNKNOWN_PARTITION,  # noqa: SLF001
        kinds.SASL_AUTHENTICATION_FAILED,
        kinds.UNSUPPORTED_SASL_MECHANISM,
        kinds.CLUSTER_AUTHORIZATION_FAILED,
        kinds.TOPIC_AUTHORIZATION_FAILED,
        kinds.UNKNOWN_TOPIC_OR_PART,
        kinds.TOPIC_EXCEPTION,
    }


def _explained(refusal: str) -> str:
    """Say which variable is wrong, from librdkafka's sentence, which quotes the name of the setting."""
    found = re.search(r'No such configuration property: "([^"]*)"', refusal)
    if found is None:
        quoted = [name for name in re.findall(r"[a-z]+(?:\.[a-z]+)+", refusal) if name in NAMES]
        return f"{_variable(quoted[0])}: {refusal}" if quoted else f"the settings {PREFIX}…: {refusal}"
    near = nearest(found[1], NAMES)
    meant = f"; did you mean {_variable(near)}?" if near else ""
    return f"{_variable(found[1])}: the Kafka client has no setting {found[1]}{meant}"


def _variable(name: str) -> str:
    return PREFIX + name.upper().replace(".", "_")


def _spelled(name: str) -> str:
    """Give the client's name of a setting; a few are not written with dots alone."""
    low = name.lower()
    return low if low in NAMES else low.replace("_", ".")


def _with_port(host: str) -> str:
    return host if ":" in host.rpartition("]")[2] else f"{host}:{_PORT}"


def _refuse_topic(topic: str, error: type[TocsinError]) -> None:
    if not _TOPIC.fullmatch(topic) or topic in {".", ".."}:
        raise error(f"{topic!r} is no name of a Kafka topic: expected letters, digits, '.', '_' and '-', at most 249")
