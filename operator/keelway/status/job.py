"""PURE: how a build's Job and a build's test pods ended, read from their objects.

Neighbours: `build.py` turns what is read here into the record's status; `children/job.py` and `children/test_pod.py`
made the objects.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from keelway.api.buildrequest import BuildReport, decode_report
from keelway.api.test import TestSpec
from keelway.status.build import Failure
from keelway.status.diagnosis import NOT_STARTED, of_pod

# The kubelet ends a pod at its deadline; one that has not ended so long after has lost its node.
_NODE_IS_LOST: Final = timedelta(minutes=5)
# An unschedulable pod has no start time, so Kubernetes' own deadline never runs for it.
_TO_BE_SCHEDULED: Final = timedelta(minutes=10)


@dataclass(frozen=True)
class Passed:
    """A test that exited 0, or whose check holds."""


@dataclass(frozen=True)
class Running:
    """A test that has not ended."""


TestResult = Passed | Running | Failure


def job_finished(job: Mapping[str, Any]) -> bool:
    """Whether the Job has ended, well or not."""
    return _condition(job, "Complete") is not None or _condition(job, "Failed") is not None


def job_started(job: Mapping[str, Any]) -> datetime | None:
    """When the Job was let go."""
    started = job.get("status", {}).get("startTime")
    return datetime.fromisoformat(started) if started else None


def job_result(job: Mapping[str, Any], pods: Iterable[Mapping[str, Any]]) -> BuildReport | Failure:
    """What a finished Job's pod answered; a Failure where it could not answer."""
    reports = [report for pod in pods if (report := _report(pod)) is not None]
    if reports:
        return reports[-1]
    told = _condition(job, "Failed")
    if told is not None and told.get("reason") == "DeadlineExceeded":
        return Failure(
            "Timeout",
            "The build did not end in time. Raise spec.build.timeoutSeconds, or make the build do less.",
        )
    return Failure(
        "BuildInterrupted",
        "The build's pod was killed before it could say how it went: evicted, out of memory, or its node is gone. "
        "It is tried again by itself.",
        retry=True,
    )


def not_started(job: Mapping[str, Any], pods: Iterable[Mapping[str, Any]], now: datetime) -> Failure | None:
    """A Job that was let go long ago, and whose pod has not begun: the fault is the cluster's, not the build's."""
    started = job_started(job)
    if started is None or now - started < _TO_BE_SCHEDULED:
        return None
    made = list(pods)
    if any(pod.get("status", {}).get("phase") != "Pending" or _has_begun(pod) for pod in made):
        return None
    found = next((finding for pod in made if (finding := of_pod(pod)) is not None), None)
    why = found.message if found else "Its namespace may have no room for it, or its node no image."
    return Failure(
        "BuildNotStarted", f"The build's pod could not start. {why} It is tried again by itself.", retry=True
    )


def report_failure(report: BuildReport) -> Failure:
    """A report that is not ok, as a Failure that names the step."""
    message = f"{report.step.value}: {report.message}"
    return Failure(
        report.reason,
        message,
        retry=report.retryable,
        warnings=report.warnings,
        warning_count=report.warning_count,
    )


def test_result(test: TestSpec, pod: Mapping[str, Any], now: datetime) -> TestResult:
    """How the test's pod is doing."""
    status = pod.get("status", {})
    if test.check is not None and _holds(pod):
        return Passed()
    match status.get("phase"):
        case "Succeeded" if test.check is None:
            return Passed()
        case "Failed" if _is_disrupted(pod):
            return _interrupted(test, "its pod was removed")
        case "Failed" | "Succeeded":
            return _test_failure(test, pod)
    if "startTime" in status and now - _started(pod) > timedelta(seconds=test.timeout_seconds) + _NODE_IS_LOST:
        return _interrupted(test, "its node does not answer any more")
    created = datetime.fromisoformat(pod["metadata"]["creationTimestamp"])
    if "startTime" not in status and now - created > _TO_BE_SCHEDULED:
        found = of_pod(pod)
        why = found.message if found else "It was not given a node."
        return Failure("TestNotStarted", f"Test {test.name} could not start. {why}", retry=True)
    return Running()


