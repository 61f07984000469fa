"""A finding says, from the pods alone, why a rollout does not get on and what to do."""

from datetime import timedelta
from typing import Any

import pytest

from keelway.status.diagnosis import Finding, Outlook, diagnose, diagnose_pending, newest, running_digest
from tests.unit.objects import NOW


def _pod(name: str = "hello-1", *, template: str = "new", created: str = "2026-01-02T12:00:00Z", **status: Any) -> Any:
    metadata = {"name": name, "creationTimestamp": created, "labels": {"pod-template-hash": template}}
    return {"metadata": metadata, "status": {"phase": "Running", **status}}


def _waiting(reason: str, message: str | None = None) -> dict[str, Any]:
    waiting = {"reason": reason} | ({"message": message} if message else {})
    return {"name": "app", "ready": False, "state": {"waiting": waiting}}


def _died(*, ready: bool = False, restarts: int = 3, **terminated: Any) -> dict[str, Any]:
    last = {"exitCode": 1, "reason": "Error", **terminated}
    return {
        "name": "app",
        "ready": ready,
        "restartCount": restarts,
        "state": {"running": {}},
        "lastState": {"terminated": last},
    }


def _finding(*containers: dict[str, Any]) -> Finding:
    found = diagnose([_pod(containerStatuses=list(containers))], NOW)
    assert found is not None
    return found


def test_a_pod_that_starts_is_no_finding() -> None:
    assert diagnose([_pod(phase="Pending", containerStatuses=[_waiting("ContainerCreating")])], NOW) is None
    assert diagnose([_pod()], NOW) is None
    assert diagnose([], NOW) is None


@pytest.mark.parametrize(
    ("waiting", "reason", "outlook"),
    [
        ("ErrImagePull", "ImagePullFailed", Outlook.OUTSIDE),
        ("ImagePullBackOff", "ImagePullFailed", Outlook.OUTSIDE),
        ("ErrImageNeverPull", "ImagePullFailed", Outlook.OUTSIDE),
        ("InvalidImageName", "InvalidImageName", Outlook.OWN_CHANGE),
        ("CreateContainerConfigError", "ContainerConfigError", Outlook.OUTSIDE),
        ("CreateContainerError", "ContainerStartFailed", Outlook.OPEN),
        ("RunContainerError", "ContainerStartFailed", Outlook.OPEN),
    ],
)
def test_each_waiting_reason_of_the_kubelet_has_a_remedy(waiting: str, reason: str, outlook: Outlook) -> None:
    found = _finding(_waiting(waiting, "the kubelet's words"))
    assert (found.reason, found.outlook) == (reason, outlook)
    assert found.message.startswith("Pod hello-1: the kubelet's words. ")
    assert found.message.endswith(".")


def test_a_waiting_container_without_a_message_is_told_by_its_reason() -> None:
    assert _finding(_waiting("ErrImagePull")).message.startswith("Pod hello-1: ErrImagePull. ")


def test_the_message_does_not_flap_between_pulling_and_backing_off() -> None:
    trying = _finding(_waiting("ErrImagePull", "x.example/y:1: not found"))
    pause = 'Back-off pulling image "x.example/y:1": ErrImagePull: x.example/y:1: not found'
    assert _finding(_waiting("ImagePullBackOff", pause)) == trying


def test_a_failed_pull_is_told_without_the_words_of_the_machinery() -> None:
    said = 'rpc error: code = NotFound desc = failed to pull and unpack image "x.example/y:1": x.example/y:1: not found'
    assert _finding(_waiting("ErrImagePull", said)).message.startswith("Pod hello-1: x.example/y:1: not found. Check")


@pytest.mark.parametrize(
    "words",
    [
        "container has runAsNonRoot and image will run as root (pod: x, container: app)",
        "container has runAsNonRoot and image has non-numeric user (web), cannot verify user is non-root",
        "container's runAsUser breaks non-root policy (pod: x, container: app)",
    ],
)
def test_the_kubelets_refusal_of_root_is_not_taken_for_a_missing_secret(words: str) -> None:
    found = _finding(_waiting("CreateContainerConfigError", words))
    assert (found.reason, found.outlook) == ("ImageRunsAsRoot", Outlook.OWN_CHANGE)
    assert "USER 1000" in found.message
    assert "security: Baseline" in found.message


