"""Waiting for what a test expects, instead of for a time."""

import asyncio
from collections.abc import Callable


async def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    """Return when the condition holds. Raises TimeoutError when it does not within the seconds."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - any part of the engine may bring it about
            await asyncio.sleep(0.005)
