"""The topics of a Kafka cluster: see them, make them, change them, remove them."""

from __future__ import annotations

import time
from importlib import import_module
from typing import TYPE_CHECKING, Any

from streams.kafka.topic_changes import Change, Found, Step
from streams.kafka.topic_names import topic_names
from tocsin.errors import TopicError
from tocsin.kafka import client_settings, confluent, make_client

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from concurrent.futures import Future

    from confluent_kafka import KafkaError

SECONDS = 30.0
"""How long brokers may take to do something."""
_LOOK_AGAIN = 0.05
_RIGHTS = {
    Step.CREATE: "Create on the topic or the cluster",
    Step.CHANGE: "Alter and AlterConfigs on the topic",
    Step.DELETE: "Delete on the topic",
    Step.KEEP: "DescribeConfigs on the topic",
}
"""What one must be allowed to do, by the step that was refused; KEEP: looking."""


class Cluster:
    """The cluster at `servers`; settings and log-in come from the environment (`tocsin/kafka.py`).

    Raises TopicError where a setting is wrong, no broker answers, or we may not.
    """

    def __init__(self, servers: str, seconds: float = SECONDS) -> None:
        self.servers = servers
        self._seconds = seconds
        self._trouble: KafkaError | None = None
        settings = client_settings(servers, error=TopicError)
        confluent(TopicError)
        self._admin = make_client("AdminClient", {**settings, "error_cb": self._note}, TopicError)
        self._module = import_module("confluent_kafka.admin")

    def names(self) -> dict[str, int]:
        """Give all topics that we may see, and how many partitions each has."""
        return topic_names(self._admin, self.servers, lambda: self._trouble, TopicError)

    def look(self, names: Mapping[str, Collection[str]]) -> dict[str, Found]:
        """Give those topics that are there; `names`: of the settings to be told of each.

        Settings that we may not see are left out.
        """
        there = {name: partitions for name, partitions in self.names().items() if name in names}
        asked = {name: self._resource(name) for name in there}
        answers = self._admin.describe_configs(list(asked.values()), request_timeout=self._seconds) if asked else {}
        return {
            name: Found(partitions, self._told(name, answers[asked[name]], names[name]))
            for name, partitions in there.items()
        }

    def carry_out(self, change: Change, copies: int = -1) -> None:
        """Do what a change says, and wait until it is done. `copies`: of the partitions of a new topic."""
        doing: Mapping[Step, Callable[[Change, int], None]] = {
            Step.CREATE: self._create,
            Step.CHANGE: self._alter,
            Step.DELETE: self._delete,
        }
        if change.step in doing:
            doing[change.step](change, copies)

    def await_names(self, there: Collection[str], gone: Collection[str]) -> None:
        """Wait until all brokers' answers show what was made and deleted: they hear of it a moment later."""
        until = time.monotonic() + self._seconds
        while True:
            names = self.names()
            late = [name for name in there if name not in names] + [name for name in gone if name in names]
            if not late:
                return
            if time.monotonic() > until:
                raise TopicError(f"{', '.join(late)}: the brokers took the change, but do not show it yet")
            time.sleep(_LOOK_AGAIN)

    def _create(self, change: Change, copies: int) -> None:
        topic = self._module.NewTopic(change.name, change.partitions, copies, config=dict(change.settings))
        self._done(self._admin.create_topics([topic], request_timeout=self._seconds), change.name, Step.CREATE)

    def _alter(self, change: Change, _copies: int) -> None:
        if change.partitions:
            more = self._module.NewPartitions(change.name, change.partitions)
            done = self._admin.create_partitions([more], request_timeout=self._seconds)
            self._done(done, change.name, Step.CHANGE)
        if change.settings:
            resource = self._resource(change.name, change.settings)
            done = self._admin.incremental_alter_configs([resource], request_timeout=self._seconds)
            self._done(done, change.name, Step.CHANGE)

    def _delete(self, change: Change, _copies: int) -> None:
        done = self._admin.delete_topics([change.name], request_timeout=self._seconds)
        self._done(done, change.name, Step.DELETE)

    def _resource(self, name: str, settings: Mapping[str, str] | None = None) -> Any:  # noqa: ANN401  # a ConfigResource of a package that may be absent
        entry, operation = self._module.ConfigEntry, self._module.AlterConfigOpType.SET
        entries = [entry(key, value, incremental_operation=operation) for key, value in (settings or {}).items()]
        return self._module.ConfigResource(self._module.ResourceType.TOPIC, name, incremental_configs=entries or None)

    def _told(self, name: str, answer: Future[Any], wanted: Collection[str]) -> dict[str, str]:
        """Give the settings of a topic; none where we may not see them."""
        try:
            entries = self._result(answer, name, Step.KEEP)
        except Forbidden:
            return {}
        return {key: entries[key].value for key in wanted if key in entries}

    def _done(self, answers: Mapping[Any, Future[Any]], name: str, step: Step) -> None:
        for answer in answers.values():
            self._result(answer, name, step)

    def _result(self, answer: Future[Any], name: str, step: Step) -> Any:  # noqa: ANN401  # as the client gives it
        module = confluent(TopicError)
        try:
            return answer.result()
        except module.KafkaException as error:
            refused = error.args[0]
        forbidden = {module.KafkaError.TOPIC_AUTHORIZATION_FAILED, module.KafkaError.CLUSTER_AUTHORIZATION_FAILED}
        if refused.code() in forbidden:
            raise Forbidden(f"{name}: not allowed ({refused.str()}): it takes {_RIGHTS[step]}")
        raise TopicError(f"{name} cannot be {_DONE[step]}: {refused.str()}")

    def _note(self, error: KafkaError) -> None:
        """Keep what went wrong; that then no broker is left is only what follows from it."""
        if error.code() != confluent(TopicError).KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001  # librdkafka's own
            self._trouble = error


class Forbidden(TopicError):
    """We may not."""


_DONE = {Step.CREATE: "created", Step.CHANGE: "changed", Step.DELETE: "deleted", Step.KEEP: "looked at"}