def test_a_crash_loop_quotes_the_end_of_the_log() -> None:
    found = _finding(_died(exitCode=2, message="x" * 5000 + "\nKeyError: 'DATABASE'\n"))
    assert (found.reason, found.outlook) == ("CrashLoop", Outlook.OPEN)
    assert found.message.startswith("Pod hello-1 exited with code 2 (3 restarts). ")
    assert found.message.endswith("KeyError: 'DATABASE'")
    assert len(found.message) < 1400


def test_a_crash_loop_says_the_same_while_it_runs_and_while_it_backs_off() -> None:
    running = _died(message="boom")
    backing_off = running | {"state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 20s"}}}
    assert _finding(running) == _finding(backing_off)


def test_a_crash_may_have_been_the_liveness_probes_doing() -> None:
    """The kubelet tells that in an event only: the container just ends as one does that is told to stop."""
    pod = _pod(containerStatuses=[_died(exitCode=0)])
    pod["spec"] = {"containers": [{"name": "app", "livenessProbe": {"tcpSocket": {"port": "http"}}}]}
    found = diagnose([pod], NOW)
    assert found is not None
    assert "correct probes.liveness" in found.message
    starting = _pod(containerStatuses=[{**_died(exitCode=143), "started": False}])
    starting["spec"] = {"containers": [{"name": "app", "startupProbe": {"tcpSocket": {"port": "http"}}}]}
    found = diagnose([starting], NOW)
    assert found is not None
    assert "correct probes.startup" in found.message
    assert "liveness" not in _finding(_died(exitCode=0)).message


@pytest.mark.parametrize(
    ("kind", "started", "probe", "asked"),
    [
        ("readiness", True, {"tcpSocket": {"port": 9999}}, "TCP port 9999"),
        ("readiness", True, {"httpGet": {"port": "http", "path": "/ok"}}, "GET /ok on port http"),
        ("startup", False, {"exec": {"command": ["true"]}}, "a command"),
    ],
)
def test_a_program_that_runs_and_does_not_answer_its_probe_is_named(
    kind: str, started: bool, probe: dict[str, Any], asked: str
) -> None:
    def pod(seconds: int) -> Any:
        began = {"running": {"startedAt": (NOW - timedelta(seconds=seconds)).isoformat()}}
        made = _pod(containerStatuses=[{"name": "app", "ready": False, "started": started, "state": began}])
        made["spec"] = {"containers": [{"name": "app", f"{kind}Probe": probe}]}
        return made

    assert diagnose([pod(20)], NOW) is None, "the probe itself gives it 30 s"
    found = diagnose([pod(40)], NOW)
    assert found is not None
    assert (found.reason, found.outlook) == ("ProbeFailing", Outlook.OPEN)
    assert f"Pod hello-1 runs, but its {kind} probe ({asked}) does not succeed." in found.message
    assert f"correct probes.{kind} and ports" in found.message


def test_a_pod_that_serves_again_is_well_whatever_it_once_died_of() -> None:
    assert diagnose([_pod(containerStatuses=[_died(ready=True)])], NOW) is None


def test_a_pod_out_of_memory_is_to_get_more() -> None:
    found = _finding(_died(exitCode=137, reason="OOMKilled"))
    assert "ran out of memory" in found.message
    assert "resources.limits.memory" in found.message


def test_a_program_that_is_not_there_is_no_crash() -> None:
    found = _finding(_died(exitCode=128, reason="StartError", message='exec: "flsk": not found in $PATH'))
    assert found.reason == "ContainerStartFailed"
    assert found.message.endswith('exec: "flsk": not found in $PATH')


