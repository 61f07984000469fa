"""What the installation grants and refuses, read from what `kubectl kustomize` makes of it."""

import json
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from keelway.api import quantity

ROOT = Path(__file__).parents[3]
OWN_NAMESPACES = {"keelway-system", "keelway-builds", "keelway-buildkit"}
Manifest = dict[str, Any]


def render(directory: Path) -> list[Manifest]:
    made = subprocess.run(["kubectl", "kustomize", str(directory)], capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    return list(yaml.safe_load_all(made.stdout))


@pytest.fixture(scope="module")
def base() -> list[Manifest]:
    return render(ROOT / "manifests" / "base")


@pytest.fixture(scope="module")
def dev() -> list[Manifest]:
    return render(ROOT / "manifests" / "dev")


def of_kind(manifests: list[Manifest], *kinds: str) -> list[Manifest]:
    return [manifest for manifest in manifests if manifest["kind"] in kinds]


def named(manifests: list[Manifest], kind: str, name: str) -> Manifest:
    """The one of that name, or of that name with kustomize's hash behind it."""
    found = [m for m in of_kind(manifests, kind) if m["metadata"]["name"].removesuffix(_hash(m)) == name]
    assert len(found) == 1, f"{len(found)} of {kind} {name}"
    return found[0]


def _hash(manifest: Manifest) -> str:
    tail = manifest["metadata"]["name"].rpartition("-")[2]
    return f"-{tail}" if manifest["kind"] in ("ConfigMap", "Secret") and len(tail) == 10 else ""


def rules(manifests: list[Manifest]) -> Iterator[tuple[str, Manifest]]:
    """Each rule with the namespace it holds in, "" for all of them."""
    for role in of_kind(manifests, "ClusterRole", "Role"):
        for rule in role["rules"]:
            yield role["metadata"].get("namespace", ""), rule


def operator_rules(manifests: list[Manifest]) -> Iterator[tuple[str, Manifest]]:
    roles = [r for r in of_kind(manifests, "ClusterRole", "Role") if r["metadata"]["name"] == "keelway"]
    return rules(roles)


def verbs_on(manifests: list[Manifest], resource: str, namespace: str) -> set[str]:
    return {
        verb
        for held_in, rule in operator_rules(manifests)
        if held_in == namespace and resource in rule["resources"]
        for verb in rule["verbs"]
    }


def test_no_rule_has_a_wildcard(base: list[Manifest], dev: list[Manifest]) -> None:
    for _, rule in rules(base + dev):
        assert "*" not in rule["apiGroups"] + rule["resources"] + rule["verbs"], rule


def test_in_user_namespaces_the_operator_only_gets_secrets_and_config_maps(base: list[Manifest]) -> None:
    assert verbs_on(base, "secrets", "") == {"get"}
    assert verbs_on(base, "configmaps", "") == {"get"}


def test_secrets_are_written_in_the_operators_own_namespaces_only(base: list[Manifest]) -> None:
    writers = {held_in for held_in, rule in rules(base) if "secrets" in rule["resources"]} - {""}
    assert writers <= OWN_NAMESPACES


@pytest.mark.parametrize("namespace", ["keelway-system", "keelway-buildkit"])
def test_existing_secrets_are_changed_by_name_only(base: list[Manifest], namespace: str) -> None:
    for held_in, rule in operator_rules(base):
        if held_in == namespace and "secrets" in rule["resources"] and rule["verbs"] != ["create"]:
            assert rule["resourceNames"]


def test_the_operator_never_writes_a_spec_of_the_users(base: list[Manifest]) -> None:
    for resource in ("images", "apps"):
        assert verbs_on(base, resource, "") == {"get", "list", "watch"}
        assert verbs_on(base, f"{resource}/status", "") == {"patch"}


@pytest.mark.parametrize(
    "resource",
    ["statefulsets", "daemonsets", "pods/exec", "nodes", "roles", "clusterroles", "serviceaccounts"],
)
def test_the_operator_has_no_way_to_more_rights(base: list[Manifest], resource: str) -> None:
    for _, rule in operator_rules(base):
        assert resource not in rule["resources"]
        assert not {"escalate", "bind", "impersonate"} & set(rule["verbs"])


def test_jobs_are_written_in_the_builds_namespace_only(base: list[Manifest]) -> None:
    assert verbs_on(base, "jobs", "") == {"get", "list", "watch"}
    assert verbs_on(base, "jobs", "keelway-builds") == {"create", "delete"}


def test_users_read_builds_and_never_write_them(base: list[Manifest]) -> None:
    roles = [
        role
        for role in of_kind(base, "ClusterRole")
        if any("aggregate-to" in label for label in role["metadata"].get("labels", {}))
    ]
    for _, rule in rules(roles):
        if "builds" in rule["resources"]:
            assert set(rule["verbs"]) == {"get", "list", "watch"}
    for target in ("view", "edit", "admin"):
        label = f"rbac.authorization.k8s.io/aggregate-to-{target}"
        assert any(role["metadata"]["labels"].get(label) == "true" for role in roles)


@pytest.mark.parametrize(
    ("namespace", "level"),
    [
        ("keelway-system", "restricted"),
        ("keelway-builds", "restricted"),
        ("keelway-buildkit", "privileged"),
    ],
)
def test_each_namespace_enforces_its_pod_security(base: list[Manifest], namespace: str, level: str) -> None:
    labels = named(base, "Namespace", namespace)["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == level


def test_only_buildkitd_itself_is_privileged(base: list[Manifest], dev: list[Manifest]) -> None:
    privileged = [
        (workload["metadata"]["name"], container["name"])
        for workload in of_kind(base + dev, "Deployment", "StatefulSet")
        for container in containers(workload)
        if container["securityContext"].get("privileged")
    ]
    assert set(privileged) == {("buildkitd", "buildkitd")}


def containers(workload: Manifest) -> list[Manifest]:
    pod = workload["spec"]["template"]["spec"]
    return [*pod.get("initContainers", []), *pod["containers"]]


def test_the_operator_pod_is_restricted_and_read_only(base: list[Manifest]) -> None:
    pod = named(base, "Deployment", "keelway")["spec"]["template"]["spec"]
    context = pod["containers"][0]["securityContext"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert context["readOnlyRootFilesystem"] is True
    assert context["allowPrivilegeEscalation"] is False
    assert context["capabilities"] == {"drop": ["ALL"]}


def test_code_that_breaks_out_of_a_build_finds_no_token(base: list[Manifest]) -> None:
    pod = named(base, "StatefulSet", "buildkitd")["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    bound = {subject["name"] for b in of_kind(base, "RoleBinding", "ClusterRoleBinding") for subject in b["subjects"]}
    assert pod["serviceAccountName"] not in bound


def test_buildkitd_waits_for_its_network_rules(base: list[Manifest]) -> None:
    pod = named(base, "StatefulSet", "buildkitd")["spec"]["template"]["spec"]
    (boundary,) = pod["initContainers"]
    assert boundary["restartPolicy"] == "Always"
    assert boundary["startupProbe"]["exec"]["command"] == ["test", "-e", "/run/keelway/ready"]


def buildkitd_toml(manifests: list[Manifest]) -> Manifest:
    data = named(manifests, "ConfigMap", "buildkitd")["data"]
    return tomllib.loads("".join(text for name, text in sorted(data.items()) if name.endswith(".toml")))


def test_buildkitd_speaks_to_the_network_by_mutual_tls_only(base: list[Manifest]) -> None:
    grpc = buildkitd_toml(base)["grpc"]
    assert {address.partition("://")[0] for address in grpc["address"]} == {"unix", "tcp"}
    assert all(grpc["tls"][key] for key in ("ca", "cert", "key"))


def test_buildkitd_gives_builds_no_entitlement_and_a_network_of_their_own(base: list[Manifest]) -> None:
    config = buildkitd_toml(base)
    assert "insecure-entitlements" not in config
    assert config["worker"]["oci"]["networkMode"] == "cni"
    assert config["frontend"]["gateway.v0"]["allowedRepositories"] == ["docker.io/docker/dockerfile"]


def test_buildkitd_keeps_its_cache_below_its_volume(base: list[Manifest]) -> None:
    claim = named(base, "StatefulSet", "buildkitd")["spec"]["volumeClaimTemplates"][0]
    assert claim["spec"]["resources"]["requests"]["storage"] == "30Gi"
    assert buildkitd_toml(base)["worker"]["oci"]["maxUsedSpace"] == "20GB"


def test_one_step_cannot_take_the_memory_that_the_daemon_needs(base: list[Manifest], dev: list[Manifest]) -> None:
    for manifests in (base, dev):
        step = quantity.value(named(manifests, "ConfigMap", "keelway-settings")["data"]["KEELWAY_BUILD_MEMORY"])
        pod = named(manifests, "StatefulSet", "buildkitd")["spec"]["template"]["spec"]
        assert 2 * step <= quantity.value(pod["containers"][0]["resources"]["limits"]["memory"])


def test_steps_run_with_a_limit_on_their_processes(base: list[Manifest], dev: list[Manifest]) -> None:
    assert buildkitd_toml(base)["worker"]["oci"]["binary"] == "/run/keelway/runtime"
    patch = ROOT / "devcluster" / "controlplane" / "patches-dev" / "kubeletconfiguration+merge.yaml"
    pod = yaml.safe_load(patch.read_text())["podPidsLimit"]
    assert int(named(dev, "ConfigMap", "buildkitd-limits")["data"]["STEP_PROCESSES"]) * 4 <= pod


STEP = '{"process":{"args":["echo \\"resources\\":{"]},"linux":{"resources":{"devices":[]}}}'


@pytest.mark.parametrize(
    ("configuration", "limit"), [(STEP, 77), ('{"process":{"args":["true"]},"linux":{}}', None)], ids=["step", "other"]
)
def test_the_runtime_of_steps_limits_their_processes_or_does_not_run_them(
    configuration: str, limit: int | None, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text(configuration)
    (tmp_path / "buildkit-runc").write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/called\n')
    (tmp_path / "buildkit-runc").chmod(0o755)
    function = "sed -n '/^write_runtime/,/^}/p' " + str(ROOT / "manifests" / "base" / "buildkit" / "boundary.sh")
    script = f'run={tmp_path}; STEP_PROCESSES=77; eval "$({function})"; write_runtime'
    subprocess.run(["sh", "-euc", script], check=True)

    done = subprocess.run(
        [str(tmp_path / "runtime"), "--log", "l", "run", "--bundle", str(tmp_path), "x y"],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        check=False,
    )

    written = json.loads((tmp_path / "config.json").read_text())
    assert written["linux"].get("resources", {}).get("pids", {}).get("limit") == limit
    assert written["process"] == json.loads(configuration)["process"]
    assert (done.returncode == 0) is (limit is not None)
    assert (tmp_path / "called").exists() is (limit is not None)


def test_no_namespace_can_own_what_the_mirror_serves(dev: list[Manifest]) -> None:
    (mirror,) = buildkitd_toml(dev)["registry"]["docker.io"]["mirrors"]
    # A namespace's name is a DNS label: it has no dot.
    assert "." in mirror.split("/")[1]
    settings = named(dev, "ConfigMap", "keelway-settings")["data"]
    assert settings["KEELWAY_REGISTRY_MIRRORS"] == f"docker.io={mirror}", "the operator looks where BuildKit looks"


def test_build_jobs_use_the_image_and_the_replicas_that_are_installed(
    base: list[Manifest], dev: list[Manifest]
) -> None:
    for manifests in (base, dev):
        settings = named(manifests, "ConfigMap", "keelway-settings")["data"]
        (operator,) = containers(named(manifests, "Deployment", "keelway"))
        assert settings["KEELWAY_OPERATOR_IMAGE"] == operator["image"]
        replicas = named(manifests, "StatefulSet", "buildkitd")["spec"]["replicas"]
        assert settings["KEELWAY_BUILDKIT_REPLICAS"] == str(replicas)


def test_an_overlay_of_six_lines_names_the_registry(tmp_path: Path) -> None:
    base_from_here = Path("../" * len(tmp_path.resolve().parts[1:])) / str(ROOT / "manifests" / "base").lstrip("/")
    (tmp_path / "kustomization.yaml").write_text(
        f"resources: [{base_from_here}]\n"
        "configMapGenerator:\n"
        "- name: keelway-settings\n"
        "  namespace: keelway-system\n"
        "  behavior: merge\n"
        "  literals: [KEELWAY_REGISTRY=registry.internal/apps]\n"
    )
    manifests = render(tmp_path)
    settings = named(manifests, "ConfigMap", "keelway-settings")
    assert settings["data"]["KEELWAY_REGISTRY"] == "registry.internal/apps"
    (operator,) = containers(named(manifests, "Deployment", "keelway"))
    assert operator["envFrom"] == [{"configMapRef": {"name": settings["metadata"]["name"]}}]


def test_webhooks_reach_every_replica_on_a_port_of_their_own(base: list[Manifest]) -> None:
    (operator,) = containers(named(base, "Deployment", "keelway"))
    ports = {one["name"]: one["containerPort"] for one in operator["ports"]}
    port = next(one["value"] for one in operator["env"] if one["name"] == "KEELWAY_WEBHOOK_PORT")
    assert (ports["webhook"], ports["http"]) == (int(port), 8080)
    spec = named(base, "Service", "keelway-webhook")["spec"]
    assert [one["targetPort"] for one in spec["ports"]] == ["webhook"], "probes and metrics are not opened with it"
    labels = named(base, "Deployment", "keelway")["spec"]["template"]["metadata"]["labels"]
    assert spec["selector"].items() <= labels.items()
    opened = named(base, "NetworkPolicy", "keelway")["spec"]["ingress"][0]["ports"]
    assert {"port": int(port)} in opened


def test_without_a_secret_for_webhooks_the_operator_starts(base: list[Manifest], dev: list[Manifest]) -> None:
    for manifests in (base, dev):
        volumes = named(manifests, "Deployment", "keelway")["spec"]["template"]["spec"]["volumes"]
        assert {"name": "webhook", "secret": {"secretName": "keelway-webhook", "optional": True}} in volumes
