"""What an App's status is made of; whole statuses stand in `golden/`."""

from datetime import UTC, datetime
from typing import Any

import pytest

from keelway.api.app import App
from keelway.status.app import AppObserved, app_status, rolled_out, service_url
from keelway.status.diagnosis import Finding

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def _app(**spec: Any) -> App:
    metadata = {"name": "hello", "namespace": "team-a", "uid": "u", "generation": 1}
    return App.parse(
        {
            "apiVersion": "keelway.dev/v1alpha1",
            "kind": "App",
            "metadata": metadata,
            "spec": {"image": {"name": "hello"}, **spec},
        }
    )


def _deployment(wanted: int, observed_generation: int = 1, **status: int) -> dict[str, Any]:
    return {
        "metadata": {"generation": 1},
        "spec": {"replicas": wanted},
        "status": {"observedGeneration": observed_generation, **status},
    }


def _counts(updated: int, total: int, available: int) -> dict[str, int]:
    return {"updatedReplicas": updated, "replicas": total, "availableReplicas": available}


@pytest.mark.parametrize(
    ("counts", "done"),
    [
        (_counts(3, 3, 3), True),
        (_counts(3, 4, 3), False),  # an old one is still there
        (_counts(2, 2, 2), False),  # one is still to come
        (_counts(3, 3, 2), False),  # one does not serve
        ({}, False),
    ],
)
def test_a_rollout_is_done_when_all_pods_are_new_and_serve(counts: dict[str, int], done: bool) -> None:
    assert rolled_out(_app(replicas=3), _deployment(3, **counts)) is done


def test_a_deployment_that_its_controller_has_not_seen_is_not_rolled_out() -> None:
    assert not rolled_out(_app(replicas=3), _deployment(3, observed_generation=0, **_counts(3, 3, 3)))
    assert not rolled_out(_app(), {"metadata": {"generation": 1}, "spec": {"replicas": 1}})


@pytest.mark.parametrize(
    ("wanted", "counts", "done"),
    [
        (5, _counts(5, 5, 4), True),  # the HPA has just asked for one more
        (5, _counts(4, 4, 4), True),
        (2, _counts(2, 2, 1), False),  # fewer than the minimum serve
        (5, _counts(3, 6, 5), False),  # old pods beside new ones
    ],
)
def test_under_an_autoscaler_its_minimum_is_enough(wanted: int, counts: dict[str, int], done: bool) -> None:
    app = _app(autoscale={"minReplicas": 2, "maxReplicas": 9})
    assert rolled_out(app, _deployment(wanted, **counts)) is done


def test_an_autoscaler_that_somebody_turned_off_by_scaling_to_zero_is_not_waited_for() -> None:
    app = _app(autoscale={"minReplicas": 2, "maxReplicas": 4, "cpuPercent": 80})
    assert rolled_out(app, _deployment(0))
    assert not rolled_out(app, _deployment(1, **_counts(1, 1, 1)))


def test_no_pods_asked_for_and_none_there_is_done() -> None:
    assert rolled_out(_app(replicas=0), _deployment(0))
    assert not rolled_out(_app(replicas=0), _deployment(0, replicas=2))


@pytest.mark.parametrize(
    ("ports", "url"),
    [
        ([], None),
        ([{"name": "http", "port": 8080}], "http://hello.team-a.svc:8080"),
        ([{"name": "http", "port": 8080, "servicePort": 80}], "http://hello.team-a.svc"),
        ([{"name": "https", "port": 8443, "servicePort": 443}], "https://hello.team-a.svc"),
        ([{"name": "https-alt", "port": 8443}], "https://hello.team-a.svc:8443"),
        ([{"name": "http", "port": 443}], "http://hello.team-a.svc:443"),
        ([{"name": "dns", "port": 53, "protocol": "UDP"}], "udp://hello.team-a.svc:53"),
    ],
)
def test_the_url_is_that_of_the_first_port(ports: list[dict[str, Any]], url: str | None) -> None:
    assert service_url(_app(ports=ports)) == url


def test_pods_that_may_not_be_made_go_before_what_an_older_pod_lacks() -> None:
    deployment = _deployment(1, **_counts(0, 1, 0))
    message = 'pods "hello-1" is forbidden: exceeded quota: small'
    deployment["status"]["conditions"] = [{"type": "ReplicaFailure", "status": "True", "message": message}]
    finding = Finding("CrashLoop", "Pod old exited. Correct it.")
    observed = AppObserved(selector={}, deployment=deployment, image_ready=True, finding=finding)
    ready = next(one for one in app_status(_app(), observed, NOW).conditions if one.type == "Ready")
    assert ready.reason == "PodsRefused"
    assert "exceeded quota: small. Correct" in ready.message


def test_no_url_without_the_service() -> None:
    app = _app(ports=[{"name": "http", "port": 80}])
    assert app_status(app, AppObserved(selector={}), NOW).url is None
    assert app_status(app, AppObserved(selector={}, has_service=True), NOW).url == "http://hello.team-a.svc"


def test_the_selector_reads_as_kubectl_writes_it() -> None:
    status = app_status(_app(), AppObserved(selector={"b": "2", "a": "1"}), NOW)
    assert status.selector == "a=1,b=2"


def test_pods_count_as_none_until_there_is_a_deployment() -> None:
    status = app_status(_app(), AppObserved(selector={}), NOW)
    assert (status.replicas, status.ready_replicas) == (0, 0)
