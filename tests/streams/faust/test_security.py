"""Both runtimes log in with the same words, from the environment and files, to listeners of a real broker."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from confluent_kafka.admin import AdminClient, ScramCredentialInfo, ScramMechanism, UserScramCredentialUpsertion
from shop_runs import BEGIN, Shop, topics_of

from stack import KafkaBroker
from stack.server import find_program
from streams.faust.security import aiokafka_settings
from streams.faust.topics import partitions_of
from streams.local.runner import Settings
from streams.local.running import Order, carry_out
from tests.sinks.alert_topic import ids
from tocsin.compiler import compile_topology
from tocsin.errors import SourceError
from tocsin.language import loads

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

USER, PASSWORD = "ann", "open sesame"
MECHANISMS = {"SCRAM-SHA-256": ScramMechanism.SCRAM_SHA_256, "SCRAM-SHA-512": ScramMechanism.SCRAM_SHA_512}
UNTIL = BEGIN + 60_000


def openssl(folder: Path, *words: str) -> None:
    subprocess.run([find_program("openssl") or "openssl", *words], cwd=folder, check=True, capture_output=True)


def certify(folder: Path, name: str, subject: str) -> None:
    """Make a key and a certificate of the authority in the folder: NAME.key, NAME.crt, and both in NAME.pem."""
    key = ("-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key")
    openssl(folder, "req", *key, "-out", f"{name}.csr", "-subj", subject)
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1")
    signed = ("-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names")
    openssl(folder, "x509", "-req", "-in", f"{name}.csr", *signed, "-out", f"{name}.crt")
    (folder / f"{name}.pem").write_text((folder / f"{name}.key").read_text() + (folder / f"{name}.crt").read_text())


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with an authority, a key of the broker and one of a client."""
    folder = tmp_path_factory.mktemp("keys")
    key = ("-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key")
    openssl(folder, "req", "-x509", *key, "-out", "ca.crt", "-subj", "/CN=authority", "-days", "2")
    certify(folder, "broker", "/CN=broker")
    certify(folder, "client", "/CN=client")
    (folder / "password").write_text(PASSWORD + "\n")
    return folder


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory, keys: Path) -> Iterator[KafkaBroker]:
    """Give a broker with listeners for passwords, for passwords over TLS, and for certificates of clients."""
    stores = {"keystore": keys / "broker.pem", "truststore": keys / "ca.crt"}
    settings = {f"ssl.{store}.location": str(path) for store, path in stores.items()}
    settings |= {f"ssl.{store}.type": "PEM" for store in stores}
    settings["listener.name.certified.ssl.client.auth"] = "required"
    for listener, mechanism in (("words", "SCRAM-SHA-256"), ("both", "SCRAM-SHA-512")):
        settings[f"listener.name.{listener}.sasl.enabled.mechanisms"] = mechanism
        login = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        settings[f"listener.name.{listener}.{mechanism.lower()}.sasl.jaas.config"] = login
    listeners = {"WORDS": "SASL_PLAINTEXT", "BOTH": "SASL_SSL", "CERTIFIED": "SSL"}
    with KafkaBroker(tmp_path_factory.mktemp("kafka"), listeners=listeners, settings=settings) as own:
        admin = AdminClient({"bootstrap.servers": own.servers})
        logins = [
            UserScramCredentialUpsertion(USER, ScramCredentialInfo(kind, 4096), PASSWORD.encode())
            for kind in MECHANISMS.values()
        ]
        for login in logins:  # one of a user at a time
            for done in admin.alter_user_scram_credentials([login]).values():
                done.result(30)
        yield own


@dataclass
class Listener:
    """A listener, and what one says in `TOCSIN_KAFKA_…` to use it."""

    name: str
    words: Mapping[str, str]


def listener(name: str, keys: Path) -> Listener:
    login = {"SASL_USERNAME": USER, "SASL_PASSWORD_FILE": str(keys / "password")}
    trust = {"SSL_CA_LOCATION": str(keys / "ca.crt")}
    own = {"SSL_CERTIFICATE_LOCATION": str(keys / "client.crt"), "SSL_KEY_LOCATION": str(keys / "client.key")}
    return {
        "WORDS": Listener("WORDS", {"SECURITY_PROTOCOL": "sasl_plaintext", "SASL_MECHANISM": "SCRAM-SHA-256", **login}),
        "BOTH": Listener(
            "BOTH", {"SECURITY_PROTOCOL": "SASL_SSL", "SASL_MECHANISM": "SCRAM-SHA-512", **login, **trust}
        ),
        "CERTIFIED": Listener("CERTIFIED", {"SECURITY_PROTOCOL": "ssl", **trust, **own}),
    }[name]


