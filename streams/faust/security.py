"""Settings of `TOCSIN_KAFKA_*`, named as librdkafka names them, as aiokafka and Faust want them."""

from __future__ import annotations

import ssl
from typing import Any

import faust
from aiokafka.helpers import create_ssl_context

from streams.kafka.security_words import mechanism_of, refuse_unknown
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
    refuse_unknown(given, KNOWN, "the client of the runtime faust")
    settings: dict[str, Any] = {"bootstrap_servers": given["bootstrap.servers"]}
    protocol = given.get("security.protocol", "plaintext").upper()
    settings["security_protocol"] = protocol
    if protocol.startswith("SASL"):
        settings["sasl_mechanism"] = mechanism_of(given, "faust")
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
