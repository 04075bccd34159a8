"""Settings of `TOCSIN_KAFKA_*`, named as librdkafka names them, as aiokafka and Faust want them."""

from __future__ import annotations

import ssl
from typing import Any

import faust
from aiokafka.helpers import create_ssl_context

from tocsin.errors import SourceError
from tocsin.kafka import client_settings

KNOWN = {
    *("sasl.username", "sasl.password", "sasl.mechanism", "sasl.mechanisms"),
    *("ssl.ca.location", "ssl.certificate.location", "ssl.key.location", "ssl.key.password"),
    *("ssl.endpoint.identification.algorithm", "enable.ssl.certificate.verification"),
}
"""What is said of security and understood here; other settings are for other clients."""


def aiokafka_settings(servers: str) -> dict[str, Any]:
    """Give the keyword arguments of an aiokafka client; SourceError for a word on security that it does not know."""
    given = client_settings(servers)
    _refuse_unknown(given)
    settings: dict[str, Any] = {"bootstrap_servers": given["bootstrap.servers"]}
    protocol = given.get("security.protocol", "plaintext").upper()
    settings["security_protocol"] = protocol
    if protocol.startswith("SASL"):
        settings["sasl_mechanism"] = _mechanism(given)
        settings["sasl_plain_username"] = given.get("sasl.username", "")
        settings["sasl_plain_password"] = given.get("sasl.password", "")
    if protocol.endswith("SSL"):
        settings["ssl_context"] = _context(given)
    return settings


def credentials_of(servers: str) -> faust.SASLCredentials | faust.SSLCredentials | None:
    """Give what Faust logs in with; None where the broker asks for nothing."""
    settings = aiokafka_settings(servers)
    context = settings.get("ssl_context")
    if "sasl_mechanism" in settings:
        credentials = faust.SASLCredentials(
            username=settings["sasl_plain_username"],
            password=settings["sasl_plain_password"],
            ssl_context=context,
            mechanism=settings["sasl_mechanism"],
        )
        credentials.protocol = faust.types.auth.AuthProtocol(settings["security_protocol"])
        return credentials
    return None if context is None else faust.SSLCredentials(context)


def _refuse_unknown(given: dict[str, str]) -> None:
    for name in given:
        if name.startswith(("ssl.", "sasl.", "enable.ssl.", "enable.sasl.")) and name not in KNOWN:
            raise SourceError(
                f"TOCSIN_KAFKA_{name.upper().replace('.', '_')}: the client of the runtime faust does not know it; for "
                "TLS it takes files in PEM: SSL_CA_LOCATION, SSL_CERTIFICATE_LOCATION, SSL_KEY_LOCATION"
            )


def _mechanism(given: dict[str, str]) -> str:
    mechanism = given.get("sasl.mechanism", given.get("sasl.mechanisms", "PLAIN")).upper()
    if mechanism not in {"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"}:
        raise SourceError(
            f"TOCSIN_KAFKA_SASL_MECHANISM={mechanism}: the runtime faust logs in with PLAIN, SCRAM-SHA-256 or "
            "SCRAM-SHA-512; `local` knows the others"
        )
    return mechanism


def _context(given: dict[str, str]) -> ssl.SSLContext:
    try:
        context: ssl.SSLContext = create_ssl_context(
            cafile=given.get("ssl.ca.location"),
            certfile=given.get("ssl.certificate.location"),
            keyfile=given.get("ssl.key.location"),
            password=given.get("ssl.key.password"),
        )
    except (OSError, ssl.SSLError) as error:
        raise SourceError(f"the TLS files named by TOCSIN_KAFKA_SSL_… cannot be used: {error}") from error
    if given.get("ssl.endpoint.identification.algorithm", "https") == "none":
        context.check_hostname = False
    if given.get("enable.ssl.certificate.verification", "true") == "false":
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context
