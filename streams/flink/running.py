"""One `tocsin run --runtime flink`: a job is submitted, watched over, and stopped with a savepoint."""

from __future__ import annotations

from contextlib import ExitStack, closing
from dataclasses import dataclass
from time import monotonic, sleep
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
    with held(run.folder), ExitStack() as following:
        order = prepare(run)
        if figures is not None:
            open_rest(run)
        with closing(Listener(order.servers, words_of(order.group), order.run)) as listener:
            submitted = hand_over(run, order)
            if figures is not None:
                following.enter_context(figures.following(Place.of(run, submitted)))
            return _Watch(run, submitted, listener).watch()


@dataclass(slots=True)
class _Watch:
    """Watches over a job that was submitted."""

    run: Run
    submitted: Submitted
    listener: Listener

    def watch(self) -> bool:
        """Wait for the end of the run, stop the job with a savepoint; whether all tasks are through."""
        waiting = set(self.submitted.order.layout.tasks)
        attempt = 0
        while waiting and not self.run.stop():
            for word in self.listener.hear(LISTEN_SECONDS):
                self._refuse(word)
                if word.attempt > attempt:  # the job was restarted: what was heard before may not be so any more
                    attempt, waiting = word.attempt, set(self.submitted.order.layout.tasks)
                waiting.discard(word.through)
            self._refuse_ended()
        self._stop()
        return not waiting

    def _stop(self) -> None:
        """Stop with a savepoint, with which the last alerts are committed; again where the job is just restarting."""
        from streams.flink.environment import stop_with_savepoint  # noqa: PLC0415  # as in submitting.py

        folder = self.run.folder.absolute() / SAVEPOINTS
        until = monotonic() + STOP_SECONDS
        while (why := stop_with_savepoint(self.submitted.client, folder)) is not None:
            self._refuse_ended()
            if monotonic() > until:
                self.submitted.client.cancel().result()
                raise StateError(f"the job could not be stopped with a savepoint; the same command goes on: {why}")
            sleep(LISTEN_SECONDS)

    def _refuse(self, word: Word) -> None:
        if word.refused:
            self.submitted.client.cancel().result()
            raise getattr(errors, word.error, TocsinError)(word.refused)

    def _refuse_ended(self) -> None:
        from streams.flink.environment import ended  # noqa: PLC0415  # as above

        why = ended(self.submitted.client)
        if why is not None:
            raise SourceError(f"the Flink job {self.submitted.job} has ended: {why}")