def first_failure(results: Sequence[TestResult]) -> Failure | None:
    """The failure that decides, in the order of the tests."""
    return next((result for result in results if isinstance(result, Failure)), None)


def _test_failure(test: TestSpec, pod: Mapping[str, Any]) -> Failure:
    status = pod.get("status", {})
    ended = _terminated(status.get("containerStatuses", []))
    log = ended.get("message", "").strip()
    last_words = f"\nIts last lines:\n{log}" if log else ""
    if status.get("reason") == "DeadlineExceeded":
        found = None if ended else of_pod(pod)
        if found is not None:
            return Failure("TestNotStarted", f"Test {test.name} could not start. {found.message}", retry=True)
        what = f"did not pass its check ({test.check})" if test.check else "did not end"
        text = f"Test {test.name} {what} within {test.timeout_seconds} s. Correct it, or raise its timeoutSeconds."
        return Failure("TestTimeout", f"{text}{last_words}", test=test.name)
    # The kubelet and the control plane give a pod a reason when they end it; a program's own end has none.
    if not ended or status.get("reason"):
        return _interrupted(test, status.get("message") or status.get("reason") or "its pod was removed")
    if ended.get("reason") in NOT_STARTED:
        text = f"Test {test.name} could not start its program. Check the test's command and args."
    elif ended.get("reason") == "OOMKilled":
        text = f"Test {test.name} ran out of memory. Raise its resources.limits.memory, or make it use less."
    else:
        namespace, pod_name = pod["metadata"]["namespace"], pod["metadata"]["name"]
        before = f" before its check ({test.check}) held" if test.check else ""
        text = (
            f"Test {test.name} exited with code {ended.get('exitCode')}{before}. "
            f"Correct the source or the test; `kubectl logs -n {namespace} {pod_name}` shows all it wrote."
        )
    return Failure("TestFailed", f"{text}{last_words}", test=test.name)


def _holds(pod: Mapping[str, Any]) -> bool:
    """The check is a readiness probe, so the pod is Ready.

    Its container may be called ready while the pod is ended at its deadline, for the probe is gone before the program
    (kubelet, prober_manager.go); the pod's own condition is False by then.
    """
    conditions = pod.get("status", {}).get("conditions", ())
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _is_disrupted(pod: Mapping[str, Any]) -> bool:
    """Deleted or evicted while it ran (a drain, a preemption): the kubelet gives such an end no reason of its own."""
    conditions = pod.get("status", {}).get("conditions", ())
    evicted = any(one["type"] == "DisruptionTarget" and one["status"] == "True" for one in conditions)
    return evicted or "deletionTimestamp" in pod["metadata"]


def _interrupted(test: TestSpec, why: str) -> Failure:
    text = f"Test {test.name} was interrupted: {why.rstrip('. ')}. It is tried again by itself."
    return Failure("TestInterrupted", text, retry=True)


def _started(pod: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(pod["status"]["startTime"])


def _report(pod: Mapping[str, Any]) -> BuildReport | None:
    """The main container's report, else the init container's: an init that went well has only led on."""
    status = pod.get("status", {})
    for name in ("containerStatuses", "initContainerStatuses"):
        message = _terminated(status.get(name, [])).get("message", "")
        report = decode_report(message) if message else None
        if report is not None and (name == "containerStatuses" or not report.ok):
            return report
    return None


def _has_begun(pod: Mapping[str, Any]) -> bool:
    """A pod is Pending while its init containers run, too."""
    states = (one.get("state", {}) for one in pod.get("status", {}).get("initContainerStatuses", []))
    return any("running" in state or "terminated" in state for state in states)


def _terminated(statuses: Iterable[Mapping[str, Any]]) -> Mapping[str, Any]:
    for container in statuses:
        ended: Mapping[str, Any] | None = container.get("state", {}).get("terminated")
        if ended is not None:
            return ended
    return {}


def _condition(job: Mapping[str, Any], type_: str) -> Mapping[str, Any] | None:
    for condition in job.get("status", {}).get("conditions", []):
        if condition["type"] == type_ and condition["status"] == "True":
            found: Mapping[str, Any] = condition
            return found
    return None
