"""Settings of `TOCSIN_KAFKA_*`, named as librdkafka names them, as Java's clients in Flink's connector want them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from streams.flink.order import RUNTIME
from streams.kafka.security_words import mechanism_of, refuse_unknown
from tocsin.errors import SourceError
from tocsin.kafka import client_settings

if TYPE_CHECKING:
    from collections.abc import Mapping

SHADED = "org.apache.flink.kafka.shaded.org.apache.kafka.common.security"
"""Where the connector's jar has Kafka's classes."""
PLAIN = f"{SHADED}.plain.PlainLoginModule"
SCRAM = f"{SHADED}.scram.ScramLoginModule"
KNOWN = {
    *("security.protocol", "sasl.username", "sasl.password", "sasl.mechanism", "sasl.mechanisms"),
    *("ssl.ca.location", "ssl.ca.pem", "ssl.certificate.location", "ssl.certificate.pem"),
    *("ssl.key.location", "ssl.key.pem", "ssl.key.password", "ssl.endpoint.identification.algorithm"),
}


def java_settings(servers: str) -> dict[str, str]:
    """Give the settings beside the servers; SourceError for a word on security that Java's clients do not know."""
    given = client_settings(servers)
    refuse_unknown(given, KNOWN, "Kafka's Java client in Flink")
    found = {}
    if "security.protocol" in given:
        found["security.protocol"] = given["security.protocol"].upper()
    return found | _login(given) | _tls(given)


def _login(given: Mapping[str, str]) -> dict[str, str]:
    if "SASL" not in given.get("security.protocol", "").upper():
        return {}
    mechanism = mechanism_of(given, RUNTIME)
    module = SCRAM if mechanism.startswith("SCRAM") else PLAIN
    user, password = (given.get(name, "") for name in ("sasl.username", "sasl.password"))
    login = f"{module} required username={_quoted(user)} password={_quoted(password)};"
    return {"sasl.mechanism": mechanism, "sasl.jaas.config": login}


def _tls(given: Mapping[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    if authority := _pem(given, "ssl.ca"):
        found |= {"ssl.truststore.type": "PEM", "ssl.truststore.certificates": authority}
    certificate, key = _pem(given, "ssl.certificate"), _pem(given, "ssl.key")
    if certificate and key:
        found |= {"ssl.keystore.type": "PEM", "ssl.keystore.certificate.chain": certificate, "ssl.keystore.key": key}
        if "ssl.key.password" in given:
            found["ssl.key.password"] = given["ssl.key.password"]
    if given.get("ssl.endpoint.identification.algorithm") == "none":
        found["ssl.endpoint.identification.algorithm"] = ""
    return found


def _pem(given: Mapping[str, str], name: str) -> str:
    if f"{name}.pem" in given:
        return given[f"{name}.pem"]
    if f"{name}.location" not in given:
        return ""
    try:
        return Path(given[f"{name}.location"]).read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"the TLS files named by TOCSIN_KAFKA_SSL_… cannot be used: {error}") from error


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
