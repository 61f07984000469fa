"""What must be so after every trial: the operator lives, no pass failed, nothing is written on and on."""

import asyncio
import time
from collections import Counter

from devcluster.outside import Operator
from tests.faults.proxy import Proxy

WRITES_A_CHANGE = 15
"""Of one object and its children, Events aside: three children, a hand-over, and a status a step of the rollout."""
_QUIET_SECONDS = 3.0
_QUIET_WITHIN = 60.0
_POLL_SECONDS = 0.2


def is_unharmed(operator: Operator) -> None:
    """It runs, and no pass ended by an exception that nobody expected."""
    log = operator.log.read_text()
    failed = [line for line in log.splitlines() if "pass failed" in line or "Traceback" in line]
    assert operator.running, f"the operator ended: {log[-4000:]}"
    assert not failed, f"{len(failed)} passes failed: {failed[0][:4000]}"


def has_no_hot_loop(proxy: Proxy, namespace: str, changes: int) -> None:
    """No object had more writes than so many changes explain."""
    counts = Counter(_name(one.call.path) for one in proxy.writes if _counts(one.call.path, namespace))
    most = counts.most_common(3)
    assert not most or most[0][1] <= changes * WRITES_A_CHANGE, f"written again and again: {most}"


async def falls_quiet(proxy: Proxy, namespace: str) -> None:
    """Nothing is written any more: not for so long, and soon."""
    until = time.monotonic() + _QUIET_WITHIN
    while True:
        written = [one for one in proxy.writes if _counts(one.call.path, namespace)]
        if not written or time.monotonic() - written[-1].at > _QUIET_SECONDS:
            return
        assert time.monotonic() < until, f"still written: {[str(one) for one in written[-5:]]}"
        await asyncio.sleep(_POLL_SECONDS)


def _counts(path: str, namespace: str) -> bool:
    return f"/namespaces/{namespace}/" in path and "/events" not in path


def _name(path: str) -> str:
    """Of the owner: its children have its name."""
    return path.removesuffix("/status").rpartition("/")[2]
