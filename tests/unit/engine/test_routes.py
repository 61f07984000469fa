"""Whose business a change is."""

from typing import Any

import pytest

from keelway.api.resources import APPS, BUILDS, DEPLOYMENTS, IMAGES, JOBS, PODS, Resource
from keelway.cluster.cache import Cache
from keelway.engine.routes import keys_of
from keelway.reconcile.outcome import Key


def obj(name: str, **metadata: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "team", **metadata}}


OF_IMAGE = {"keelway.dev/image": "hello", "keelway.dev/image-namespace": "team"}
OF_APP = [{"kind": "App", "name": "web", "uid": "u", "controller": True}]
OF_JOB = [{"kind": "Job", "name": "x", "uid": "u", "controller": True}]


@pytest.mark.parametrize(
    ("resource", "given", "keys"),
    [
        (APPS, obj("web"), [Key("App", "team", "web")]),
        (IMAGES, obj("hello"), [Key("Image", "team", "hello"), Key("App", "team", "follower")]),
        (BUILDS, obj("hello-1") | {"spec": {"image": "hello"}}, [Key("Image", "team", "hello")]),
        (BUILDS, obj("of-another-schema") | {"spec": {"number": 1}}, []),
        (BUILDS, obj("of-another-schema"), []),
        (DEPLOYMENTS, obj("web", ownerReferences=OF_APP), [Key("App", "team", "web")]),
        (DEPLOYMENTS, obj("web"), []),
        (JOBS, obj("j", labels=OF_IMAGE, namespace="keelway-builds"), [Key("Image", "team", "hello")]),
        (PODS, obj("p", labels=OF_IMAGE, ownerReferences=OF_JOB), [Key("Image", "team", "hello")]),
        (PODS, obj("p", ownerReferences=OF_JOB), []),
    ],
)
def test_a_change_goes_to_whose_it_is(resource: Resource, given: dict[str, Any], keys: list[Key]) -> None:
    cache = Cache()
    follower = {"name": "follower", "namespace": "team", "uid": "u", "resourceVersion": "1"}
    cache.put(APPS, {"metadata": follower, "spec": {"image": {"name": "hello"}}})
    assert list(keys_of(resource, given, cache)) == keys


def test_a_change_of_an_image_goes_to_all_that_build_from_it_however_far_above() -> None:
    """The ones next to it build again; the others may be in a circle that it has closed, or opened."""
    cache = Cache()
    for name, base in (("base", "top"), ("middle", "base"), ("top", "middle"), ("other", "nothing")):
        metadata = {"name": name, "namespace": "team", "uid": name, "resourceVersion": "1"}
        cache.put(IMAGES, {"metadata": metadata, "spec": {"build": {"images": [{"name": "x", "image": base}]}}})
    names = [key.name for key in keys_of(IMAGES, obj("base"), cache)]
    assert names == ["base", "middle", "top"]
