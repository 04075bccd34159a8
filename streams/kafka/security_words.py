"""What of `TOCSIN_KAFKA_*` is about security, for clients that know less of it than librdkafka."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


def refuse_unknown(given: Mapping[str, str], known: Collection[str], client: str) -> None:
    """Raise SourceError for a word on security that a client does not know."""
    for name in given:
        if name.startswith(("ssl.", "sasl.", "enable.ssl.", "enable.sasl.")) and name not in known:
            raise SourceError(
                f"TOCSIN_KAFKA_{name.upper().replace('.', '_')}: {client} does not know it; for TLS it takes files "
                "in PEM: SSL_CA_LOCATION, SSL_CERTIFICATE_LOCATION, SSL_KEY_LOCATION"
            )


def mechanism_of(given: Mapping[str, str], runtime: str) -> str:
    """Say how to log in; SourceError for a way that a runtime does not know."""
    mechanism = given.get("sasl.mechanism", given.get("sasl.mechanisms", "PLAIN")).upper()
    if mechanism not in MECHANISMS:
        *some, last = MECHANISMS
        raise SourceError(
            f"TOCSIN_KAFKA_SASL_MECHANISM={mechanism}: the runtime {runtime} logs in with {', '.join(some)} or {last}; "
            "`local` knows the others"
        )
    return mechanism
