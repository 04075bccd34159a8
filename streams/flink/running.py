"""One `tocsin run --runtime flink`: a job is submitted, watched over, and stopped with a savepoint."""

from __future__ import annotations

import math
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING

from streams.flink.figures import Place, open_rest
from streams.flink.preparing import prepare
from streams.flink.remote import SAVEPOINTS
from streams.flink.state_folder import held
from streams.flink.submitting import hand_over
from streams.flink.words import Listener, words_of
from tocsin import errors
from tocsin.errors import SourceError, StateError, TocsinError

if TYPE_CHECKING:
    from streams.flink.figures import Figures
    from streams.flink.submitting import Run, Submitted
    from streams.flink.words import Word

LISTEN_SECONDS = 0.2
STOP_SECONDS = 60.0


def carry_out(run: Run, figures: Figures | None = None) -> bool:
    """Run until told to stop, or until all tasks are through `until`; whether it was the latter.

    `figures`: are kept up to date meanwhile.

    Raises:
        SourceError: no broker, no such topic, no Java, no jar, or something that this runtime does not do yet.
        SinkError: a sink cannot be written to.
        StateError: the job cannot go on from its state.
    """
    with held(run.folder):
        through = False
        while not through:
            order = prepare(run)
            if figures is not None:
                open_rest(run)
            listening = closing(Listener(order.servers, words_of(order.group), order.run))
            with listening as listener, ExitStack() as following:
                submitted = hand_over(run, order)
                if figures is not None:
                    following.enter_context(figures.following(Place.of(run, submitted)))
                through = Watch(run, submitted, listener).watch()
            if run.stop():
                break
        return through


@dataclass(slots=True)
class Watch:
    """Watches over a job that was submitted. `waiting`: the tasks that are not through in the `attempt`."""

    run: Run
    submitted: Submitted
    listener: Listener
    attempt: int = 0
    waiting: set[str] = field(default_factory=set)

    def watch(self) -> bool:
        """Wait for the end of the run, stop the job with a savepoint; whether all tasks were through then."""
        self.waiting = set(self.submitted.order.layout.tasks)
        until = math.inf
        while True:
            self._hear()
            if self.waiting and not self.run.stop():
                self._refuse_ended()
                until = math.inf
                continue
            until = min(until, monotonic() + STOP_SECONDS)
            if self._stopped(until):
                break
        while self._hear():
            """A job that began anew in the moment of the stop has said so before it could be stopped."""
        return not self.waiting

    def _hear(self) -> bool:
        """Take note of what is said; whether something was."""
        words = list(self.listener.hear(LISTEN_SECONDS))
        for word in words:
            self._refuse(word)
            if word.attempt > self.attempt:  # what was heard before may not be so any more
                self.attempt, self.waiting = word.attempt, set(self.submitted.order.layout.tasks)
            if word.attempt == self.attempt:
                self.waiting.discard(word.through)
        return bool(words)

    def _stopped(self, until: float) -> bool:
        """Stop with a savepoint, with which the last alerts are committed; whether that was done.

        It cannot be where the job is just beginning anew.
        """
        from streams.flink.environment import cancel, stop_with_savepoint  # noqa: PLC0415  # as in submitting.py

        folder = self.run.folder.absolute() / SAVEPOINTS
        why = stop_with_savepoint(self.submitted.client, folder)
        if why is not None:
            self._refuse_ended()
            if monotonic() > until:
                cancel(self.submitted.client)
                raise StateError(f"the job could not be stopped with a savepoint; the same command goes on: {why}")
        return why is None

    def _refuse(self, word: Word) -> None:
        from streams.flink.environment import cancel  # noqa: PLC0415  # as above

        if word.refused:
            cancel(self.submitted.client)
            raise getattr(errors, word.error, TocsinError)(word.refused)

    def _refuse_ended(self) -> None:
        from streams.flink.environment import ended  # noqa: PLC0415  # as above

        why = ended(self.submitted.client)
        if why is not None:
            raise SourceError(f"the Flink job {self.submitted.job} has ended: {why}")
