"""A release names every image by its digest; one that does not is refused. (The digests here are made up.)"""

from pathlib import Path

import pytest
import yaml

from release.manifests import BASE, Unpinned, images, render

OPERATOR = f"registry.example.com/keelway/operator@sha256:{'a' * 64}"
BUILDKIT = f"registry.example.com/mirror/buildkit@sha256:{'b' * 64}"


def test_every_image_is_named_by_its_digest() -> None:
    objects = list(yaml.safe_load_all(render(OPERATOR, BUILDKIT)))
    assert set(images(objects)) == {OPERATOR, BUILDKIT}


def test_build_jobs_run_the_very_image_of_the_operator() -> None:
    objects = list(yaml.safe_load_all(render(OPERATOR, BUILDKIT)))
    (settings,) = [one for one in objects if one["metadata"]["name"].startswith("keelway-settings")]
    assert settings["data"]["KEELWAY_OPERATOR_IMAGE"] == OPERATOR


def test_a_tag_beside_the_digest_is_left_out() -> None:
    tagged = OPERATOR.replace("@", ":0.1.0@")
    assert render(tagged, BUILDKIT) == render(OPERATOR, BUILDKIT)


@pytest.mark.parametrize(
    "reference",
    ["keelway/operator:0.1.0", "keelway/operator", f"keelway/operator@sha256:{'a' * 63}", "@sha256:" + "a" * 64],
)
def test_an_image_without_a_whole_digest_is_refused(reference: str) -> None:
    with pytest.raises(Unpinned, match="is not pinned"):
        render(reference, BUILDKIT)
    with pytest.raises(Unpinned, match="is not pinned"):
        render(OPERATOR, reference)


def test_an_image_of_the_manifests_that_nobody_pinned_is_refused(tmp_path: Path) -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "x"},
        "spec": {"initContainers": [{"name": "x", "image": "forgotten:1"}], "containers": []},
    }
    (tmp_path / "pod.yaml").write_text(yaml.safe_dump(pod))
    there = Path("../" * len(tmp_path.resolve().parts[1:])) / str(BASE.resolve()).lstrip("/")
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump({"resources": [str(there), "pod.yaml"]}))
    with pytest.raises(Unpinned, match="forgotten:1"):
        render(OPERATOR, BUILDKIT, tmp_path)
