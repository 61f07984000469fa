"""When a pod template changes (contract rule 11)."""

from copy import deepcopy
from typing import Any

from keelway.api.resources import DEPLOYMENTS
from keelway.children.base import INTENT_ANNOTATION, POD_TEMPLATE, TEMPLATE_ANNOTATION, ChildKind
from keelway.reconcile.release import released

KIND: ChildKind[Any] = ChildKind(
    "deployment", DEPLOYMENTS, lambda _: None, template=POD_TEMPLATE, unreleased=("replicas",)
)


def owner(generation: int = 1, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"generation": generation}, "spec": {"env": [], "replicas": 1} | spec}


def wanted(image: str = "a@1", **template: Any) -> dict[str, Any]:
    spec = {"containers": [{"name": "app", "image": image}]} | template
    return {"metadata": {"name": "web"}, "spec": {"template": {"spec": spec}}}


LIVE = released(KIND, owner(), wanted(), None)
OLD = wanted()["spec"]["template"]


def template_of(obj: dict[str, Any]) -> Any:
    return obj["spec"]["template"]


def test_a_first_release_is_what_was_built() -> None:
    assert template_of(LIVE) == OLD


def test_an_unchanged_owner_keeps_its_template_whatever_the_builder_adds() -> None:
    assert released(KIND, owner(), wanted(hostUsers=False), LIVE) == LIVE


def test_a_changed_spec_is_a_release() -> None:
    new = released(KIND, owner(2, env=["x"]), wanted(hostUsers=False), LIVE)
    assert template_of(new)["spec"]["hostUsers"] is False


def test_a_changed_image_is_a_release() -> None:
    assert template_of(released(KIND, owner(), wanted("a@2"), LIVE)) == template_of(wanted("a@2"))


def test_scaling_is_none() -> None:
    assert template_of(released(KIND, owner(2, replicas=5), wanted(hostUsers=False), LIVE)) == OLD


def test_a_default_that_a_new_crd_brings_is_none() -> None:
    assert template_of(released(KIND, owner(1, added="default"), wanted(hostUsers=False), LIVE)) == OLD


def test_a_sidecar_that_a_new_builder_adds_is_none() -> None:
    new = wanted()
    new["spec"]["template"]["spec"]["containers"].append({"name": "sidecar", "image": "b@1"})
    assert template_of(released(KIND, owner(), new, LIVE)) == OLD


def test_a_kept_template_that_was_edited_by_hand_counts_for_nothing() -> None:
    forged = deepcopy(LIVE)
    forged["metadata"]["annotations"][TEMPLATE_ANNOTATION] = '{"spec":{"containers":[]}}'
    assert template_of(released(KIND, owner(), wanted(), forged)) == OLD


def test_a_template_too_big_for_an_annotation_is_released_without_one() -> None:
    big = wanted(env=["x" * 1000] * 200)
    annotations = released(KIND, owner(), big, None)["metadata"]["annotations"]
    assert TEMPLATE_ANNOTATION not in annotations
    assert INTENT_ANNOTATION in annotations


def test_a_kind_without_a_template_is_given_back_as_it_is() -> None:
    service: ChildKind[Any] = ChildKind("service", DEPLOYMENTS, lambda _: None)
    assert released(service, owner(), wanted(), None) == wanted()
