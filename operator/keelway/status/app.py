"""PURE: an App's status, computed once at the end of every pass from what was observed (contract.md "What Ready says").

Neighbours: `conditions.py` merges, `diagnosis.py` says why pods do not start.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from keelway.api.app import App, AppStatus, Protocol
from keelway.errors import KeelwayError, Terminal
from keelway.status.conditions import FALSE, TRUE, UNKNOWN, Fact, Progress, find, merge, summary
from keelway.status.diagnosis import Finding, Outlook

IMAGE_READY = "ImageReady"
AVAILABLE = "Available"

_NOT_PULLED = frozenset({"ImagePullFailed", "InvalidImageName"})
_COUNTS = ("updatedReplicas", "replicas", "availableReplicas")


@dataclass(frozen=True)
class AppObserved:
    """What a pass saw. `problem` is what ended it early; `deployment` is the live object after applying.

    `image_note` is a remark on a usable image (DigestNotResolved). `selector` is what finds the pods.
    """

    selector: Mapping[str, str]
    deployment: Mapping[str, Any] | None = None
    image_ready: bool = False
    image_note: KeelwayError | None = None
    problem: KeelwayError | None = None
    finding: Finding | None = None
    has_service: bool = False
    version: str | None = None
    image: str | None = None


def app_status(app: App, observed: AppObserved, now: datetime) -> AppStatus:
    """The whole status."""
    facts = [_image_ready(observed), _available(app, observed), *_summary(app, observed)]
    deployment_status = (observed.deployment or {}).get("status", {})
    return AppStatus(
        conditions=merge(app.status.conditions, facts, app.metadata.generation, now),
        observed_generation=app.metadata.generation,
        image=observed.image,
        version=observed.version,
        replicas=deployment_status.get("replicas", 0),
        ready_replicas=deployment_status.get("readyReplicas", 0),
        selector=",".join(f"{key}={value}" for key, value in sorted(observed.selector.items())),
        url=service_url(app) if observed.has_service else None,
    )


def suspended_status(app: App, now: datetime) -> AppStatus:
    """As last, with reason Suspended; nothing moves, so nothing is reconciling or stalled."""
    last = find(app.status.conditions, "Ready")
    ready = last.status if last else UNKNOWN
    kept = [
        Fact(one.type, one.status, one.reason, one.message)
        for one in app.status.conditions
        if one.type in (IMAGE_READY, AVAILABLE)
    ]
    message = "spec.suspend is true: nothing is changed until it is false again."
    facts = [*kept, *summary(ready, Progress.SETTLED, "Suspended", message)]
    conditions = merge(app.status.conditions, facts, app.metadata.generation, now)
    return app.status.model_copy(update={"conditions": conditions, "observed_generation": app.metadata.generation})


def rolled_out(app: App, deployment: Mapping[str, Any]) -> bool:
    """Whether all pods are of the newest template and enough of them serve.

    Under an autoscaler "enough" is its minimum: a pod that it has just asked for makes no rollout. Who scales to 0
    turns the autoscaler off (HorizontalPodAutoscaler, condition ScalingDisabled), and then no pod is enough.
    """
    status = deployment.get("status", {})
    if status.get("observedGeneration", 0) < deployment["metadata"].get("generation", 0):
        return False
    autoscale = app.spec.autoscale
    asked: int = deployment["spec"].get("replicas", 1)
    enough: int = autoscale.min_replicas if autoscale and asked > 0 else asked
    updated, total, available = (int(status.get(name, 0)) for name in _COUNTS)
    return updated == total and updated >= enough and available >= enough


def service_url(app: App) -> str | None:
    """Where the first port is reached from inside the cluster; None without ports."""
    if not app.spec.ports:
        return None
    first = app.spec.ports[0]
    number = first.service_port if first.service_port is not None else first.port
    if first.protocol is not Protocol.TCP:
        scheme = first.protocol.value.lower()
    else:
        scheme = "https" if first.name.startswith("https") else "http"
    standard = {"http": 80, "https": 443}.get(scheme)
    port = "" if number == standard else f":{number}"
    return f"{scheme}://{app.metadata.name}.{app.metadata.namespace}.svc{port}"


def _image_ready(observed: AppObserved) -> Fact:
    if observed.finding is not None and observed.finding.reason in _NOT_PULLED:
        return Fact(IMAGE_READY, FALSE, observed.finding.reason, observed.finding.message)
    if observed.image_note is not None:
        return Fact(IMAGE_READY, TRUE, observed.image_note.reason, observed.image_note.message)
    if observed.image_ready:
        return Fact(IMAGE_READY, TRUE, "ImageFound", f"{observed.version or 'The image'} is what should run.")
    if observed.problem is not None:
        return Fact(IMAGE_READY, FALSE, observed.problem.reason, observed.problem.message)
    return Fact(IMAGE_READY, UNKNOWN, "Unknown")


def _available(app: App, observed: AppObserved) -> Fact:
    if observed.deployment is None:
        return Fact(AVAILABLE, FALSE, "NotDeployed", "Nothing runs yet.")
    wanted = observed.deployment["spec"].get("replicas", 1)
    if wanted == 0:
        return Fact(AVAILABLE, TRUE, "ScaledToZero", "No pods are asked for.")
    available = observed.deployment.get("status", {}).get("availableReplicas", 0)
    message = f"{available} of {wanted} pods serve."
    if available == 0:
        return Fact(AVAILABLE, FALSE, "NoPodReady", message)
    return Fact(AVAILABLE, TRUE, "PodsReady", message)


def _summary(app: App, observed: AppObserved) -> list[Fact]:
    problem, finding, deployment = observed.problem, observed.finding, observed.deployment
    if problem is not None:
        progress = Progress.STALLED if isinstance(problem, Terminal) else Progress.RECONCILING
        return summary(FALSE, progress, problem.reason, f"{problem.message}{_meanwhile(app, observed)}")
    if deployment is None:
        return summary(FALSE, Progress.RECONCILING, "Deploying", "The Deployment is being made.")
    if rolled_out(app, deployment):
        return summary(TRUE, Progress.SETTLED, "RolledOut", _serving(observed))
    late = _past_deadline(deployment)
    # What keeps pods from being made tells more than what an older one of them lacks.
    told = _refused(deployment) or finding or late
    if told is None:
        return summary(FALSE, Progress.RECONCILING, "RollingOut", _progress(deployment))
    own = told.outlook is Outlook.OWN_CHANGE or (late is not None and told.outlook is Outlook.OPEN)
    progress = Progress.STALLED if own else Progress.RECONCILING
    return summary(FALSE, progress, told.reason, told.message)


def _meanwhile(app: App, observed: AppObserved) -> str:
    """What a problem leaves alone; during a rollout nobody can tell which version the pods that serve are of."""
    deployment = observed.deployment
    if deployment is None or not deployment.get("status", {}).get("availableReplicas", 0):
        return ""
    version = observed.version if rolled_out(app, deployment) else None
    return f" {version or 'What ran before'} serves on."


def _serving(observed: AppObserved) -> str:
    what = observed.version or "The image"
    return f"{what} runs."


def _progress(deployment: Mapping[str, Any]) -> str:
    status, wanted = deployment.get("status", {}), deployment["spec"].get("replicas", 1)
    return f"{status.get('updatedReplicas', 0)} of {wanted} pods are new, {status.get('availableReplicas', 0)} serve."


def _refused(deployment: Mapping[str, Any]) -> Finding | None:
    """Pods that the API server does not let be made: by Pod Security, a quota, a missing ServiceAccount."""
    condition = _told(deployment, "ReplicaFailure")
    if condition is None or condition["status"] != "True":
        return None
    cause = condition.get("message", "").rstrip(". ")
    if "violates PodSecurity" in cause:
        remedy = "Set security: Restricted, or ease the namespace's label pod-security.kubernetes.io/enforce."
        return Finding("PodsRefused", f"Pods cannot be made: {cause}. {remedy}", Outlook.OWN_CHANGE)
    remedy = "Correct what the message names; the pods are made by themselves then."
    return Finding("PodsRefused", f"Pods cannot be made: {cause}. {remedy}", Outlook.OUTSIDE)


def _past_deadline(deployment: Mapping[str, Any]) -> Finding | None:
    condition = _told(deployment, "Progressing")
    if condition is None or condition.get("reason") != "ProgressDeadlineExceeded":
        return None
    serving = deployment["status"].get("availableReplicas", 0)
    meanwhile = f" {serving} pods serve meanwhile." if serving else ""
    return Finding(
        "ProgressDeadlineExceeded",
        "The new pods did not get ready in time. Look at their events and logs with "
        f"`kubectl describe pods` and `kubectl logs`, and at the readiness probe.{meanwhile}",
    )


def _told(deployment: Mapping[str, Any], type_: str) -> Mapping[str, Any] | None:
    """The Deployment's own condition, where it speaks of the Deployment as it is now."""
    status = deployment.get("status", {})
    if status.get("observedGeneration", 0) < deployment["metadata"].get("generation", 0):
        return None
    return next((one for one in status.get("conditions", []) if one["type"] == type_), None)