def test_a_pod_that_fits_on_no_node_tells_the_schedulers_words() -> None:
    unschedulable = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "0/1 nodes are available: 1 Insufficient cpu.",
    }
    found = diagnose([_pod(phase="Pending", conditions=[unschedulable])], NOW)
    assert found is not None
    assert (found.reason, found.outlook) == ("Unschedulable", Outlook.OUTSIDE)
    assert found.message.endswith("1 Insufficient cpu. Lower its resources.requests, or add a node that fits.")


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        ("1 node(s) didn't match Pod's node affinity/selector", "Correct podTemplate.nodeSelector, or add a node"),
        ("1 node(s) had untolerated taint {gpu: true}", "Tolerate the taint in podTemplate.tolerations, or add a node"),
        ("1 node(s) had volume node affinity conflict", "Add a node that fits."),
    ],
)
def test_the_remedy_for_a_pod_without_a_node_is_that_of_its_cause(words: str, remedy: str) -> None:
    unschedulable = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": words}
    found = diagnose([_pod(phase="Pending", conditions=[unschedulable])], NOW)
    assert found is not None
    assert f"{words}. {remedy}" in found.message


def test_only_the_newest_templates_pods_count() -> None:
    old = _pod("old", template="old", created="2026-01-01T00:00:00Z", containerStatuses=[_died()])
    new = _pod("new", created="2026-01-02T00:00:00Z")
    assert newest([old, new]) == [new]
    assert diagnose([old, new], NOW) is None


def test_pods_that_go_or_were_evicted_do_not_count() -> None:
    going = _pod("going", containerStatuses=[_died()])
    going["metadata"]["deletionTimestamp"] = "2026-01-02T12:00:00Z"
    evicted = _pod("evicted", phase="Failed", reason="Evicted", containerStatuses=[_died(exitCode=137)])
    assert diagnose([going, evicted], NOW) is None


def test_what_only_a_change_can_cure_goes_before_what_may_come_right() -> None:
    crashing = _pod("a", containerStatuses=[_died()])
    misnamed = _pod("b", containerStatuses=[_waiting("InvalidImageName", "bad name")])
    found = diagnose([crashing, misnamed], NOW)
    assert found is not None
    assert found.reason == "InvalidImageName"


def test_a_pod_of_a_build_that_waits_says_for_what() -> None:
    ended = _pod(phase="Succeeded", containerStatuses=[_died(exitCode=0, reason="Completed")])
    waits = _pod("hello-2", phase="Pending", containerStatuses=[_waiting("ErrImagePull", "no route")])
    found = diagnose_pending([ended, _pod("hello-3", phase="Running"), waits])
    assert found is not None
    assert (found.reason, found.message.partition(".")[0]) == ("ImagePullFailed", "Pod hello-2: no route")
    assert diagnose_pending([ended]) is None


def _runs(image_id: str, **pod: Any) -> Any:
    sidecar = {"name": "mesh", "imageID": "mesh@sha256:0"}
    return _pod(containerStatuses=[sidecar, {"name": "app", "imageID": image_id}], **pod)


def test_the_digest_that_runs_is_read_from_the_pods() -> None:
    digest = f"docker.io/library/nginx@sha256:{'a' * 64}"
    old = _runs(f"docker.io/library/nginx@sha256:{'b' * 64}", template="old", created="2026-01-02T11:00:00Z")
    assert running_digest([_runs(digest), old], "app") == digest
    assert running_digest([_runs(digest), _runs("")], "app") == digest, "one of them has not started yet"


@pytest.mark.parametrize(
    "image_ids",
    [
        [],
        [""],
        [f"sha256:{'c' * 64}"],
        ["nginx@sha256:1", "nginx@sha256:2"],
    ],
    ids=["no-pods", "not-started", "known-to-the-node-by-no-digest", "nodes-disagree"],
)
def test_no_digest_is_claimed_that_the_pods_do_not_tell(image_ids: list[str]) -> None:
    assert running_digest([_runs(one) for one in image_ids], "app") is None
