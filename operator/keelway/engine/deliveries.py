"""Writes webhooks' deliveries on the Images that they concern, in any replica: `hooks/` says which these are.

A replica that does not lead has no cache, and one way for all is enough: Images are listed, for all deliveries that
came meanwhile together, and no sooner than a second after the last list. So a hundred pushes a second cost one list and
one write an Image. What is written is a word in the status (`lastDelivery`), which the leader sees through its watch.
Where it is there already, the delivery was sent again, and nothing is written.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

import structlog

from keelway.api.resources import IMAGES
from keelway.cluster.client import Cluster
from keelway.errors import Forbidden, Invalid, KeelwayError, NotFound, Transient
from keelway.hooks.concerned import Concerned, Delivery
from keelway.registry.mirrors import Mirrors

PAUSE_SECONDS: Final = 1.0
MOST_WAITING: Final = 1000
"""Deliveries that wait for the next list; a thousand of them take a few megabytes."""
# An Image may hold 256 KiB of files.
_PAGE: Final = 100
# GitHub sends nothing a second time.
_TRIES: Final = 3
_AGAIN_SECONDS: Final = 0.5

_log = structlog.get_logger(__name__)


@dataclass
class _Waiting:
    delivery: Delivery
    concerned: asyncio.Future[int]


@dataclass(frozen=True)
class _Due:
    """What is to be written on that Image."""

    namespace: str
    name: str
    delivery: str


@dataclass
class Deliveries:
    """`async with Deliveries(...) as deliveries`, then `await deliveries.record(one)`."""

    cluster: Cluster
    mirrors: Mirrors
    pause_seconds: float = PAUSE_SECONDS
    _waiting: list[_Waiting] = field(default_factory=list)
    _some: asyncio.Event = field(default_factory=asyncio.Event)
    _task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="deliveries")
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        for one in self._waiting:
            one.concerned.cancel()

    async def record(self, delivery: Delivery) -> int:
        """How many Images it concerns; all of them carry it then.

        Raises Transient TooManyDeliveries, or what kept the API server from answering.
        """
        if len(self._waiting) >= MOST_WAITING:
            raise Transient("TooManyDeliveries", "Too many deliveries wait. Send it again later.", self.pause_seconds)
        one = _Waiting(delivery, asyncio.get_running_loop().create_future())
        self._waiting.append(one)
        self._some.set()
        return await one.concerned

    async def _run(self) -> None:
        while True:
            await self._some.wait()
            self._some.clear()
            taken, self._waiting = self._waiting, []
            await self._settle(taken)
            await asyncio.sleep(self.pause_seconds)

    async def _settle(self, taken: list[_Waiting]) -> None:
        """All who wait hear of it, whatever happens; those who went away do not."""
        waiting = [one for one in taken if not one.concerned.done()]
        try:
            concerned = await self._write({one.delivery.name: one.delivery for one in taken})
        except asyncio.CancelledError:
            for one in waiting:
                one.concerned.cancel()
            raise
        except Exception as error:
            if not isinstance(error, KeelwayError):
                _log.exception("deliveries not recorded")
            for one in waiting:
                if not one.concerned.done():
                    one.concerned.set_exception(error)
            return
        for one in waiting:
            if not one.concerned.done():
                one.concerned.set_result(concerned[one.delivery.name])

    async def _write(self, deliveries: Mapping[str, Delivery]) -> Counter[str]:
        """How many Images each concerns; tried again where the API server is away for a moment."""
        concerned = Concerned(deliveries.values(), self.mirrors)
        for _ in range(_TRIES - 1):
            try:
                return await self._write_once(concerned)
            except Transient as error:
                _log.info("deliveries not recorded yet", error=str(error))
                await asyncio.sleep(_AGAIN_SECONDS)
        return await self._write_once(concerned)

    async def _write_once(self, concerned: Concerned) -> Counter[str]:
        counted: Counter[str] = Counter()
        due: list[_Due] = []
        async for page in self.cluster.pages(IMAGES, limit=_PAGE):
            for image in page.get("items") or ():
                if not (names := concerned.by(image)):
                    continue
                counted.update(names)
                if _last_of(image) != names[-1]:
                    metadata = image["metadata"]
                    due.append(_Due(metadata["namespace"], metadata["name"], names[-1]))
        # One that cannot be written on keeps no other back.
        written = await asyncio.gather(*map(self._write_on, due), return_exceptions=True)
        for error in written:
            if error is not None:
                raise error
        return counted

    async def _write_on(self, due: _Due) -> None:
        """Raises what another try may cure. An Image that has taken the name meanwhile is looked at once in vain."""
        patch = {"status": {"lastDelivery": due.delivery}}
        try:
            await self.cluster.merge_patch(IMAGES, due.namespace, due.name, patch, subresource="status")
        except NotFound:
            return
        except (Forbidden, Invalid) as error:
            _log.warning("delivery refused", image=f"{due.namespace}/{due.name}", error=str(error))
            return
        _log.info("delivery recorded", image=f"{due.namespace}/{due.name}", delivery=due.delivery)


def _last_of(image: Mapping[str, Any]) -> Any:
    status = image.get("status")
    return status.get("lastDelivery") if isinstance(status, Mapping) else None
