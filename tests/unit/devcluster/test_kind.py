"""What kind is asked for, and what keeps every command on the one cluster."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from devcluster import control_plane, kind
from devcluster.settings import PURPOSES, Settings, from_environment

SETTINGS = Settings(cache=Path("/cache"), state=Path("/checkout/.keelway"))


def test_kubectl_always_names_our_cluster_and_our_kubeconfig() -> None:
    assert kind.kubectl(SETTINGS, "get", "nodes") == [
        "/checkout/.keelway/bin/kubectl",
        "--kubeconfig=/checkout/.keelway/kubeconfig",
        "--context=kind-keelway",
        "get",
        "nodes",
    ]


def test_the_registry_s_node_port_is_on_the_loopback_of_this_machine_only() -> None:
    made = json.loads(kind.configuration(SETTINGS, built=False, resolv_conf=None))
    assert made["nodes"][0]["extraPortMappings"] == [
        {"containerPort": 30500, "hostPort": 30500, "listenAddress": "127.0.0.1"}
    ]


@pytest.mark.parametrize("purpose", PURPOSES)
def test_each_purpose_has_a_cluster_a_kubeconfig_and_a_registry_port_of_its_own(purpose: str) -> None:
    others = [from_environment(other) for other in PURPOSES if other != purpose]
    ours = from_environment(purpose)
    for other in others:
        assert ours.context != other.context
        assert ours.kubeconfig != other.kubeconfig
        assert ours.registry.local_address != other.registry.local_address
        assert ours.registry.node_address == other.registry.node_address


def test_the_control_plane_is_told_to_log_what_the_operator_asks_for(tmp_path: Path) -> None:
    here = replace(SETTINGS, cache=tmp_path)
    control_plane.write(here)
    policy = (control_plane.directory(here) / "audit-policy.yaml").read_text()
    assert "system:serviceaccount:keelway-system:keelway" in policy
    patches = {file.name for file in (control_plane.directory(here) / "patches").iterdir()}
    assert "kube-apiserver0+json.yaml" in patches
    assert "kube-controller-manager0+json.yaml" not in patches


def test_a_cluster_for_benchmarks_has_a_fast_controller_manager_and_a_key_of_its_own(tmp_path: Path) -> None:
    bench = replace(SETTINGS, cache=tmp_path, purpose="bench")
    control_plane.write(bench)
    told = (control_plane.directory(bench) / "patches" / "kube-controller-manager0+json.yaml").read_text()
    assert "--kube-api-qps=2000" in told
    assert control_plane.version(bench) != control_plane.version(SETTINGS)


def test_a_public_node_image_keeps_its_own_network_and_cgroup_driver() -> None:
    made = json.loads(kind.configuration(SETTINGS, built=False, resolv_conf=Path("/etc/resolv.conf")))
    assert made["networking"]["disableDefaultCNI"] is False
    assert "/etc/resolv.conf" not in [mount["hostPath"] for mount in made["nodes"][0]["extraMounts"]]
    assert not any("cgroupDriver" in patch for patch in made["kubeadmConfigPatches"])


def test_our_node_image_gets_the_host_s_name_servers_and_no_cni_daemon() -> None:
    made = json.loads(kind.configuration(SETTINGS, built=True, resolv_conf=Path("/etc/resolv.conf")))
    assert made["networking"]["disableDefaultCNI"] is True
    mounts = {mount["hostPath"]: mount["containerPath"] for mount in made["nodes"][0]["extraMounts"]}
    kubelet = json.loads(made["kubeadmConfigPatches"][-1])
    assert kubelet["resolvConf"] == mounts["/etc/resolv.conf"]
    assert kubelet["cgroupDriver"] == "cgroupfs"


@pytest.mark.parametrize(
    ("etc", "resolved", "chosen"),
    [
        ("nameserver 192.0.2.1\n", "nameserver 192.0.2.2\n", "/etc"),
        ("nameserver 127.0.0.53\n", "nameserver 192.0.2.2\n", "/resolved"),
        ("search example.com\n", "nameserver 192.0.2.2\n", "/resolved"),
        ("nameserver 127.0.0.1\n", "nameserver ::1\n", None),
    ],
)
def test_pods_get_a_name_server_that_is_not_their_own_loopback(etc: str, resolved: str, chosen: str | None) -> None:
    found = kind.usable_resolv_conf({Path("/etc"): etc, Path("/resolved"): resolved})
    assert found == (None if chosen is None else Path(chosen))
