"""One worker process: `python -m streams.faust.worker ORDER NUMBER`. The supervisor starts it, or whoever places them.

It ends with 0 when it was told to, or when a run with `--until` is through; with REFUSED when starting it again would
end in the same way; with UNREACHABLE when no broker answered as it began; with anything else when it is worth another
try.
"""

from __future__ import annotations

import asyncio
import ctypes
import faulthandler
import logging
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monitoring import registry
from monitoring.metrics import MemoryMetrics
from streams.chosen_sinks import choose_sinks, deliveries
from streams.dead_letters import DeadLetterStore
from streams.faust.app import FaustWire, add_agents, make_app
from streams.faust.assembly import Around, batched, layout_of, make_hosting
from streams.faust.beside import guarded
from streams.faust.client_log import spare_the_log
from streams.faust.clock import Clock, listen, tell
from streams.faust.ending import Ending, EndingWorker
from streams.faust.order import Order
from streams.faust.outlets import Outlets
from streams.faust.pages import add_pages
from streams.faust.security import aiokafka_settings, credentials_of
from streams.faust.topics import clock_of, exchange_of, partitions_of
from streams.garbage import search_rarely
from streams.kafka.dead_letters import DeadLettersByStream
from streams.local.pages import keep_pages
from streams.local.tally import Tally, process_of
from streams.pseudonyms import load_pseudonyms
from streams.tasks.inputs import uris_of
from streams.turns import take_short_turns
from tocsin.compiler import compile_topology
from tocsin.errors import SinkUnavailable, SourceError, TocsinError
from tocsin.language import load

if TYPE_CHECKING:
    import faust

    from streams.faust.hosting import Hosting

REFUSED = 3
UNREACHABLE = 4
LOOK_SECONDS = 0.5
FLUSH_SECONDS = 5.0
"""How long sinks have at the end; what they lack then stays in the state."""


class Failure:
    """What ended the worker of a number."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.error: BaseException | None = None
        self.app: faust.App | None = None
        self.ending = Ending(self._code)

    def _code(self) -> int:
        """Give the exit code of an end that was cut short; what refuses to go on is said then, too."""
        if isinstance(self.error, TocsinError):
            return say_end(self.number, self.error)
        return 0 if self.error is None else 1

    async def __call__(self, error: BaseException) -> None:
        """Note the first error, and crash the application."""
        self.error = self.error or error
        self.ending.begin()
        if self.app is not None:
            await self.app.crash(error)


def build(order: Order, number: int, failure: Failure) -> tuple[faust.App, Hosting]:
    """Make the application of a worker."""
    plan, pseudonyms = compile_topology(load(order.topology)), load_pseudonyms()
    metrics, folder = MemoryMetrics(), order.folder / f"worker-{number}"
    metrics.gauge(registry.PROCESS_INFO.of(process_of(plan, "faust")), 1)
    web: dict[str, Any] = {"web_enabled": False}
    if order.web_ports:
        web = {"web_bind": order.web_host, "web_port": order.web_ports[number]}
    settings: dict[str, Any] = {**web, **order.settings}
    app = make_app(order.group, order.servers, folder, credentials_of(order.servers), **settings)
    wire = FaustWire(app, batched(order, layout_of(plan, order)), exchange_of(order.group))
    uris = uris_of(order.servers, order.topics)
    letters = DeadLettersByStream.of(uris, DeadLetterStore(folder / "dead"), warn)
    outlets = Outlets(deliveries(choose_sinks(plan, order.sinks), metrics))
    hosting = make_hosting(plan, order, pseudonyms, Around(wire, letters, outlets, Tally(metrics), failure))
    add_agents(app, hosting)
    add_pages(app, metrics, hosting.health)
    failure.app = app
    return app, hosting


def warn(sentence: str) -> None:
    """Say it in the worker's log."""
    print(f"tocsin: {sentence}", file=sys.stderr)  # noqa: T201  # its own word, beside Faust's log


def run(order: Order, number: int) -> int:
    """Run a worker until it ends; give its exit code."""
    keep_pages()
    failure = Failure(number)
    app, hosting = build(order, number, failure)
    search_rarely()
    hosting.outlets.start()
    hosting.following.start()
    if hosting.early is not None:
        hosting.early.start()

    async def finish(*_: object, **__: object) -> None:
        await hosting.close(FLUSH_SECONDS)

    app.on_before_shutdown.connect(finish)

    async def keep_time() -> None:
        await guarded(failure, _keep_time(app, hosting, order))

    app.task(keep_time)
    settings = {"loglevel": os.environ.get("TOCSIN_LOG", "WARN"), "redirect_stdouts": False, "quiet": True}
    worker = EndingWorker(app, failure.ending, **settings)
    worker.spinner = None  # the terminal is the console sink's
    try:
        worker.execute_from_commandline()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    if isinstance(failure.error, TocsinError):
        raise failure.error
    return code or (0 if failure.error is None else 1)


def say_end(number: int, error: TocsinError) -> int:
    """Say what a worker ends with; give its exit code."""
    warn(f"worker {number}: {error}")
    return 1 if isinstance(error, SinkUnavailable) else REFUSED


async def _keep_time(app: faust.App, hosting: Hosting, order: Order) -> None:
    """Read and write the clock topic; end the process when the run is over for all tasks of the group."""
    clock, topic = Clock(hosting.intake.keys), clock_of(order.group)

    async def send(tick: bytes) -> None:
        await app.producer.send(topic, None, tick, 0, None, None)

    beside = [
        asyncio.create_task(guarded(hosting.fail, listen(clock, topic, aiokafka_settings(order.servers)))),
        asyncio.create_task(guarded(hosting.fail, tell(send, hosting.say))),
    ]
    try:
        tasks, started = hosting.tasks, os.getppid()
        while order.until is None or not clock.through >= tasks:
            if started != os.getppid():
                break  # nobody would start or end this worker any more
            hosting.health.beat()
            await hosting.pass_time(clock.now)
            await hosting.follow()
            hosting.balance(clock.marks)
            hosting.tell()
            await asyncio.sleep(LOOK_SECONDS)
        os.kill(os.getpid(), signal.SIGTERM)
    finally:
        for one in beside:
            one.cancel()


_PR_SET_PDEATHSIG = 1
"""Of `prctl` (Linux, sys/prctl.h)."""


def end_with_parent() -> None:
    """Be killed with the supervisor (Linux), so that nothing is in the way of the next one."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def main() -> int:
    """Run what the command line says."""
    path, number = sys.argv[1:]
    end_with_parent()
    faulthandler.enable()  # into the worker's log
    logging.captureWarnings(capture=True)
    spare_the_log()
    take_short_turns()
    order = Order.read(Path(path))
    try:
        asyncio.run(partitions_of(order.servers, order.topics.values()))
    except SourceError as error:
        warn(f"worker {number}: {error}")
        return UNREACHABLE
    try:
        return run(order, int(number))
    except TocsinError as error:
        return say_end(int(number), error)


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # threads of clients must not hold up the end
