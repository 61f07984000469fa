"""The one way to wait for what `kubectl wait` cannot express: a probe that is asked until it is true."""

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")

DEADLINE_SECONDS = 240.0
"""For anything that includes a build: 8 tests share 2 processors, and builds wait for their turn."""


def eventually(
    what: str | Callable[[], str], probe: Callable[[], Found | None], seconds: float = DEADLINE_SECONDS
) -> Found:
    """The first result of `probe` that is true; AssertionError "not within 5 s: <what>"."""
    until = time.monotonic() + seconds
    while True:
        found = probe()
        if found:
            return found
        if time.monotonic() > until:
            raise AssertionError(f"not within {seconds:.0f} s: {what if isinstance(what, str) else what()}")
        time.sleep(0.5)
