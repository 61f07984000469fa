"""What of an object matters to a pass (contract rule 4). A change of anything else wakes nobody.

HPAs alone report every 15 s, Deployments with each heartbeat of a condition.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import orjson

from keelway.api.resources import BUILDS, DEPLOYMENTS, IMAGES, JOBS, PODS, Resource

LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
_NOISE: Final = frozenset({LAST_APPLIED, "deployment.kubernetes.io/revision"})
_TIMES: Final = frozenset({"lastUpdateTime", "lastTransitionTime", "lastProbeTime", "lastHeartbeatTime"})
# The parts of status that are read; of a kind that is not named here, none is. Of an Image's status `latest` is read by
# the Apps that follow it, and `lastDelivery` is written by webhooks; the status of an App is read only by its own pass,
# which wrote it.
_STATUS: Final[Mapping[Resource, tuple[str, ...]]] = MappingProxyType(
    {
        IMAGES: ("latest", "lastDelivery"),
        BUILDS: ("conditions", "version", "digest", "reference", "quarantine"),
        DEPLOYMENTS: (
            "observedGeneration",
            "replicas",
            "updatedReplicas",
            "readyReplicas",
            "availableReplicas",
            "unavailableReplicas",
            "conditions",
        ),
        JOBS: ("conditions", "startTime", "completionTime", "succeeded", "failed"),
        PODS: ("phase", "reason", "message", "containerStatuses", "initContainerStatuses", "conditions"),
    }
)


def fingerprint(resource: Resource, obj: Mapping[str, Any]) -> int:
    """A number that changes when, and only when, something changed that a pass reads. Holds for this process only."""
    metadata = obj["metadata"]
    annotations = metadata.get("annotations") or {}
    status = obj.get("status")
    status = status if isinstance(status, Mapping) else {}
    relevant = (
        obj.get("spec"),
        metadata.get("labels"),
        {name: value for name, value in annotations.items() if name not in _NOISE},
        metadata.get("ownerReferences"),
        metadata.get("deletionTimestamp"),
        [_timeless(field, status.get(field)) for field in _STATUS.get(resource, ())],
    )
    return hash(orjson.dumps(relevant, option=orjson.OPT_SORT_KEYS))


def _timeless(field: str, value: Any) -> Any:
    if field != "conditions" or not isinstance(value, list):
        return value
    return [_without_times(one) if isinstance(one, Mapping) else one for one in value]


def _without_times(condition: Mapping[str, Any]) -> dict[str, Any]:
    return {name: part for name, part in condition.items() if name not in _TIMES}
