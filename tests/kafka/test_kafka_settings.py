"""Addresses of Kafka topics, and settings from the environment and files; no broker is needed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tocsin.errors import SinkError, SourceError
from tocsin.kafka import NAMES, KafkaAddress, address_of, client_settings, make_client, parse_address

if TYPE_CHECKING:
    from pathlib import Path

SERVERS = {"TOCSIN_KAFKA_BOOTSTRAP_SERVERS": "one:9092,two:9092"}


class TestAddresses:
    """`kafka://HOST[:PORT][,HOST…]/TOPIC[?OPTION=VALUE]`, or the name of a topic."""

    @pytest.mark.parametrize(
        ("uri", "servers", "topic"),
        [
            ("kafka://host/alerts", "host:9092", "alerts"),
            ("kafka://host:9093/a.b-c_D.v1", "host:9093", "a.b-c_D.v1"),
            ("kafka://one,two:9093/alerts", "one:9092,two:9093", "alerts"),
            ("kafka://[::1]/alerts", "[::1]:9092", "alerts"),
            ("kafka://[::1]:9093/alerts", "[::1]:9093", "alerts"),
        ],
    )
    def test_an_address_names_servers_and_a_topic(self, uri: str, servers: str, topic: str) -> None:
        assert parse_address(uri) == KafkaAddress(servers, topic)

    def test_options_stand_behind_the_question_mark(self) -> None:
        address = parse_address("kafka://host/alerts?from=latest&group=")
        assert address.options == {"from": "latest", "group": ""}
        assert address.plain == "kafka://host:9092/alerts"

    @pytest.mark.parametrize("target", ["alerts?from=latest", "kafka:alerts?from=latest"])
    def test_a_topic_alone_lies_on_the_servers_of_the_environment(self, target: str) -> None:
        address = address_of(target, environment=SERVERS)
        assert (address.servers, address.topic, address.options) == ("one:9092,two:9092", "alerts", {"from": "latest"})

    @pytest.mark.parametrize("target", ["kafka://host/alerts", "//host/alerts"])
    def test_an_address_counts_before_the_environment(self, target: str) -> None:
        assert address_of(target, environment=SERVERS).servers == "host:9092"
        assert client_settings("host:9092", SERVERS)["bootstrap.servers"] == "host:9092"

    @pytest.mark.parametrize(
        ("uri", "message"),
        [
            ("kafka://host", "kafka://host is no Kafka address: expected kafka://HOST:PORT/TOPIC"),
            ("kafka:///alerts", "is no Kafka address"),
            ("http://host/alerts", "is no Kafka address"),
            ("kafka://host/a/b", "'a/b' is no name of a Kafka topic: expected letters, digits"),
            ("kafka://host/überfall", "is no name of a Kafka topic"),
            ("kafka://host/..", "is no name of a Kafka topic"),
            ("kafka://host/" + "x" * 250, "at most 249"),
        ],
    )
    def test_what_is_none_says_what_was_expected(self, uri: str, message: str) -> None:
        with pytest.raises(SourceError, match=message):
            parse_address(uri)

    @pytest.mark.parametrize("secret", ["secret", "1/secret"])
    def test_a_password_in_an_address_is_not_repeated(self, secret: str) -> None:
        with pytest.raises(SinkError, match="put them into TOCSIN_KAFKA_SASL_USERNAME") as error:
            parse_address(f"kafka://ann:{secret}@host/alerts", SinkError)
        assert "secret" not in str(error.value)

    def test_a_topic_alone_needs_servers(self) -> None:
        with pytest.raises(
            SinkError, match=r"alerts: no servers: set TOCSIN_KAFKA_BOOTSTRAP_SERVERS=HOST:PORT or write"
        ):
            address_of("alerts", SinkError, {})

    def test_an_unknown_option_names_the_nearest(self) -> None:
        address = parse_address("kafka://host/alerts?form=latest")
        with pytest.raises(SinkError, match="unknown option 'form': expected from or group; did you mean 'from'"):
            address.refuse_options_but("from", "group", error=SinkError)
        with pytest.raises(SourceError, match="unknown option 'form': none is expected"):
            address.refuse_options_but()


class TestSettings:
    """TOCSIN_KAFKA_ and the client's own names; secrets in files."""

    def test_names_are_spelled_as_the_client_spells_them(self) -> None:
        environment = {
            "TOCSIN_KAFKA_SASL_USERNAME": "ann",
            "TOCSIN_KAFKA_SSL_CA_LOCATION": "/ca.pem",
            "TOCSIN_KAFKA_LOG_LEVEL": "3",
            "TOCSIN_KAFKA_SASL_PASSWORD": "",
            "KAFKA_OTHER": "x",
        }
        assert client_settings("host:1", environment) == {
            "bootstrap.servers": "host:1",
            "sasl.username": "ann",
            "ssl.ca.location": "/ca.pem",
            "log_level": "3",
        }

    def test_a_file_holds_a_secret(self, tmp_path: Path) -> None:
        (tmp_path / "password").write_text("s e c r e t\n")
        settings = client_settings("host:1", {"TOCSIN_KAFKA_SASL_PASSWORD_FILE": str(tmp_path / "password")})
        assert settings["sasl.password"] == "s e c r e t"

    def test_what_stands_in_the_environment_counts_before_a_file(self) -> None:
        environment = {"TOCSIN_KAFKA_SASL_PASSWORD": "word", "TOCSIN_KAFKA_SASL_PASSWORD_FILE": "/none/password"}
        assert client_settings("host:1", environment)["sasl.password"] == "word"

    def test_a_file_that_is_not_there_names_its_variable(self) -> None:
        with pytest.raises(SinkError, match="TOCSIN_KAFKA_SASL_PASSWORD_FILE: /none/password cannot be read"):
            client_settings("host:1", {"TOCSIN_KAFKA_SASL_PASSWORD_FILE": "/none/password"}, SinkError)


