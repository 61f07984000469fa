"""What a node is told: its pod range, its registry, and which images it has."""

import json
import tomllib

import pytest

from devcluster import nodes
from devcluster.settings import Registry


def test_a_node_hands_out_addresses_of_its_own_range_only() -> None:
    made = json.loads(nodes.conflist("10.244.3.0/24"))
    assert made["plugins"][0]["ipam"]["ranges"] == [[{"subnet": "10.244.3.0/24"}]]
    assert [plugin["type"] for plugin in made["plugins"]] == ["ptp", "portmap"]


def test_a_node_finds_the_registry_at_its_node_port_with_the_credential() -> None:
    made = tomllib.loads(nodes.hosts_toml(Registry(node_port=30123, username="user", password="secret")))
    host = made["host"]["http://127.0.0.1:30123"]
    assert host["header"]["Authorization"] == "Basic dXNlcjpzZWNyZXQ="
    assert host["capabilities"] == ["pull", "resolve"]


@pytest.mark.parametrize(
    ("reference", "full"),
    [
        ("python", "docker.io/library/python:latest"),
        ("python:3.11-slim", "docker.io/library/python:3.11-slim"),
        ("moby/buildkit:v0.34.2", "docker.io/moby/buildkit:v0.34.2"),
        ("keelway/operator", "docker.io/keelway/operator:latest"),
        ("registry.k8s.io/pause:3.10.2", "registry.k8s.io/pause:3.10.2"),
        ("localhost/app", "localhost/app:latest"),
        ("example:5000/app", "example:5000/app:latest"),
    ],
)
def test_references_are_named_as_containerd_names_them(reference: str, full: str) -> None:
    assert nodes.full_name(reference) == full


def test_only_images_that_load_brought_count_as_loaded() -> None:
    table = (
        "REF                            TYPE  DIGEST       SIZE    PLATFORMS   LABELS\n"
        "docker.io/library/registry:3   list  sha256:aaaa  1.0 MiB linux/amd64 "
        "dev.keelway.docker-id=sha256:bbbb,io.cri-containerd.image=managed\n"
        "registry.k8s.io/etcd:3.7.0-0   list  sha256:cccc  2.0 MiB linux/amd64 io.cri-containerd.image=managed\n"
    )
    assert nodes.parse_images(table) == {"docker.io/library/registry:3": "sha256:bbbb"}
