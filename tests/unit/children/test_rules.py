"""Rules that hold for every child in `golden/`: Kubernetes' own, Pod Security `restricted`, and those of this design.

The same objects were taken by a real API server as they stand; these keep that so.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from keelway.api import quantity
from keelway.api.app import App
from keelway.children import APP_CHILDREN
from keelway.children.base import KEEP
from keelway.children.context import AppContext
from keelway.cluster.drift import differences
from tests.unit.golden.cases import case_names, read

Object = dict[str, Any]

LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
LABEL_KEY = re.compile(r"([a-z0-9.-]{1,253}/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
DNS_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


def _children(case: str) -> Iterator[Object]:
    expected = read(case, "expected")
    yield from (child for child in expected.get("children", {}).values() if isinstance(child, dict))
    yield from (expected[name] for name in ("job", "secret") if name in expected)
    yield from expected.get("pods", [])


CASES = [case for case in case_names() if any(_children(case))]
APP_CASES = [case for case in CASES if "children" in read(case, "expected")]


def _pod_spec(child: Object) -> Object | None:
    if child["kind"] == "Pod":
        spec: Object = child["spec"]
        return spec
    template: Object | None = child.get("spec", {}).get("template")
    return template["spec"] if template else None


def _pods(case: str) -> Iterator[Object]:
    yield from (spec for child in _children(case) if (spec := _pod_spec(child)) is not None)


def _containers(spec: Object) -> list[Object]:
    return [*spec.get("initContainers", []), *spec["containers"]]


def _may_be_root(spec: Object) -> bool:
    return not spec["securityContext"].get("runAsNonRoot", False)


def _restricted_violations(spec: Object) -> Iterator[str]:
    """kubernetes.io/docs/concepts/security/pod-security-standards, Restricted, for the fields that we write."""
    if spec["securityContext"].get("runAsNonRoot") is not True:
        yield "runAsNonRoot"
    if spec["securityContext"].get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
        yield "seccompProfile"
    for container in _containers(spec):
        security = container.get("securityContext", {})
        if security.get("allowPrivilegeEscalation") is not False:
            yield f"{container['name']}: allowPrivilegeEscalation"
        if security.get("capabilities", {}).get("drop") != ["ALL"] or security["capabilities"].get("add"):
            yield f"{container['name']}: capabilities"
        if security.get("runAsUser") == 0:
            yield f"{container['name']}: runAsUser"
    if any(set(volume) - {"name", "secret", "emptyDir"} for volume in spec.get("volumes", [])):
        yield "volumes"


@pytest.mark.parametrize("case", CASES)
def test_pods_keep_pod_security_restricted_unless_baseline_was_asked_for(case: str) -> None:
    for spec in _pods(case):
        if _may_be_root(spec):
            assert "Baseline" in str(read(case, "input"))
        else:
            assert list(_restricted_violations(spec)) == []


@pytest.mark.parametrize("case", CASES)
def test_names_and_labels_are_as_kubernetes_takes_them(case: str) -> None:
    for child in _children(case):
        metadata = child["metadata"]
        assert DNS_NAME.fullmatch(metadata["name"])
        template = child.get("spec", {}).get("template", {}).get("metadata", {})
        for key, value in [*metadata["labels"].items(), *template.get("labels", {}).items()]:
            assert LABEL_KEY.fullmatch(key)
            assert LABEL_VALUE.fullmatch(value)


@pytest.mark.parametrize("case", CASES)
def test_every_child_is_marked_as_ours_and_none_as_argo_cds(case: str) -> None:
    for child in _children(case):
        labels = child["metadata"]["labels"]
        assert labels["app.kubernetes.io/managed-by"] == "keelway"
        assert "app.kubernetes.io/instance" not in labels


@pytest.mark.parametrize("case", CASES)
def test_no_request_is_above_its_limit_and_cpu_and_memory_are_always_requested(case: str) -> None:
    for container in (one for spec in _pods(case) for one in _containers(spec)):
        requests, limits = container["resources"]["requests"], container["resources"].get("limits", {})
        assert {"cpu", "memory"} <= set(requests)
        for name in requests.keys() & limits.keys():
            assert quantity.value(requests[name]) <= quantity.value(limits[name])


@pytest.mark.parametrize("case", CASES)
def test_no_pod_gets_a_token_or_the_environment_of_services_unasked(case: str) -> None:
    for spec in _pods(case):
        assert spec["enableServiceLinks"] is False
        account = spec.get("serviceAccountName", "default")
        assert account != "default" or spec["automountServiceAccountToken"] is False


@pytest.mark.parametrize("case", APP_CASES)
def test_the_account_of_an_apps_pods_is_always_named(case: str) -> None:
    """One that is only left out comes back from the field `serviceAccount`, which the API server keeps beside it."""
    deployment = _app_child(case, "deployment")
    assert deployment is None or "serviceAccountName" in deployment["spec"]["template"]["spec"]


@pytest.mark.parametrize("case", CASES)
def test_nothing_is_wanted_that_the_api_server_drops(case: str) -> None:
    """A null, an empty list, or a zero of a field that is omitted when zero, would be found to differ for ever."""
    dropped = {"initialDelaySeconds": 0}

    def check(value: Any, where: str) -> None:
        assert value is not None, where
        if isinstance(value, Mapping):
            for name, part in value.items():
                assert name not in dropped or part != dropped[name], where
                check(part, f"{where}.{name}")
        elif isinstance(value, list):
            assert value, where
            for part in value:
                check(part, where)

    for child in _children(case):
        check(child, child["kind"])


def _app_child(case: str, kind: str) -> Object | None:
    child = read(case, "expected")["children"][kind]
    return child if isinstance(child, dict) else None


@pytest.mark.parametrize("case", APP_CASES)
def test_the_selector_of_service_and_deployment_finds_the_pods_and_is_never_the_users(case: str) -> None:
    deployment, service = _app_child(case, "deployment"), _app_child(case, "service")
    if deployment is None:
        return
    selector = deployment["spec"]["selector"]["matchLabels"]
    assert selector.items() <= deployment["spec"]["template"]["metadata"]["labels"].items()
    assert set(selector) == {"keelway.dev/app", "app.kubernetes.io/managed-by"}
    if service is not None:
        assert service["spec"]["selector"] == selector


@pytest.mark.parametrize("case", APP_CASES)
def test_every_port_of_the_service_and_of_a_probe_is_one_of_the_containers(case: str) -> None:
    deployment, service = _app_child(case, "deployment"), _app_child(case, "service")
    if deployment is None:
        return
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    ports = {port["name"] for port in container.get("ports", [])}
    if service is not None:
        assert {port["targetPort"] for port in service["spec"]["ports"]} == ports
    for probe in (container.get(f"{one}Probe", {}) for one in ("readiness", "liveness", "startup")):
        action = probe.get("httpGet") or probe.get("tcpSocket") or {}
        assert not isinstance(action.get("port"), str) or action["port"] in ports


@pytest.mark.parametrize("case", APP_CASES)
def test_an_hpa_and_the_deployment_never_both_name_replicas(case: str) -> None:
    deployment, hpa = _app_child(case, "deployment"), _app_child(case, "hpa")
    if deployment is not None:
        assert ("replicas" in deployment["spec"]) == (hpa is None)
    if hpa is not None:
        assert hpa["spec"]["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "hello"}


@pytest.mark.parametrize("case", APP_CASES)
def test_a_rollout_never_takes_a_pod_away_before_its_successor_serves(case: str) -> None:
    deployment = _app_child(case, "deployment")
    if deployment is None:
        return
    rolling = deployment["spec"]["strategy"]["rollingUpdate"]
    assert (rolling["maxUnavailable"], rolling["maxSurge"]) == (0, "25%")
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    if "ports" in container:
        assert container["lifecycle"]["preStop"]["sleep"]["seconds"] < pod["terminationGracePeriodSeconds"]


@pytest.mark.parametrize("kind", APP_CHILDREN, ids=lambda kind: kind.name)
@pytest.mark.parametrize("case", APP_CASES)
def test_a_child_does_not_differ_from_itself(case: str, kind: Any) -> None:
    child = _app_child(case, kind.name)
    if child is not None:
        assert differences(child, child, kind.exact) == []


def test_a_service_needs_no_image_and_a_deployment_keeps_running_without_one() -> None:
    raw = read("app-autoscale", "input")["app"]
    built = {kind.name: kind.build(AppContext(App.parse(raw), None)) for kind in APP_CHILDREN}
    assert isinstance(built["service"], dict)
    assert built["deployment"] is KEEP
    assert built["hpa"] is KEEP
