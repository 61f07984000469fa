"""Work that goes on beside a measurement: watches and editors."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any


@asynccontextmanager
async def background(*work: Coroutine[Any, Any, Any]) -> AsyncIterator[None]:
    """Do all of it while the block lasts. Raises what ended one of them before, in place of what that led to."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        yield
    finally:
        failed = [task.exception() for task in tasks if task.done() and not task.cancelled()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for error in failed:
            if error is not None:
                raise error
