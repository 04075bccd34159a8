"""What is done beside the event loop: in threads, and in tasks whose failure ends the worker."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from concurrent.futures import Executor

    Fail = Callable[[BaseException], Coroutine[Any, Any, None]]
    """Takes what ends the worker."""


async def in_thread(threads: Executor | None, call: Callable[[], Any]) -> Any:  # noqa: ANN401  # whatever the call gives
    """Do something in a thread; None: in one of asyncio's own."""
    return await asyncio.get_running_loop().run_in_executor(threads, call)


async def guarded(fail: Fail, doing: Coroutine[Any, Any, None]) -> None:
    """Do something, and pass on what it raises: nobody else waits for it."""
    try:
        await doing
    except asyncio.CancelledError:
        raise
    except Exception as error:  # noqa: BLE001  # whatever it is
        await fail(error)
