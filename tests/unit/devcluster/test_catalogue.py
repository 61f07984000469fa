"""The list of images: what it says of itself holds, and it agrees with the files beside it."""

import re
from typing import Any

import pytest

from devcluster import catalogue
from devcluster.catalogue import Place
from devcluster.settings import PACKAGE

DOCUMENT: dict[str, Any] = {
    "go": [{"name": "server", "packages": ["example.com/server@v1.0.0"]}],
    "root": [{"name": "small", "packages": ["bash"]}],
    "image": [{"reference": "server:1", "place": "base", "root": "small", "files": {"/server": "server/server"}}],
    "node": {"reference": "node:1", "kubernetes": "v1.2.3"},
}


def test_the_committed_list_is_whole() -> None:
    listed = catalogue.load()
    assert {image.reference for image in listed.for_nodes()} == {
        "registry:3",
        "registry.k8s.io/metrics-server/metrics-server:v0.9.0",
        "moby/buildkit:v0.34.2",
        "python:3.11-slim",
    }
    assert [image.reference for image in listed.bases()] == ["python:3.11-slim"]


def test_lists_become_immutable() -> None:
    parsed = catalogue.parse(DOCUMENT)
    assert parsed.go["server"].packages == ("example.com/server@v1.0.0",)
    assert parsed.images[0].place is Place.BASE


@pytest.mark.parametrize(
    ("change", "complaint"),
    [({"root": "large"}, r"no \[\[root\]\]"), ({"files": {"/x": "client/x"}}, r"no \[\[go\]\]")],
)
def test_a_name_that_nothing_defines_is_refused(change: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        catalogue.parse({**DOCUMENT, "image": [{**DOCUMENT["image"][0], **change}]})


def test_a_key_that_is_not_known_is_refused() -> None:
    with pytest.raises(TypeError, match="licence"):
        catalogue.parse({**DOCUMENT, "root": [{"name": "small", "packages": [], "licence": "none"}]})


def test_containerd_in_the_node_uses_the_pause_image_of_the_list() -> None:
    configuration = (PACKAGE / "node/etc/containerd/config.toml").read_text()
    assert f"sandbox = '{catalogue.load().pause()}'" in configuration


def test_metrics_server_is_deployed_from_the_image_of_the_list() -> None:
    manifest = (PACKAGE / "manifests/metrics-server.yaml").read_text()
    listed = {image.reference for image in catalogue.load().for_nodes()}
    assert set(re.findall(r"image: (\S+)", manifest)) <= listed


def test_kubernetes_has_one_version() -> None:
    listed = catalogue.load()
    module = (PACKAGE / "go/kubernetes/go.mod").read_text()
    assert f"k8s.io/kubernetes {listed.kubernetes}\n" in module
    assert listed.go["kubernetes"].variables["k8s.io/component-base/version.gitVersion"] == listed.kubernetes
    assert f"registry.k8s.io/kube-apiserver:{listed.kubernetes}" in {i.reference for i in listed.inside_node()}