class TestClients:
    """What the client refuses comes back with the name of the variable."""

    @pytest.mark.parametrize("kind", ["Producer", "Consumer", "AdminClient"])
    @pytest.mark.parametrize(
        ("variable", "value", "message"),
        [
            (
                "SASL_USERNAM",
                "ann",
                r"TOCSIN_KAFKA_SASL_USERNAM: .* no setting .*; did you mean TOCSIN_KAFKA_SASL_USERNAME\?",
            ),
            ("SSL_CA_LOCATOIN", "x", r"did you mean TOCSIN_KAFKA_SSL_CA_LOCATION\?"),
            ("XYZZY", "1", r"TOCSIN_KAFKA_XYZZY: the Kafka client has no setting xyzzy$"),
            ("SECURITY_PROTOCOL", "TLS", 'TOCSIN_KAFKA_SECURITY_PROTOCOL: Invalid value "TLS"'),
            ("SOCKET_TIMEOUT_MS", "soon", "TOCSIN_KAFKA_SOCKET_TIMEOUT_MS: Invalid value"),
        ],
    )
    def test_a_wrong_name_or_value(self, kind: str, variable: str, value: str, message: str) -> None:
        settings = {"group.id": "g"} if kind == "Consumer" else {}
        settings |= client_settings("127.0.0.1:1", {f"TOCSIN_KAFKA_{variable}": value})
        with pytest.raises(SinkError, match=message):
            make_client(kind, settings, SinkError)

    @pytest.mark.parametrize("what", ["CA", "CERTIFICATE", "KEY"])
    def test_a_certificate_that_is_not_there(self, what: str) -> None:
        environment = {"TOCSIN_KAFKA_SECURITY_PROTOCOL": "SSL", f"TOCSIN_KAFKA_SSL_{what}_LOCATION": "/none/x.pem"}
        with pytest.raises(SourceError, match=f"TOCSIN_KAFKA_SSL_{what}_LOCATION: .*failed"):
            make_client("Producer", client_settings("127.0.0.1:1", environment))

    def test_certificates_and_passwords_from_the_environment_are_taken(self) -> None:
        environment = {
            "TOCSIN_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "TOCSIN_KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
            "TOCSIN_KAFKA_SASL_USERNAME": "ann",
            "TOCSIN_KAFKA_SASL_PASSWORD": "secret",
            "TOCSIN_KAFKA_ENABLE_SSL_CERTIFICATE_VERIFICATION": "false",
        }
        make_client("Producer", client_settings("127.0.0.1:1", environment)).close()

    @pytest.mark.parametrize("name", NAMES)
    def test_every_name_that_is_proposed_is_one_of_the_client(self, name: str) -> None:
        with pytest.raises(SinkError) as error:
            make_client("Producer", {name: "?", "no.such.setting": "1"}, SinkError)
        assert f"has no setting {name}" not in str(error.value)

    def test_a_missing_package_says_how_to_get_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "confluent_kafka", None)
        with pytest.raises(SourceError, match=r"pip install 'tocsin\[kafka\]'"):
            make_client("Producer", {})