@pytest.mark.parametrize("name", ["WORDS", "BOTH", "CERTIFIED"])
def test_both_runtimes_read_and_write(
    name: str, tmp_path: Path, broker: KafkaBroker, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Shop(tmp_path, broker.servers, topics_of(broker.servers), name.lower())
    shop.produce()
    for word, value in listener(name, keys).words.items():
        monkeypatch.setenv(f"TOCSIN_KAFKA_{word}", value)
    source, other = f"kafka://{broker.at(name)}/{shop.topic}", shop.topics(f"{name.lower()}.local")
    assert shop.run(until=UNTIL, sources={"payments": source}, sinks=[f"kafka://{broker.at(name)}/{shop.alerts}"]), (
        shop.logs()
    )
    plan = compile_topology(loads(shop.text, str(tmp_path / "shop.yaml")))
    sinks = [f"kafka://{broker.at(name)}/{other}"]
    carry_out(Order(plan, tmp_path / "shop.yaml", {"payments": source}, sinks, settings=Settings(until=UNTIL)))
    with monkeypatch.context() as bare:
        for word in listener(name, keys).words:
            bare.delenv(f"TOCSIN_KAFKA_{word}")
        given = ids(broker.servers, shop.alerts)
        assert given == ids(broker.servers, other)
    assert given


@pytest.mark.parametrize(
    ("name", "word", "value", "why"),
    [
        ("BOTH", "SSL_CA_LOCATION", "client.crt", r"(?i)certificate.verify.failed"),
        ("WORDS", "SASL_PASSWORD_FILE", "ca.crt", r"(?i)authentication failed"),
    ],
)
def test_who_is_not_trusted_is_told_why(
    name: str, word: str, value: str, why: str, broker: KafkaBroker, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for known, right in listener(name, keys).words.items():
        monkeypatch.setenv(f"TOCSIN_KAFKA_{known}", right)
    monkeypatch.setenv(f"TOCSIN_KAFKA_{word}", str(keys / value))
    with pytest.raises(SourceError, match=why):
        asyncio.run(partitions_of(broker.at(name), ["any"]))


class TestWords:
    """What is said of security is understood, or refused: never passed over."""

    def test_those_of_another_client_are_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TOCSIN_KAFKA_SSL_KEYSTORE_LOCATION", "/keys.p12")
        with pytest.raises(SourceError, match=r"TOCSIN_KAFKA_SSL_KEYSTORE_LOCATION: .*files in PEM"):
            aiokafka_settings("host:1")

    def test_a_way_to_log_in_that_it_does_not_know(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TOCSIN_KAFKA_SECURITY_PROTOCOL", "sasl_plaintext")
        monkeypatch.setenv("TOCSIN_KAFKA_SASL_MECHANISM", "GSSAPI")
        with pytest.raises(SourceError, match="logs in with PLAIN, SCRAM-SHA-256 or"):
            aiokafka_settings("host:1")

    @pytest.mark.parametrize(
        ("word", "value", "looked_at"),
        [
            ("SSL_ENDPOINT_IDENTIFICATION_ALGORITHM", "none", (False, ssl.CERT_REQUIRED)),
            ("ENABLE_SSL_CERTIFICATE_VERIFICATION", "false", (False, ssl.CERT_NONE)),
            ("SSL_ENDPOINT_IDENTIFICATION_ALGORITHM", "https", (True, ssl.CERT_REQUIRED)),
        ],
    )
    def test_how_much_of_a_certificate_is_looked_at(
        self, word: str, value: str, looked_at: tuple[bool, ssl.VerifyMode], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TOCSIN_KAFKA_SECURITY_PROTOCOL", "ssl")
        monkeypatch.setenv(f"TOCSIN_KAFKA_{word}", value)
        context = aiokafka_settings("host:1")["ssl_context"]
        assert (context.check_hostname, context.verify_mode) == looked_at

    def test_a_file_that_is_not_there(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TOCSIN_KAFKA_SECURITY_PROTOCOL", "ssl")
        monkeypatch.setenv("TOCSIN_KAFKA_SSL_CA_LOCATION", "/none.crt")
        with pytest.raises(SourceError, match="TLS files named by TOCSIN_KAFKA_SSL_"):
            aiokafka_settings("host:1")
