"""How a build's Job and its test pods ended, read from their objects."""

from datetime import timedelta
from typing import Any

import pytest

from keelway.api.buildrequest import BuildReport, Step
from keelway.api.test import TestSpec
from keelway.status.build import Failure
from keelway.status.job import (
    Passed,
    Running,
    first_failure,
    job_finished,
    job_result,
    job_started,
    report_failure,
)
from keelway.status.job import (
    test_result as read_test,
)
from tests.unit.objects import NOW

FETCHED = '{"ok": true, "step": "Fetch", "reason": "Fetched"}'
PUSHED = '{"ok": true, "step": "Inspect", "reason": "Pushed", "digest": "sha256:1"}'
TEST = TestSpec(name="answers", command=("true",), timeout_seconds=60)


def _job(type_: str | None = None, reason: str | None = None) -> dict[str, Any]:
    conditions = [{"type": type_, "status": "True", "reason": reason}] if type_ else []
    return {"status": {"startTime": "2026-01-02T11:00:00Z", "conditions": conditions}}


def _ended(message: str = "", **terminated: Any) -> dict[str, Any]:
    return {"state": {"terminated": {"exitCode": 0, "message": message, **terminated}}}


def _job_pod(init: dict[str, Any] | None = None, main: dict[str, Any] | None = None) -> dict[str, Any]:
    statuses = {"initContainerStatuses": [init] if init else [], "containerStatuses": [main] if main else []}
    return {"metadata": {"name": "hello-1-abc"}, "status": statuses}


def test_a_job_has_ended_when_it_says_so() -> None:
    assert not job_finished({"spec": {}})
    assert not job_finished(_job())
    assert not job_finished({"status": {"conditions": [{"type": "Failed", "status": "False"}]}})
    assert job_finished(_job("Complete"))
    assert job_finished(_job("Failed"))


def test_a_job_that_its_controller_has_not_seen_has_not_started() -> None:
    assert job_started({"spec": {}}) is None
    assert job_started(_job()) is not None


def test_the_main_containers_report_counts() -> None:
    result = job_result(_job("Complete"), [_job_pod(_ended(FETCHED), _ended(PUSHED))])
    assert isinstance(result, BuildReport)
    assert (result.step, result.digest) == (Step.INSPECT, "sha256:1")


def test_a_failed_fetch_reports_from_the_init_container() -> None:
    told = '{"ok": false, "step": "Fetch", "reason": "HashMismatch", "message": "Not the archive. Correct sha256."}'
    waiting = {"state": {"waiting": {"reason": "PodInitializing"}}}
    result = job_result(_job("Failed", "BackoffLimitExceeded"), [_job_pod(_ended(told, exitCode=1), waiting)])
    assert isinstance(result, BuildReport)
    assert report_failure(result) == Failure("HashMismatch", "Fetch: Not the archive. Correct sha256.", False)


@pytest.mark.parametrize("words", ["", "Killed", "{}", '{"ok": true', "\x00\xff"])
def test_a_fetch_that_went_well_is_no_report_of_a_build_that_was_killed(words: str) -> None:
    pod = _job_pod(_ended(FETCHED), _ended(words, exitCode=137, reason="OOMKilled"))
    result = job_result(_job("Failed", "BackoffLimitExceeded"), [pod])
    assert isinstance(result, Failure)
    assert (result.reason, result.retry) == ("BuildInterrupted", True)


@pytest.mark.parametrize("pods", [[], [{"metadata": {}, "status": {"phase": "Failed", "reason": "Evicted"}}]])
def test_an_evicted_pod_or_none_at_all_is_tried_again(pods: list[dict[str, Any]]) -> None:
    result = job_result(_job("Failed", "BackoffLimitExceeded"), pods)
    assert isinstance(result, Failure)
    assert (result.reason, result.retry) == ("BuildInterrupted", True)
    assert "by itself" in result.message


def test_a_jobs_deadline_is_the_builds_timeout() -> None:
    result = job_result(_job("Failed", "DeadlineExceeded"), [_job_pod(_ended(FETCHED))])
    assert isinstance(result, Failure)
    assert (result.reason, result.retry) == ("Timeout", False)
    assert "timeoutSeconds" in result.message


def test_a_report_is_believed_also_past_the_deadline() -> None:
    result = job_result(_job("Failed", "DeadlineExceeded"), [_job_pod(_ended(FETCHED), _ended(PUSHED))])
    assert isinstance(result, BuildReport)


def _test_pod(created_before: timedelta = timedelta(minutes=1), **status: Any) -> dict[str, Any]:
    created = (NOW - created_before).isoformat()
    metadata = {"name": "hello-1-test-answers", "namespace": "team-a", "creationTimestamp": created}
    return {"metadata": metadata, "status": status}


def _test_container(**terminated: Any) -> list[dict[str, Any]]:
    return [{"name": "test", "state": {"terminated": terminated}}]


def _failure(pod: dict[str, Any]) -> Failure:
    result = read_test(TEST, pod, NOW)
    assert isinstance(result, Failure)
    return result


def test_a_test_that_exits_0_has_passed() -> None:
    assert read_test(TEST, _test_pod(phase="Succeeded"), NOW) == Passed()


