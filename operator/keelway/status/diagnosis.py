"""PURE: what pods tell: why a rollout does not get on, so that a person need not look; and the digest that runs.

Of an App the pods are those that its selector finds, and only the newest template's are looked at; of an Image those of
its running build. A finding says the cause first, then what to do.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

_TAIL = 1024
# Most programs answer within seconds; a message that comes and goes would only disturb.
_TO_GET_READY = timedelta(seconds=15)


class Outlook(Enum):
    """What it takes for the pods to start."""

    OWN_CHANGE = "OwnChange"
    """Only a change of the owner's spec: waiting does not help."""
    OUTSIDE = "Outside"
    """Something beside the owner changes (a Secret, a registry, a node), and it goes on by itself."""
    OPEN = "Open"
    """Nobody can know: hoped for until the Deployment's deadline, then a change of the owner's spec."""


@dataclass(frozen=True)
class Finding:
    """`reason` is CamelCase, `message` cause and remedy."""

    reason: str
    message: str
    outlook: Outlook = Outlook.OPEN


_PULL_REMEDY = (
    "Check the image's name and, for a private registry, the Secret to pull with; it is pulled again by itself."
)
_START_REMEDY = "Check spec.command and the image's ENTRYPOINT."

# Waiting reasons of the kubelet (pkg/kubelet/images, pkg/kubelet/kuberuntime), with what a user can do.
_WAITING: Mapping[str, tuple[str, str, Outlook]] = {
    "ImagePullBackOff": ("ImagePullFailed", _PULL_REMEDY, Outlook.OUTSIDE),
    "ErrImagePull": ("ImagePullFailed", _PULL_REMEDY, Outlook.OUTSIDE),
    "ErrImageNeverPull": ("ImagePullFailed", _PULL_REMEDY, Outlook.OUTSIDE),
    "InvalidImageName": ("InvalidImageName", "Correct spec.image.reference.", Outlook.OWN_CHANGE),
    "CreateContainerConfigError": (
        "ContainerConfigError",
        "Create the Secret, ConfigMap or key that it names; the pod starts by itself then.",
        Outlook.OUTSIDE,
    ),
    "CreateContainerError": ("ContainerStartFailed", _START_REMEDY, Outlook.OPEN),
    "RunContainerError": ("ContainerStartFailed", _START_REMEDY, Outlook.OPEN),
}
# How a container ended that was never really started (runc could not find or run its command).
NOT_STARTED = frozenset({"StartError", "ContainerCannotRun"})


def diagnose(pods: Iterable[Mapping[str, Any]], now: datetime) -> Finding | None:
    """The most telling finding over the newest template's pods; None where nothing is wrong that shows."""
    pods = newest(list(pods))
    findings = [finding for pod in pods if (finding := of_pod(pod) or _not_ready(pod, now)) is not None]
    return min(findings, key=lambda finding: finding.outlook is not Outlook.OWN_CHANGE, default=None)


def diagnose_pending(pods: Iterable[Mapping[str, Any]]) -> Finding | None:
    """What keeps the first of the pods that have not started from starting; None where nothing shows."""
    pending = (pod for pod in pods if pod.get("status", {}).get("phase") == "Pending")
    return next((finding for pod in pending if (finding := of_pod(pod)) is not None), None)


def running_digest(pods: Sequence[Mapping[str, Any]], container: str) -> str | None:
    """repository@sha256:... that the newest template's pods run in that container, where its tag could not be resolved.

    None while no pod has started, where a node knows the image by no digest, or where nodes disagree about the tag.
    """
    statuses = (one for pod in newest(pods) for one in pod.get("status", {}).get("containerStatuses", []))
    found = {one.get("imageID", "") for one in statuses if one["name"] == container} - {""}
    digest = found.pop() if len(found) == 1 else ""
    return digest if "@sha256:" in digest else None


