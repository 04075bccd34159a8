"""Settings of `TOCSIN_KAFKA_*`, named as librdkafka names them, as Java's clients in Flink's connector want them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tocsin.errors import SourceError
from tocsin.kafka import client_settings

if TYPE_CHECKING:
    from collections.abc import Mapping

LOGINS = {
    "PLAIN": "org.apache.kafka.common.security.plain.PlainLoginModule",
    "SCRAM-SHA-256": "org.apache.kafka.common.security.scram.ScramLoginModule",
    "SCRAM-SHA-512": "org.apache.kafka.common.security.scram.ScramLoginModule",
}
SHADED = "org.apache.flink.kafka.shaded."
"""Before the names of Kafka's classes in the connector's jar."""
KNOWN = {
    *("security.protocol", "sasl.username", "sasl.password", "sasl.mechanism", "sasl.mechanisms"),
    *("ssl.ca.location", "ssl.ca.pem", "ssl.certificate.location", "ssl.certificate.pem"),
    *("ssl.key.location", "ssl.key.pem", "ssl.key.password", "ssl.endpoint.identification.algorithm"),
}


def java_settings(servers: str) -> dict[str, str]:
    """Give the settings beside the servers; SourceError for a word on security that Java's clients do not know."""
    given = client_settings(servers)
    for name in given:
        if name.startswith(("ssl.", "sasl.", "enable.ssl.", "enable.sasl.")) and name not in KNOWN:
            raise SourceError(
                f"TOCSIN_KAFKA_{name.upper().replace('.', '_')}: Kafka's Java client in Flink does not know it; for "
                "TLS it takes files in PEM: SSL_CA_LOCATION, SSL_CERTIFICATE_LOCATION, SSL_KEY_LOCATION"
            )
    found = {}
    if "security.protocol" in given:
        found["security.protocol"] = given["security.protocol"].upper()
    return found | _login(given) | _tls(given)


def _login(given: Mapping[str, str]) -> dict[str, str]:
    if "SASL" not in given.get("security.protocol", "").upper():
        return {}
    mechanism = given.get("sasl.mechanism", given.get("sasl.mechanisms", "PLAIN")).upper()
    if mechanism not in LOGINS:
        raise SourceError(
            f"TOCSIN_KAFKA_SASL_MECHANISM={mechanism}: the runtime flink logs in with {', '.join(LOGINS)}; `local` "
            "knows the others"
        )
    user, password = (given.get(name, "") for name in ("sasl.username", "sasl.password"))
    login = f"{SHADED}{LOGINS[mechanism]} required username={_quoted(user)} password={_quoted(password)};"
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
