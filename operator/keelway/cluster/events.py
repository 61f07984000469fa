"""Kubernetes Events about Images and Apps: what `kubectl describe` shows at its end.

Best effort: an Event that cannot be written is logged and never ends a pass. The same word about the same object is
counted up for a while instead of written again, as client-go's correlator does.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal
from uuid import uuid4

import structlog

from keelway.api.labels import FIELD_MANAGER
from keelway.api.resources import EVENTS
from keelway.cluster.client import Cluster
from keelway.errors import KeelwayError, NotLeader

# client-go counts repeats up for ten minutes; the API server keeps Events for an hour.
AGGREGATE_SECONDS: Final = 600.0
_REMEMBERED: Final = 4096
# core/v1 Event: message has at most 1024 bytes.
_MESSAGE_BYTES: Final = 1024

_log = structlog.get_logger(__name__)


@dataclass
class _Told:
    namespace: str
    name: str
    count: int
    since: float


class Events:
    """Tells Events, of type Normal or Warning. Neither method raises."""

    def __init__(
        self, cluster: Cluster, instance: str = FIELD_MANAGER, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._cluster = cluster
        self._instance = instance
        self._clock = clock
        self._told: OrderedDict[tuple[str, str, str], _Told] = OrderedDict()

    async def normal(self, obj: Mapping[str, Any], reason: str, message: str) -> None:
        """Something went as it should. `obj` needs apiVersion, kind and metadata."""
        await self._tell(obj, "Normal", reason, message)

    async def warning(self, obj: Mapping[str, Any], reason: str, message: str) -> None:
        """Something went wrong."""
        await self._tell(obj, "Warning", reason, message)

    async def _tell(
        self, obj: Mapping[str, Any], type_: Literal["Normal", "Warning"], reason: str, message: str
    ) -> None:
        key = (obj["metadata"]["uid"], reason, message)
        told = self._told.get(key)
        try:
            if told is not None and self._clock() - told.since < AGGREGATE_SECONDS:
                await self._count_up(told)
                return
            created = await self._cluster.create(EVENTS, self._event(obj, type_, reason, message))
        except NotLeader:
            return  # the new leader tells what is so
        except KeelwayError as error:
            _log.warning("event not written", about=obj["metadata"]["name"], reason=reason, error=str(error))
            return
        metadata = created["metadata"]
        self._told[key] = _Told(metadata["namespace"], metadata["name"], 1, self._clock())
        self._told.move_to_end(key)
        if len(self._told) > _REMEMBERED:
            self._told.popitem(last=False)

    async def _count_up(self, told: _Told) -> None:
        told.count += 1
        patch = {"count": told.count, "lastTimestamp": _now()}
        await self._cluster.merge_patch(EVENTS, told.namespace, told.name, patch)

    def _event(self, obj: Mapping[str, Any], type_: str, reason: str, message: str) -> dict[str, Any]:
        metadata = obj["metadata"]
        now = _now()
        return {
            "apiVersion": EVENTS.api_version,
            "kind": EVENTS.kind,
            "metadata": {"name": f"{metadata['name']}.{uuid4().hex[:16]}", "namespace": metadata["namespace"]},
            "involvedObject": {
                "apiVersion": obj["apiVersion"],
                "kind": obj["kind"],
                "namespace": metadata["namespace"],
                "name": metadata["name"],
                "uid": metadata["uid"],
            },
            "type": type_,
            "reason": reason,
            "message": message.encode()[:_MESSAGE_BYTES].decode(errors="ignore"),
            "count": 1,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "source": {"component": FIELD_MANAGER, "host": self._instance},
            "reportingComponent": f"{FIELD_MANAGER}.dev/operator",
            "reportingInstance": self._instance,
        }


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
