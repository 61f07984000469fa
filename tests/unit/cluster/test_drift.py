"""When a live object is as it was wanted (contract rule 8)."""

from typing import Any

import pytest

from keelway.children.base import DEPLOYMENT_EXACT, SERVICE_EXACT
from keelway.cluster.drift import differences


def deployment(**container: Any) -> dict[str, Any]:
    first = {"name": "app", "image": "nginx@sha256:1", "ports": [{"name": "http", "containerPort": 80}]} | container
    return {"spec": {"template": {"spec": {"containers": [first]}}}}


def defaulted(**container: Any) -> dict[str, Any]:
    """As the API server gives the same back."""
    ports = [{"name": "http", "containerPort": 80, "protocol": "TCP"}]
    live = deployment(**{"ports": ports, "terminationMessagePath": "/dev/termination-log", "resources": {}} | container)
    live["spec"]["replicas"] = 1
    live["spec"]["template"]["spec"] |= {"restartPolicy": "Always", "dnsPolicy": "ClusterFirst"}
    return live


def service(*ports: dict[str, Any], **selector: str) -> dict[str, Any]:
    return {"spec": {"ports": list(ports), "selector": selector or {"app": "web"}}}


HTTP = {"name": "http", "port": 80, "targetPort": "http"}


def test_what_the_api_server_defaulted_is_no_difference() -> None:
    assert differences(deployment(), defaulted(), DEPLOYMENT_EXACT) == []


def test_defaults_of_a_service_are_no_difference() -> None:
    live = service({**HTTP, "protocol": "TCP", "nodePort": 31000})
    live["spec"] |= {"clusterIP": "10.0.0.1", "type": "ClusterIP"}
    assert differences(service(HTTP), live, SERVICE_EXACT) == []


@pytest.mark.parametrize(
    ("live", "where"),
    [
        (defaulted(image="evil"), "spec.template.spec.containers[app].image"),
        (
            defaulted(ports=[{"name": "http", "containerPort": 81, "protocol": "TCP"}]),
            "spec.template.spec.containers[app].ports[80]",
        ),
        (defaulted(env=[{"name": "ADDED", "value": "x"}]), "spec.template.spec.containers[app].env[ADDED]"),
        (
            defaulted(ports=[{"name": "http", "containerPort": 80, "protocol": "TCP", "hostPort": 80}]),
            "spec.template.spec.containers[app].ports[80].hostPort",
        ),
    ],
)
def test_a_hand_edit_of_a_container_is_a_difference(live: dict[str, Any], where: str) -> None:
    assert where in differences(deployment(), live, DEPLOYMENT_EXACT)


def test_an_added_container_is_a_difference() -> None:
    live = defaulted()
    live["spec"]["template"]["spec"]["containers"].append({"name": "miner", "image": "x"})
    assert differences(deployment(), live, DEPLOYMENT_EXACT) == ["spec.template.spec.containers[miner]"]


def test_a_second_env_entry_of_the_same_name_is_a_difference() -> None:
    wanted = deployment(env=[{"name": "A", "value": "1"}])
    live = defaulted(env=[{"name": "A", "value": "1"}, {"name": "A", "value": "1"}])
    assert differences(wanted, live, DEPLOYMENT_EXACT) == ["spec.template.spec.containers[app].env[A]"]


@pytest.mark.parametrize(
    ("live", "where"),
    [
        (service({**HTTP, "port": 81}), "spec.ports[80]"),
        (service({**HTTP, "targetPort": "other"}), "spec.ports[80].targetPort"),
        (service(HTTP, {"name": "more", "port": 9}), "spec.ports[9]"),
        (service(HTTP, app="other"), "spec.selector.app"),
        (service(HTTP, app="web", tier="x"), "spec.selector.tier"),
    ],
)
def test_a_hand_edit_of_a_service_is_a_difference(live: dict[str, Any], where: str) -> None:
    assert where in differences(service(HTTP), live, SERVICE_EXACT)


def test_tcp_and_udp_on_one_port_are_two_ports() -> None:
    wanted = service({"name": "dns", "port": 53}, {"name": "dns-udp", "port": 53, "protocol": "UDP"})
    assert differences(wanted, wanted, SERVICE_EXACT) == []
    assert differences(wanted, service({"name": "dns", "port": 53}), SERVICE_EXACT) == ["spec.ports[53]"]


def test_outside_of_exact_paths_others_may_add_what_they_like() -> None:
    live = {"metadata": {"labels": {"a": "1", "istio": "on"}}, "spec": {"replicas": 3}}
    assert differences({"metadata": {"labels": {"a": "1"}}}, live) == []


def test_the_order_of_named_items_does_not_matter() -> None:
    one, two = {"name": "A", "value": "1"}, {"name": "B", "value": "2"}
    assert differences(deployment(env=[one, two]), defaulted(env=[two, one]), DEPLOYMENT_EXACT) == []


def test_the_order_of_a_command_does() -> None:
    assert differences(deployment(args=["a", "b"]), defaulted(args=["b", "a"])) != []


def test_quantities_are_compared_by_value() -> None:
    wanted = deployment(resources={"requests": {"cpu": "0.5", "memory": "1024Mi"}})
    assert differences(wanted, defaulted(resources={"requests": {"cpu": "500m", "memory": "1Gi"}})) == []
    assert differences(wanted, defaulted(resources={"requests": {"cpu": "600m", "memory": "1Gi"}})) != []


def test_a_quantity_that_the_api_server_rounds_is_no_difference() -> None:
    wanted = deployment(resources={"requests": {"cpu": "0.0001", "memory": "0.000000001"}, "limits": {"memory": "9Ei"}})
    live = defaulted(resources={"requests": {"cpu": "1m", "memory": "1m"}, "limits": {"memory": "9223372036854775807"}})
    assert differences(wanted, live, DEPLOYMENT_EXACT) == []


def test_text_that_looks_like_a_quantity_is_compared_as_text() -> None:
    wanted = deployment(env=[{"name": "limits", "value": "1000m"}])
    assert differences(wanted, defaulted(env=[{"name": "limits", "value": "1"}])) != []


def test_an_empty_value_equals_the_absent_one_that_the_api_server_makes_of_it() -> None:
    assert differences(deployment(env=[{"name": "A", "value": ""}]), defaulted(env=[{"name": "A"}])) == []


def test_false_is_not_the_same_as_absent() -> None:
    wanted = {"spec": {"automountServiceAccountToken": False}}
    assert differences(wanted, {"spec": {}}) == ["spec.automountServiceAccountToken"]
