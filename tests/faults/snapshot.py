"""What the cluster has of a namespace, without what differs from run to run: two runs that end alike compare equal.

Left out are uids, resource versions, times, addresses, and hashes over these; random parts of names become "*". What
stays says a lot: a Deployment's generation and revision tell how often it was changed and rolled out, the ReplicaSets
which pod templates there ever were. Pods that are going away do not count: they may take their time.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from keelway.api.labels import IMAGE_NAMESPACE_LABEL
from keelway.api.resources import (
    APPS,
    BUILDS,
    DEPLOYMENTS,
    HPAS,
    IMAGES,
    JOBS,
    PODS,
    SECRETS,
    SERVICES,
    Resource,
)
from keelway.children.base import HASH_ANNOTATION
from tests.faults.api import Api
from tests.kubectl import JsonObject

REPLICA_SETS = Resource("apps", "v1", "replicasets", "ReplicaSet")
OURS = (IMAGES, BUILDS, APPS)
IN_NAMESPACE = (*OURS, DEPLOYMENTS, REPLICA_SETS, SERVICES, HPAS, PODS, SECRETS)
BUILDS_NAMESPACE = "keelway-builds"
IN_BUILDS_NAMESPACE = (JOBS, PODS, SECRETS)

Snapshot = dict[str, Any]
"""The objects by "Kind/name"; what has the same name without its random part, several pods say, is numbered."""

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_FROM_RUN_TO_RUN = re.compile(
    r"uid$|^resourceVersion$|^managedFields$|^generateName$|^selfLink$|^time$|Time$|Timestamp$|At$"
    r"|^clusterIPs?$|^healthCheckNodePort$|^nodeName$|-uid$|^desired-replicas$|^max-replicas$"
)
_LEFT_OUT = {HASH_ANNOTATION, "batch.kubernetes.io/job-tracking", "kubectl.kubernetes.io/last-applied-configuration"}
_COUNTED = {"replicas", "readyReplicas", "updatedReplicas", "availableReplicas", "unavailableReplicas"}
# Of kinds that others bring further, what they say changes with the weather.
_WITHOUT_STATUS = {"HorizontalPodAutoscaler", "Job", "Service", "ReplicaSet"}


def objects(api: Api, namespace: str) -> list[JsonObject]:
    """All that Keelway and Kubernetes made of it: in the namespace, and in the builds' namespace for it."""
    here = [one for resource in IN_NAMESPACE for one in api.list(resource, namespace)]
    selector = f"{IMAGE_NAMESPACE_LABEL}={namespace}"
    return here + [one for r in IN_BUILDS_NAMESPACE for one in api.list(r, BUILDS_NAMESPACE, selector)]


def snapshot(api: Api, namespace: str) -> Snapshot:
    """The namespace as it is now."""
    return normalised(objects(api, namespace), namespace)


def normalised(found: list[JsonObject], namespace: str) -> Snapshot:
    """The objects by name, without what differs from run to run."""
    lasting = [one for one in found if one["kind"] != "Pod" or "deletionTimestamp" not in one["metadata"]]
    bare = sorted((_name(one), json.dumps(_bare(one), sort_keys=True)) for one in lasting)
    text = json.dumps(dict(_numbered(bare)), sort_keys=True).replace(namespace, "NAMESPACE")
    digests: dict[str, str] = {}
    text = _DIGEST.sub(lambda match: digests.setdefault(match[0], f"sha256:#{len(digests) + 1}"), text)
    named: Snapshot = {name: json.loads(value) for name, value in json.loads(text).items()}
    return named


def shown(taken: Snapshot) -> list[str]:
    """Lines for a diff."""
    return json.dumps(taken, indent=1, sort_keys=True).splitlines()


def _numbered(bare: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    times: dict[str, int] = {}
    for name, text in bare:
        times[name] = times.get(name, 0) + 1
        yield (name if times[name] == 1 else f"{name} #{times[name]}"), text


def _name(obj: JsonObject) -> str:
    metadata = obj["metadata"]
    name = metadata["name"]
    if obj["kind"] in ("Job", "Secret", "ReplicaSet") or "generateName" in metadata:
        # Eight digits of a uid, a hash, five random letters: the end of what made it.
        name = f"{metadata.get('generateName', name.rpartition('-')[0] + '-')}*"
    return f"{obj['kind']}/{name}"


def _bare(obj: JsonObject) -> JsonObject:
    kept = {key: value for key, value in obj.items() if key in ("kind", "metadata", "spec", "data", "status")}
    kept["metadata"] = {**obj["metadata"], "name": _name(obj)}
    match obj["kind"]:
        case "Secret":
            kept["data"] = sorted(obj.get("data") or {})
        case "Pod":
            kept["spec"] = {"containers": [one["image"] for one in obj["spec"]["containers"]]}
            kept["status"] = {"phase": obj.get("status", {}).get("phase")}
            _drop_labels(kept, "pod-template-hash", "job-name", "batch.kubernetes.io/job-name")
        case "ReplicaSet":
            _drop_labels(kept, "pod-template-hash")
            kept["spec"] = {"replicas": obj["spec"]["replicas"], "template": obj["spec"]["template"]["spec"]}
        case "Deployment":
            kept["status"] = {name: value for name, value in obj.get("status", {}).items() if name in _COUNTED}
    if obj["kind"] in _WITHOUT_STATUS:
        kept.pop("status", None)
    result: JsonObject = _steady(kept)
    return result


def _drop_labels(obj: JsonObject, *labels: str) -> None:
    metadata = obj["metadata"]
    kept = {name: value for name, value in (metadata.get("labels") or {}).items() if name not in labels}
    obj["metadata"] = {**metadata, "labels": kept}


def _steady(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: _steady(inner)
            for name, inner in value.items()
            if name not in _LEFT_OUT and not _FROM_RUN_TO_RUN.search(name)
        }
    if isinstance(value, list):
        return [_steady(inner) for inner in value]
    return value
