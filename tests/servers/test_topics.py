"""`tocsin topics`: what a topology needs, against a real broker."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from streams.kafka.cluster import Cluster
from streams.kafka.topic_changes import Found, changes
from streams.kafka.topics import DAY, Sizes, Topic, merged, topics_of
from tocsin.compiler import compile_topology
from tocsin.errors import TopicError
from tocsin.language import load

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Say

    from tocsin.compiler import Plan

TOPOLOGY = """
topology: {name: shop}
streams:
  payments:
    topic: NAME.payment.v1
    time: {field: at, lateness: 5s}
    fields: {at: timestamp, card: string, till: tills, amount: int64}
  visits:
    topic: NAME.visit.v1
    partitioned_by: card
    time: {field: at, lateness: 5s}
    fields: {at: timestamp, card: string}
tables:
  tills:
    key: till
    topic: NAME.till.v1
    fields: {till: string, shop: string}
sinks:
  here: {kafka: NAME.alerts.v1}
  elsewhere: {kafka: "kafka://elsewhere:9092/NAME.other.v1"}
  console: console
"""

NAMES = ("alerts.v1", "payment.v1", "payment.v1.dlq", "till.v1", "visit.v1", "visit.v1.dlq")


@pytest.fixture
def topology(tmp_path: Path, unique: str) -> Path:
    path = tmp_path / "shop.yaml"
    path.write_text(TOPOLOGY.replace("NAME", unique), encoding="utf-8")
    return path


@pytest.fixture
def plan(topology: Path) -> Plan:
    return compile_topology(load(topology))


def settings(kafka: str, name: str, *keys: str) -> dict[str, str]:
    return dict(Cluster(kafka).look({name: keys})[name].settings)


class TestWhatATopologyNeeds:
    def test_streams_tables_dead_letters_and_the_alerts_of_its_own_cluster(self, plan: Plan, unique: str) -> None:
        found = topics_of(plan, Sizes(), "here:9092")
        assert [topic.name for topic in found] == [f"{unique}.{name}" for name in NAMES]

    def test_a_sink_that_names_other_servers_belongs_to_those(self, plan: Plan, unique: str) -> None:
        assert f"{unique}.other.v1" in [topic.name for topic in topics_of(plan, Sizes(), "elsewhere:9092")]

    def test_only_inputs_get_the_prefix(self, plan: Plan, unique: str) -> None:
        found = [topic.name for topic in topics_of(plan, Sizes(), "here:9092", prefix="try.")]
        assert f"try.{unique}.payment.v1.dlq" in found
        assert f"{unique}.alerts.v1" in found

    def test_two_streams_of_one_topic_share_it(self) -> None:
        (one,) = merged([Topic("a", 2, "stream x"), Topic("a", 2, "stream y", keyed=True)])
        assert (one.why, one.keyed) == ("stream x, stream y", True)

    def test_a_topic_cannot_be_that_of_a_stream_and_of_a_table(self) -> None:
        with pytest.raises(TopicError, match="stream x and of table y"):
            merged([Topic("a", 2, "stream x"), Topic("a", 1, "table y", {"cleanup.policy": "compact"})])


class TestWhatIsDoneWithoutBeingTold:
    """Nothing that loses records or moves keys."""

    WANTED = Topic("t", 8, "stream x", {"retention.ms": "1000", "cleanup.policy": "delete"})

    def change(self, topic: Topic, found: Found, *insist: str) -> tuple[Any, ...]:
        (one,) = changes([topic], {"t": found}, insist=insist)
        return str(one.step), one.partitions, dict(one.settings), len(one.differs)

    def test_more_partitions_where_no_key_lies(self) -> None:
        assert self.change(self.WANTED, Found(4)) == ("change", 8, {}, 0)

    def test_no_more_partitions_where_keys_lie_unless_told(self) -> None:
        keyed = Topic("t", 8, "table x", keyed=True)
        assert self.change(keyed, Found(4)) == ("keep", 0, {}, 1)
        assert self.change(keyed, Found(4), "t") == ("change", 8, {}, 0)

    def test_never_fewer_partitions(self) -> None:
        assert self.change(self.WANTED, Found(12), "t") == ("keep", 0, {}, 1)

    @pytest.mark.parametrize("there", ["500", "0"])
    def test_retention_is_raised(self, there: str) -> None:
        assert self.change(self.WANTED, Found(8, {"retention.ms": there})) == ("change", 0, {"retention.ms": "1000"}, 0)

    @pytest.mark.parametrize("there", ["5000", "-1"])
    def test_retention_is_shortened_only_if_told(self, there: str) -> None:
        found = Found(8, {"retention.ms": there})
        assert self.change(self.WANTED, found) == ("keep", 0, {}, 1)
        assert self.change(self.WANTED, found, "t") == ("change", 0, {"retention.ms": "1000"}, 0)

    def test_another_clean_up_only_if_told(self) -> None:
        found = Found(8, {"cleanup.policy": "compact"})
        assert self.change(self.WANTED, found) == ("keep", 0, {}, 1)
        assert self.change(self.WANTED, found, "t") == ("change", 0, {"cleanup.policy": "delete"}, 0)

    def test_a_setting_that_we_may_not_see_counts_as_right(self) -> None:
        assert self.change(self.WANTED, Found(8, {})) == ("keep", 0, {}, 0)


@pytest.mark.usefixtures("cleared")
class TestOnABroker:
    def test_what_plan_shows_is_what_apply_makes(self, kafka: str, topology: Path, unique: str, say: Say) -> None:
        code, shown, _ = say("topics", "plan", topology, "--kafka", kafka)
        assert code == 1
        made = say("topics", "apply", topology, "--kafka", kafka)
        assert (made[0], made[1]) == (0, shown)
        assert [line.split()[:2] for line in shown.splitlines()] == [["create", f"{unique}.{name}"] for name in NAMES]
        code, shown, _ = say("topics", "plan", topology, "--kafka", kafka)
        assert code == 0
        assert {line.split()[0] for line in shown.splitlines()} == {"keep"}

    def test_streams_expire_and_tables_are_compacted(self, kafka: str, topology: Path, unique: str, say: Say) -> None:
        say("topics", "apply", topology, "--kafka", kafka, "--partitions", 3, "--retention", "2d")
        keys = ("cleanup.policy", "retention.ms")
        kept = {"cleanup.policy": "delete", "retention.ms": str(2 * DAY)}
        assert settings(kafka, f"{unique}.payment.v1", *keys) == kept
        assert settings(kafka, f"{unique}.payment.v1.dlq", *keys) == kept
        assert settings(kafka, f"{unique}.alerts.v1", *keys)["retention.ms"] == str(30 * DAY)
        assert settings(kafka, f"{unique}.till.v1", *keys)["cleanup.policy"] == "compact"
        partitions = Cluster(kafka).names()
        assert [partitions[f"{unique}.{name}"] for name in NAMES] == [3, 3, 1, 1, 3, 1]

    def test_what_differs_is_named_and_left(self, kafka: str, topology: Path, unique: str, say: Say) -> None:
        say("topics", "apply", topology, "--kafka", kafka, "--partitions", 3)
        code, shown, _ = say("topics", "apply", topology, "--kafka", kafka, "--partitions", 4, "--retention", "1d")
        assert code == 0
        assert "3 partitions, not 4: more would move keys" in shown
        assert f"retention.ms is {7 * DAY}, not {DAY}" in shown
        partitions = Cluster(kafka).names()
        assert (partitions[f"{unique}.payment.v1"], partitions[f"{unique}.visit.v1"]) == (4, 3)
        assert settings(kafka, f"{unique}.payment.v1", "retention.ms") == {"retention.ms": str(7 * DAY)}
        say(
            "topics",
            "apply",
            topology,
            "--kafka",
            kafka,
            "--partitions",
            4,
            "--retention",
            "1d",
            "--insist",
            f"{unique}.visit.v1",
        )
        assert Cluster(kafka).names()[f"{unique}.visit.v1"] == 4
        assert settings(kafka, f"{unique}.visit.v1", "retention.ms") == {"retention.ms": str(DAY)}

    def test_only_what_is_named_is_deleted(self, kafka: str, topology: Path, unique: str, say: Say) -> None:
        say("topics", "apply", topology, "--kafka", kafka)
        name = f"{unique}.visit.v1"
        code, shown, _ = say("topics", "apply", topology, "--kafka", kafka, "--delete", name, "--json")
        assert code == 0
        assert [one["name"] for one in json.loads(shown)["changes"] if one["step"] == "delete"] == [name]
        assert name not in Cluster(kafka).names()
        assert f"{unique}.payment.v1" in Cluster(kafka).names()

    def test_a_name_to_delete_that_is_not_there_tells_the_nearest(
        self, kafka: str, topology: Path, unique: str, say: Say
    ) -> None:
        say("topics", "apply", topology, "--kafka", kafka)
        code, _, said = say("topics", "apply", topology, "--kafka", kafka, "--delete", f"{unique}.vist.v1")
        assert code == 2
        assert f"did you mean '{unique}.visit.v1'?" in said

    def test_alert_topics_that_only_the_command_line_of_run_names(
        self, kafka: str, topology: Path, unique: str, say: Say
    ) -> None:
        say("topics", "apply", topology, "--kafka", kafka, "--alerts", f"{unique}.more.v1", "--partitions", 2)
        assert Cluster(kafka).names()[f"{unique}.more.v1"] == 2


class TestWhatGoesWrong:
    def test_no_broker(self, topology: Path, say: Say) -> None:
        code, _, said = say("topics", "plan", topology, "--kafka", "127.0.0.1:1")
        assert code == 2
        assert "the Kafka brokers at 127.0.0.1:1 do not answer" in said
        assert "refused" in said

    def test_no_brokers_named(self, topology: Path, say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("TOCSIN_KAFKA_BOOTSTRAP_SERVERS", raising=False)
        code, _, said = say("topics", "plan", topology)
        assert code == 2
        assert "--kafka HOST:PORT" in said


@pytest.mark.usefixtures("cleared")
class TestAuthorisation:
    """SASL and ACLs of a real broker."""

    @pytest.fixture
    def secured(self, kafka_secured: tuple[str, str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
        """Log in, the password in a file as secrets are mounted; give the servers."""
        servers, user, password = kafka_secured
        (tmp_path / "password").write_text(password + "\n", encoding="utf-8")
        settings = {
            "SECURITY_PROTOCOL": "sasl_plaintext",
            "SASL_MECHANISM": "PLAIN",
            "SASL_USERNAME": user,
            "SASL_PASSWORD_FILE": str(tmp_path / "password"),
        }
        for name, value in settings.items():
            monkeypatch.setenv(f"TOCSIN_KAFKA_{name}", value)
        return servers

    def test_a_wrong_password(self, secured: str, topology: Path, tmp_path: Path, say: Say) -> None:
        (tmp_path / "password").write_text("guessed", encoding="utf-8")
        code, _, said = say("topics", "plan", topology, "--kafka", secured)
        assert code == 2
        assert "authentication failed" in said.lower()
        assert "guessed" not in said

    def test_who_may_nothing_is_told_what_it_takes(self, secured: str, topology: Path, say: Say) -> None:
        code, _, said = say("topics", "apply", topology, "--kafka", secured)
        assert code == 2
        assert "6 of 6 topics" in said
        assert "payment.v1: not allowed" in said
        assert "it takes Create on the topic or the cluster" in said

    def test_who_may_create_creates(self, kafka: str, secured: str, topology: Path, unique: str, say: Say) -> None:
        for operation in (AclOperation.CREATE, AclOperation.DESCRIBE):
            allow(kafka, unique, operation)
        code, shown, said = say("topics", "apply", topology, "--kafka", secured)
        assert (code, said) == (0, "")
        assert shown.count("create") == len(NAMES)
        assert say("topics", "plan", topology, "--kafka", secured).code == 0


def allow(kafka: str, prefix: str, operation: AclOperation) -> None:
    """Let the user do something with the topics whose names begin so."""
    who = ("User:ann", "*", operation, AclPermissionType.ALLOW)
    right = AclBinding(ResourceType.TOPIC, prefix, ResourcePatternType.PREFIXED, *who)
    admin = AdminClient({"bootstrap.servers": kafka, "log_level": 0})
    for done in admin.create_acls([right]).values():
        done.result(30)
