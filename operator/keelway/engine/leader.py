"""Leader election over a Lease: at most one replica writes (contract, "Leadership").

The terms and numbers are client-go's: another's lease counts as expired when it has not been seen to change for its
duration by our own monotonic clock, so clocks that are off do no harm. Every failure of a call, of whatever sort,
means "not renewed". The write gate opens for the renew deadline from when a successful renewal was *sent*.
"""

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import structlog

from keelway.api.resources import LEASES
from keelway.cluster.connection import Connection, Request
from keelway.cluster.gate import WriteGate
from keelway.errors import Conflict, KeelwayError, NotFound

NAME: Final = "keelway"
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Timing:
    """Seconds, as in client-go: others wait `lease`, the leader gives up after `renew`, both try every `retry`."""

    lease: float = 15.0
    renew: float = 10.0
    retry: float = 2.0
    call: float = 3.0
    """For one request: three of them fit into the renew deadline."""


class Elector:
    """Stands for election, holds the lease, gives it back. One task calls acquire, hold and release in turn."""

    def __init__(
        self,
        connection: Connection,
        gate: WriteGate,
        namespace: str,
        identity: str,
        timing: Timing | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connection = connection
        self._gate = gate
        self._namespace = namespace
        self._identity = identity
        self._timing = timing or Timing()
        self._clock = clock
        self._seen: tuple[Any, ...] | None = None
        self._seen_at = 0.0
        self._lease: dict[str, Any] | None = None
        self._deadline = 0.0
        self._tried_at = self._answered_at = clock()
        self._ever_answered = False

    @property
    def leads(self) -> bool:
        """Whether this replica may write."""
        return self._lease is not None and self._gate.is_open

    @property
    def idle_for(self) -> float:
        """Seconds since a call was last begun."""
        return self._clock() - self._tried_at

    @property
    def unheard_for(self) -> float | None:
        """Seconds since the API server last answered about the Lease; None when it never did."""
        return self._clock() - self._answered_at if self._ever_answered else None

    async def acquire(self) -> None:
        """Return as the leader, with the gate open."""
        while True:
            if await self._attempt():
                break
            await asyncio.sleep(_jittered(self._timing.retry))
        _log.info("leading", identity=self._identity)

    async def hold(self) -> None:
        """Renew until that fails for the renew deadline, or another leads; the gate is shut then."""
        try:
            while self._clock() < self._deadline:
                await asyncio.sleep(min(_jittered(self._timing.retry), max(0.0, self._deadline - self._clock())))
                if not await self._attempt() and self._lease is None:
                    break
        finally:
            self._gate.shut()
        _log.warning("no longer leading", identity=self._identity)

    async def release(self) -> None:
        """Shut the gate and give the lease back, so that another need not wait for its end."""
        self._gate.shut()
        lease, self._lease = self._lease, None
        if lease is None:
            return
        try:
            await self._give_back(lease)
        except Conflict:
            # A renewal that was cut off on its way has been written all the same.
            await self._give_back_afresh()
        except KeelwayError as error:
            _log.info("lease not released", error=str(error))

    async def _give_back_afresh(self) -> None:
        try:
            lease = await self._read()
            if lease is not None and lease["spec"].get("holderIdentity") == self._identity:
                await self._give_back(lease)
        except KeelwayError as error:
            _log.info("lease not released", error=str(error))

    async def _give_back(self, lease: dict[str, Any]) -> None:
        spec = {**lease["spec"], "holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": _now()}
        await self._send("PUT", {**lease, "spec": spec})

    async def _attempt(self) -> bool:
        """One try to take or renew the lease; True when it is ours for another term."""
        begun = self._tried_at = self._clock()
        try:
            async with asyncio.timeout(2 * self._timing.call):
                lease = await self._take(await self._read())
        except Exception as error:
            # Whatever it was, even a Lease that somebody edited into nonsense: not renewed.
            _log.info("lease not renewed", error=str(error) or type(error).__name__)
            return False
        self._answered_at, self._ever_answered = self._clock(), True
        self._lease = lease
        if lease is None:
            return False
        self._deadline = begun + self._timing.renew
        self._gate.open_until(self._deadline, begun + self._timing.lease)
        return True

    async def _read(self) -> dict[str, Any] | None:
        try:
            return await self._send("GET")
        except NotFound:
            return None

    async def _take(self, lease: dict[str, Any] | None) -> dict[str, Any] | None:
        """Write ourselves into the lease as it was read; None when it is another's. 409 raises: somebody was first."""
        if lease is None:
            metadata = {"name": NAME, "namespace": self._namespace}
            new = {"apiVersion": LEASES.api_version, "kind": LEASES.kind, "metadata": metadata}
            return await self._send("POST", {**new, "spec": self._spec({}, mine=False)})
        spec = lease.get("spec") or {}
        mine = spec.get("holderIdentity") == self._identity
        if not mine and not self._has_expired(lease, spec):
            return None
        return await self._send("PUT", {**lease, "spec": self._spec(spec, mine)})

    def _has_expired(self, lease: dict[str, Any], spec: dict[str, Any]) -> bool:
        if not spec.get("holderIdentity"):
            return True
        record = (lease["metadata"]["uid"], lease["metadata"]["resourceVersion"])
        if record != self._seen:
            self._seen, self._seen_at = record, self._clock()
        return self._clock() - self._seen_at > float(spec.get("leaseDurationSeconds") or self._timing.lease)

    def _spec(self, before: dict[str, Any], mine: bool) -> dict[str, Any]:
        now = _now()
        transitions = int(before.get("leaseTransitions") or 0)
        return {
            **before,
            "holderIdentity": self._identity,
            "leaseDurationSeconds": max(1, round(self._timing.lease)),
            "acquireTime": before.get("acquireTime") or now if mine else now,
            "renewTime": now,
            "leaseTransitions": transitions if mine or not before else transitions + 1,
        }

    async def _send(self, method: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        path = LEASES.path(self._namespace, None if method == "POST" else NAME)
        return await self._connection.send(Request(method, path, body=body, seconds=self._timing.call))


def _jittered(seconds: float) -> float:
    """Up to a fifth longer, so that two replicas do not ask at the same moment for ever."""
    return seconds * (1 + random.random() * 0.2)


def _now() -> str:
    """MicroTime. For people to read: nobody decides by it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