def test_a_test_that_runs_or_was_just_made_is_running() -> None:
    assert read_test(TEST, _test_pod(phase="Running", startTime="2026-01-02T11:59:00Z"), NOW) == Running()
    assert read_test(TEST, _test_pod(timedelta(0)), NOW) == Running()


def test_a_failing_test_names_its_exit_code_and_the_end_of_its_log() -> None:
    container = _test_container(exitCode=3, reason="Error", message="assert 1 == 2\n")
    failure = _failure(_test_pod(phase="Failed", containerStatuses=container))
    assert (failure.reason, failure.retry) == ("TestFailed", False)
    assert "exited with code 3" in failure.message
    assert "kubectl logs -n team-a hello-1-test-answers" in failure.message.partition("\n")[0]
    assert failure.message.endswith("\nassert 1 == 2")


def test_a_test_out_of_memory_is_to_get_more() -> None:
    failure = _failure(_test_pod(phase="Failed", containerStatuses=_test_container(exitCode=137, reason="OOMKilled")))
    assert (failure.reason, failure.retry) == ("TestFailed", False)
    assert "resources.limits.memory" in failure.message


def test_a_hanging_test_names_its_timeout_and_no_exit_code() -> None:
    container = _test_container(exitCode=137, reason="Error", message="waiting")
    failure = _failure(_test_pod(phase="Failed", reason="DeadlineExceeded", containerStatuses=container))
    assert (failure.reason, failure.retry) == ("TestTimeout", False)
    assert "60 s" in failure.message
    assert "137" not in failure.message


def test_a_hanging_test_whose_pod_tells_nothing_more_is_a_timeout_too() -> None:
    assert _failure(_test_pod(phase="Failed", reason="DeadlineExceeded")).reason == "TestTimeout"


def test_an_image_that_the_node_could_not_pull_is_no_verdict_on_it() -> None:
    waiting = [{"name": "test", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no route"}}}]
    failure = _failure(_test_pod(phase="Failed", reason="DeadlineExceeded", containerStatuses=waiting))
    assert (failure.reason, failure.retry) == ("TestNotStarted", True)


@pytest.mark.parametrize("reason", ["Evicted", "Terminated", "OutOfcpu", "NodeAffinity"])
@pytest.mark.parametrize("containers", [[], _test_container(exitCode=137, reason="Error")])
def test_a_test_that_the_cluster_ended_is_tried_again(reason: str, containers: list[dict[str, Any]]) -> None:
    failure = _failure(_test_pod(phase="Failed", reason=reason, containerStatuses=containers))
    assert (failure.reason, failure.retry) == ("TestInterrupted", True)


def test_a_test_that_was_removed_while_it_ran_is_no_verdict() -> None:
    """A drain or a preemption deletes the pod; the kubelet then writes an exit code and no reason."""
    killed: dict[str, Any] = {"phase": "Failed", "containerStatuses": _test_container(exitCode=143, reason="Error")}
    drained = _test_pod(**killed, conditions=[{"type": "DisruptionTarget", "status": "True"}])
    deleted = _test_pod(**killed)
    deleted["metadata"]["deletionTimestamp"] = NOW.isoformat()
    for pod in (drained, deleted):
        failure = _failure(pod)
        assert (failure.reason, failure.retry) == ("TestInterrupted", True)


def test_a_test_whose_node_is_lost_does_not_run_for_ever() -> None:
    def pod(minutes: int) -> dict[str, Any]:
        return _test_pod(phase="Running", startTime=(NOW - timedelta(minutes=minutes)).isoformat())

    deadline = TEST.timeout_seconds // 60
    assert read_test(TEST, pod(deadline + 4), NOW) == Running()
    failure = _failure(pod(deadline + 6))
    assert (failure.reason, failure.retry) == ("TestInterrupted", True)


def test_a_test_that_never_got_a_node_does_not_wait_for_ever() -> None:
    pending = {"phase": "Pending"}
    assert isinstance(read_test(TEST, _test_pod(timedelta(minutes=9), **pending), NOW), Running)
    failure = _failure(_test_pod(timedelta(minutes=11), **pending))
    assert (failure.reason, failure.retry) == ("TestNotStarted", True)


def test_the_first_failing_test_decides() -> None:
    first, second = Failure("TestFailed", "one"), Failure("TestTimeout", "two")
    assert first_failure([Passed(), Running(), first, second]) is first
    assert first_failure([Passed(), Running()]) is None


def test_a_check_holds_when_its_pod_is_ready() -> None:
    asked = TestSpec.model_validate({"name": "answers", "check": {"tcp": {"port": 80}}})
    created = {"metadata": {"name": "x", "namespace": "team-a", "creationTimestamp": NOW.isoformat()}}

    def seen(ready: str) -> object:
        # As the kubelet ends a pod at its deadline: the container is called ready, for its probe is gone already.
        containers = [{"name": "test", "ready": True, "state": {"running": {"startedAt": NOW.isoformat()}}}]
        conditions = [{"type": "Ready", "status": ready, "reason": "PodFailed"}]
        status = {"phase": "Running", "startTime": NOW.isoformat(), "containerStatuses": containers}
        return read_test(asked, {**created, "status": {**status, "conditions": conditions}}, NOW)

    assert seen("True") == Passed()
    assert seen("False") == Running()
