"""What is done to a run while it goes on, at a random moment."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

from tests.chaos.processes import Processes
from tests.chaos.staging import PARALLELISM, TRICKLE_SECONDS
from tests.waiting import wait_until

if TYPE_CHECKING:
    import random

    from stack import KafkaBroker
    from tests.chaos.staging import Stage

SILENT_SECONDS = 3.5
"""Where one partition is silent, everything came at once, and no run ends before that partition is idle."""


def disturb(stage: Stage, run: Processes, broker: KafkaBroker | None) -> str:
    """Do to the run what the case says, wait for its end, and say what was done."""
    dice = stage.case.dice("moment")
    kind = stage.case.disturbance
    if kind == "calm":
        done = "nothing"
    else:
        _wait(stage, run, dice)
        assert run.running, f"it was over before anything could be done\n{run.said()}"
        if kind == "kill":
            done = _kill(stage, run, dice)
        elif kind == "broker":
            assert broker is not None
            done = _restart(broker, dice)
        else:
            return _balance(stage, run, dice)
    assert run.wait() == 0, run.said()
    return done


def _wait(stage: Stage, run: Processes, dice: random.Random) -> None:
    """Wait for a random moment of the run."""
    if stage.case.order == "silent":
        wait_until(lambda: _begun(stage, run) or not run.running, run.said)
        time.sleep(dice.uniform(0, SILENT_SECONDS))
    elif stage.case.host.runtime == "files":
        wait_until(lambda: stage.told() > 0 or not run.running, run.said)
    else:
        wait_until(lambda: stage.fed.is_set() or not run.running, run.said)
        time.sleep(dice.uniform(0, TRICKLE_SECONDS))


def _begun(stage: Stage, run: Processes) -> bool:
    """Whether it has found its brokers; without them it would not start, and say so."""
    if stage.case.host.runtime == "faust":
        return len(run.workers()) == stage.case.host.workers
    if stage.case.host.runtime == "flink":
        return any((stage.folder / "state" / "checkpoints").glob("*/chk-*/_metadata"))
    return (stage.folder / "state" / "commits" / "manifest.json").exists()


def _kill(stage: Stage, run: Processes, dice: random.Random) -> str:
    victim = dice.randint(-1, stage.case.host.workers - 1) if stage.case.host.runtime == "faust" else -1
    if victim < 0:
        run.kill()
        return "the command was killed and started again"
    wait_until(lambda: victim in run.workers(), run.said)
    os.kill(run.workers()[victim], signal.SIGKILL)
    return f"worker {victim} was killed"


def _restart(broker: KafkaBroker, dice: random.Random) -> str:
    away = dice.uniform(0, 2)
    broker.kill()
    time.sleep(away)
    broker.start()
    return f"the broker was killed and was away for {away:.1f} s and its start"


def _rescale(run: Processes, dice: random.Random) -> str:
    """Stop a job with a savepoint, and start it again."""
    assert run.process is not None
    run.process.terminate()
    assert run.wait() in {0, 143}, run.said()
    parallelism = dice.randint(1, 4)
    run.command = [*run.command, PARALLELISM, str(parallelism)]
    run.start()
    assert run.wait() == 0, run.said()
    return f"the job was stopped and started again at parallelism {parallelism}"


def _balance(stage: Stage, run: Processes, dice: random.Random) -> str:
    """Let a worker leave, or another one join, which may leave again; go on with a job at another parallelism."""
    if stage.case.host.runtime == "flink":
        return _rescale(run, dice)
    if stage.case.host.workers > 1 and dice.random() < 0.4:
        leaver = dice.randint(0, stage.case.host.workers - 1)
        wait_until(lambda: leaver in run.workers(), run.said)
        os.kill(run.workers()[leaver], signal.SIGTERM)
        assert run.wait() == 0, run.said()
        return f"worker {leaver} left"
    leaves = dice.random() < 0.5
    words = stage.words("state of the second")
    words[words.index("--workers") + 1] = "1"
    with Processes(words, stage.folder, "second") as second:
        if leaves:
            time.sleep(dice.uniform(2, 8))
            if second.running and second.process is not None:
                second.process.terminate()
        code = second.wait()
        assert code in ({0, 143, -signal.SIGTERM} if leaves else {0}), second.said()
        assert run.wait() == 0, run.said()
    return "a worker joined" + (" and left" if leaves else "")