def newest(pods: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The pods that share the youngest pod's template hash; without those that are gone or going.

    A pod of a Deployment restarts its container for ever: where its phase says that it ended, it was evicted or lost
    its node, and another one has taken its place.
    """
    alive = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"] and not _has_ended(pod)]
    if not alive:
        return []
    youngest = max(alive, key=lambda pod: str(pod["metadata"].get("creationTimestamp", "")))
    return [pod for pod in alive if _template(pod) == _template(youngest)]


def _template(pod: Mapping[str, Any]) -> str:
    return str(pod["metadata"].get("labels", {}).get("pod-template-hash", ""))


def _has_ended(pod: Mapping[str, Any]) -> bool:
    return pod.get("status", {}).get("phase") in ("Failed", "Succeeded")


def of_pod(pod: Mapping[str, Any]) -> Finding | None:
    """What keeps this pod from starting or running on; None where nothing shows."""
    status = pod.get("status", {})
    name = pod["metadata"]["name"]
    for container in (*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])):
        finding = _of_container(pod, container)
        if finding is not None:
            return finding
    for condition in status.get("conditions", []):
        if condition["type"] == "PodScheduled" and condition.get("reason") == "Unschedulable":
            cause = condition.get("message", "").rstrip(". ")
            return Finding("Unschedulable", f"Pod {name} fits on no node: {cause}. {_fit(cause)}", Outlook.OUTSIDE)
    return None


def _fit(cause: str) -> str:
    """By the scheduler's words (k8s.io/kubernetes, pkg/scheduler/framework/plugins)."""
    remedies = {
        "Insufficient": "lower its resources.requests",
        "affinity/selector": "correct podTemplate.nodeSelector",
        "taint": "tolerate the taint in podTemplate.tolerations",
    }
    fitting = [remedy for words, remedy in remedies.items() if words in cause]
    remedy = ", ".join([*fitting, "or add a node that fits" if fitting else "add a node that fits"])
    return f"{remedy[0].upper()}{remedy[1:]}."


def _named(pod: Mapping[str, Any], container: Mapping[str, Any]) -> str:
    """`Pod x`, or the container of it where there is more than one that stays."""
    name, sidecar = pod["metadata"]["name"], container["name"]
    sidecars = [one["name"] for one in pod.get("spec", {}).get("initContainers", ()) if "restartPolicy" in one]
    return f"Container {sidecar} of pod {name}" if sidecar in sidecars else f"Pod {name}"


def _of_container(pod: Mapping[str, Any], container: Mapping[str, Any]) -> Finding | None:
    name = _named(pod, container)
    waiting = container.get("state", {}).get("waiting", {})
    known = _WAITING.get(waiting.get("reason", ""))
    if known is None:
        return _crashed(pod, container)
    detail = _cause(waiting)
    if "runAsNonRoot" in detail or "non-root policy" in detail:
        user = (
            "a user given by name, which may be root" if "non-numeric" in detail else "root, which these pods may not"
        )
        return Finding("ImageRunsAsRoot", f"{name}: its image runs as {user}. {_ROOT_REMEDY}", Outlook.OWN_CHANGE)
    reason, remedy, outlook = known
    return Finding(reason, f"{name}: {detail}. {remedy}", outlook)


_ROOT_REMEDY = (
    "Name a user in securityContext.runAsUser, or set security: Baseline; in an image of your own, put a line like "
    "`USER 1000` at the end of its Dockerfile."
)
# containerd's pull errors begin so, whatever they say.
_PULL_PREFIX = re.compile(r"^rpc error: code = \w+ desc = (failed to pull and unpack image \S+: )?")


def _cause(waiting: Mapping[str, Any]) -> str:
    """The kubelet's message; of a failed pull without the change between trying and backing off."""
    message: str = waiting.get("message") or waiting["reason"]
    return _PULL_PREFIX.sub("", message.rpartition("ErrImagePull: ")[2]).rstrip(". ")


def _crashed(pod: Mapping[str, Any], container: Mapping[str, Any]) -> Finding | None:
    if container.get("ready"):
        return None  # it serves again: what it died of is history
    ended = container.get("state", {}).get("terminated") or container.get("lastState", {}).get("terminated")
    if ended is None:
        return None
    name = _named(pod, container)
    tail = ended.get("message", "").strip()[-_TAIL:]
    log = f"\nIts last lines:\n{tail}" if tail else ""
    if ended.get("reason") in NOT_STARTED:
        return Finding("ContainerStartFailed", f"{name} could not start its program. {_START_REMEDY}{log}")
    if ended.get("reason") == "OOMKilled":
        how, remedy = "ran out of memory", "Raise resources.limits.memory, or make the program use less."
    else:
        how = f"exited with code {ended.get('exitCode')}"
        remedy = "Correct the program, its configuration, or spec.command."
        if _probe(pod, container, "livenessProbe") and ended.get("exitCode") in _ENDS_WHEN_ASKED:
            remedy = f"If its liveness probe ended it, correct probes.liveness. {remedy}"
        if _probe(pod, container, "startupProbe") and container.get("started") is False:
            remedy = f"If its startup probe ended it, correct probes.startup. {remedy}"
    restarts = container.get("restartCount", 0)
    times = f"{restarts} restart{'s' if restarts != 1 else ''}"
    return Finding("CrashLoop", f"{name} {how} ({times}). {remedy}{log}")


# How a program ends that is told to stop (SIGTERM) or killed: the kubelet does both when a liveness probe fails, and
# tells so in an event only.
_ENDS_WHEN_ASKED = frozenset({0, 137, 143})


def _not_ready(pod: Mapping[str, Any], now: datetime) -> Finding | None:
    """A program that runs, and whose probe does not say so."""
    name = pod["metadata"]["name"]
    for container in pod.get("status", {}).get("containerStatuses", []):
        began = container.get("state", {}).get("running", {}).get("startedAt")
        if container.get("ready") or began is None:
            continue
        kind = "startup" if container.get("started") is False else "readiness"
        asked = _probe(pod, container, f"{kind}Probe")
        if asked is not None and now - datetime.fromisoformat(began) > max(_TO_GET_READY, _allowed(asked)):
            cause = f"Pod {name} runs, but its {kind} probe ({_asked(asked)}) does not succeed."
            remedy = f"Make the program answer it, or correct probes.{kind} and ports."
            return Finding("ProbeFailing", f"{cause} {remedy}")
    return None


def _probe(pod: Mapping[str, Any], container: Mapping[str, Any], kind: str) -> Mapping[str, Any] | None:
    specs = pod.get("spec", {}).get("containers", [])
    found: Mapping[str, Any] | None = next((one.get(kind) for one in specs if one["name"] == container["name"]), None)
    return found


def _allowed(probe: Mapping[str, Any]) -> timedelta:
    """How long the probe itself gives the program, as Kubernetes counts it."""
    tries = probe.get("failureThreshold", 3) * probe.get("periodSeconds", 10)
    return timedelta(seconds=probe.get("initialDelaySeconds", 0) + tries)


def _asked(probe: Mapping[str, Any]) -> str:
    if "httpGet" in probe:
        return f"GET {probe['httpGet'].get('path', '/')} on port {probe['httpGet']['port']}"
    if "tcpSocket" in probe:
        return f"TCP port {probe['tcpSocket']['port']}"
    return "a command"
