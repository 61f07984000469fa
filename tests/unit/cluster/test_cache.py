"""The cache: what it takes, what it refuses, what it calls a change (contract rules 2 and 4)."""

from typing import Any

import pytest

from keelway.api.resources import APPS, BUILDS, DEPLOYMENTS, HPAS, IMAGES, JOBS, SECRETS, Resource
from keelway.cluster.cache import Cache

MANAGED = {"app.kubernetes.io/managed-by": "keelway"}


def an_object(version: int, uid: str = "u1", name: str = "web", **parts: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "team", "uid": uid, "resourceVersion": str(version), "labels": MANAGED}
    return {"metadata": metadata | parts.pop("metadata", {}), **parts}


def owned(version: int, owner: str, **parts: Any) -> dict[str, Any]:
    reference = {"kind": "App", "name": "web", "uid": owner, "controller": True}
    return an_object(version, metadata={"ownerReferences": [reference]}, **parts)


def test_a_newer_state_replaces_an_older_one() -> None:
    cache = Cache()
    assert cache.put(APPS, an_object(1, spec={"replicas": 1}))
    assert cache.put(APPS, an_object(2, spec={"replicas": 2}))
    assert cache.get(APPS, "team", "web")["spec"] == {"replicas": 2}  # type: ignore[index]


def test_an_older_state_never_replaces_a_newer_one() -> None:
    cache = Cache()
    cache.put(APPS, an_object(10, spec={"replicas": 2}))
    assert not cache.put(APPS, an_object(9, spec={"replicas": 1}))
    assert cache.get(APPS, "team", "web")["spec"] == {"replicas": 2}  # type: ignore[index]


def test_versions_compare_as_numbers_not_as_text() -> None:
    cache = Cache()
    cache.put(APPS, an_object(10, spec={"replicas": 2}))
    assert not cache.put(APPS, an_object(9, spec={}))


def test_another_object_of_the_same_name_replaces_the_one_before() -> None:
    cache = Cache()
    cache.put(APPS, an_object(1, uid="old", spec={}))
    assert cache.put(APPS, an_object(2, uid="new", spec={}))
    assert cache.version_of(APPS, "team", "web") == ("new", 2)


def test_late_news_of_a_deleted_object_do_not_bring_it_back() -> None:
    cache = Cache()
    cache.put(APPS, an_object(5))
    assert cache.remove(APPS, an_object(8))
    assert not cache.put(APPS, an_object(7))
    assert cache.get(APPS, "team", "web") is None


def test_an_object_whose_label_came_back_is_taken_again() -> None:
    cache = Cache()
    cache.put(DEPLOYMENTS, an_object(5))
    assert cache.put(DEPLOYMENTS, an_object(6, metadata={"labels": {}}))
    assert cache.get(DEPLOYMENTS, "team", "web") is None
    assert cache.put(DEPLOYMENTS, an_object(7))


def test_the_deletion_of_a_predecessor_does_not_remove_its_successor() -> None:
    cache = Cache()
    cache.put(APPS, an_object(9, uid="new"))
    assert not cache.remove(APPS, an_object(8, uid="old"))
    assert cache.get(APPS, "team", "web") is not None


def test_what_the_watch_would_not_select_is_not_kept() -> None:
    cache = Cache()
    assert not cache.put(DEPLOYMENTS, an_object(1, metadata={"labels": {"app.kubernetes.io/managed-by": "helm"}}))
    assert not cache.put(SECRETS, an_object(2, data={"password": "x"}))
    assert len(cache) == 0


def test_managed_fields_and_last_applied_are_not_kept() -> None:
    noise = {"kubectl.kubernetes.io/last-applied-configuration": "{}", "note": "stays"}
    cache = Cache()
    cache.put(APPS, an_object(1, metadata={"managedFields": [{"manager": "x"}], "annotations": noise}))
    metadata = cache.get(APPS, "team", "web")["metadata"]  # type: ignore[index]
    assert "managedFields" not in metadata
    assert metadata["annotations"] == {"note": "stays"}


def test_a_reader_cannot_change_what_others_see() -> None:
    cache = Cache()
    cache.put(APPS, an_object(1, spec={"env": [1]}))
    cache.get(APPS, "team", "web")["spec"]["env"].append(2)  # type: ignore[index]
    assert cache.get(APPS, "team", "web")["spec"]["env"] == [1]  # type: ignore[index]


@pytest.mark.parametrize(
    ("resource", "before", "after"),
    [
        (APPS, {"status": {"replicas": 1}}, {"status": {"replicas": 2}}),
        (HPAS, {"status": {"currentMetrics": [1]}}, {"status": {"currentMetrics": [2]}}),
        (IMAGES, {"status": {"latestBuild": "a-1"}}, {"status": {"latestBuild": "a-2"}}),
        (IMAGES, {"status": {}}, {"status": {"observedDelivery": "github-1"}}),
        (
            DEPLOYMENTS,
            {"status": {"conditions": [{"type": "Progressing", "lastUpdateTime": "1"}]}},
            {"status": {"conditions": [{"type": "Progressing", "lastUpdateTime": "2"}]}},
        ),
        (
            DEPLOYMENTS,
            {"metadata": {"annotations": {"deployment.kubernetes.io/revision": "1"}}},
            {"metadata": {"annotations": {"deployment.kubernetes.io/revision": "2"}}},
        ),
    ],
)
def test_a_change_of_what_nobody_reads_is_stored_but_no_news(
    resource: Resource, before: dict[str, Any], after: dict[str, Any]
) -> None:
    cache = Cache()
    cache.put(resource, an_object(1, **before))
    assert not cache.put(resource, an_object(2, **after))
    assert cache.version_of(resource, "team", "web") == ("u1", 2)


@pytest.mark.parametrize(
    ("resource", "before", "after"),
    [
        (APPS, {"spec": {"replicas": 1}}, {"spec": {"replicas": 2}}),
        (APPS, {}, {"metadata": {"annotations": {"keelway.dev/build-requested": "x"}}}),
        (APPS, {}, {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}),
        (APPS, {}, {"metadata": {"labels": MANAGED | {"more": "yes"}}}),
        (IMAGES, {"status": {"latest": {"version": "v1"}}}, {"status": {"latest": {"version": "v2"}}}),
        (IMAGES, {"status": {}}, {"status": {"lastDelivery": "github-1"}}),
        (BUILDS, {}, {"status": {"conditions": [{"type": "Succeeded", "status": "True"}]}}),
        (DEPLOYMENTS, {"status": {"readyReplicas": 1}}, {"status": {"readyReplicas": 2}}),
        (
            DEPLOYMENTS,
            {"status": {"conditions": [{"type": "Progressing", "status": "True"}]}},
            {"status": {"conditions": [{"type": "Progressing", "status": "False"}]}},
        ),
    ],
)
def test_a_change_of_what_a_pass_reads_is_news(
    resource: Resource, before: dict[str, Any], after: dict[str, Any]
) -> None:
    cache = Cache()
    cache.put(resource, an_object(1, **before))
    assert cache.put(resource, an_object(2, **after))


def test_children_are_found_by_their_controller() -> None:
    cache = Cache()
    cache.put(DEPLOYMENTS, owned(1, "app-uid"))
    assert [one["metadata"]["name"] for one in cache.owned_by(DEPLOYMENTS, "app-uid")] == ["web"]
    cache.put(DEPLOYMENTS, owned(2, "other"))
    assert cache.owned_by(DEPLOYMENTS, "app-uid") == []


def test_jobs_are_found_by_the_label_of_their_image_whatever_their_namespace() -> None:
    cache = Cache()
    job = an_object(1, metadata={"namespace": "keelway-builds", "labels": {"keelway.dev/image-uid": "image-uid"}})
    cache.put(JOBS, job)
    assert len(cache.owned_by(JOBS, "image-uid")) == 1
    cache.remove(JOBS, job)
    assert cache.owned_by(JOBS, "image-uid") == []


def test_apps_are_found_by_the_image_that_they_follow() -> None:
    cache = Cache()
    cache.put(APPS, an_object(1, spec={"image": {"name": "hello"}}))
    assert cache.apps_following("team", "hello") == ["web"]
    cache.put(APPS, an_object(2, spec={"image": {"reference": "nginx"}}))
    assert cache.apps_following("team", "hello") == []


def test_a_namespace_can_be_listed_alone() -> None:
    cache = Cache()
    cache.put(APPS, an_object(1))
    cache.put(APPS, an_object(2, uid="u2", metadata={"namespace": "other"}))
    assert len(list(cache.list(APPS))) == 2
    assert [one["metadata"]["uid"] for one in cache.list(APPS, "other")] == ["u2"]


@pytest.mark.parametrize(
    "parts",
    [
        {},
        {"spec": None},
        {"spec": "nginx"},
        {"spec": {"image": "nginx"}},
        {"spec": {"image": {"name": ["web"]}}},
        {"spec": {}, "status": "fine"},
        {"spec": {}, "status": {"conditions": "fine"}},
        {"spec": {}, "status": {"conditions": ["fine"]}},
    ],
)
def test_what_was_stored_under_another_schema_is_kept_too(parts: dict[str, Any]) -> None:
    """The barrier waits for every object that is listed: one that is not taken would keep all others from a pass."""
    cache = Cache()
    for resource in (APPS, IMAGES, BUILDS, DEPLOYMENTS):
        assert cache.put(resource, an_object(1, **parts))


def test_images_are_found_by_the_images_that_they_build_from() -> None:
    def using(version: int, *images: str) -> dict[str, Any]:
        return an_object(
            version, name="top", spec={"build": {"images": [{"name": "x", "image": one} for one in images]}}
        )

    cache = Cache()
    cache.put(IMAGES, using(1, "base", "tools"))
    assert cache.images_using("team", "base") == ["top"]
    assert cache.images_used_by("team", "top") == ("base", "tools")
    assert cache.images_using("other", "base") == []
    assert cache.apps_following("team", "base") == [], "an Image is no App"
    cache.put(IMAGES, using(2, "tools"))
    assert cache.images_using("team", "base") == []
    cache.remove(IMAGES, using(3))
    assert cache.images_using("team", "tools") == []
    assert cache.images_used_by("team", "top") == ()


@pytest.mark.parametrize("odd", ["x", 1, None, {"images": "x"}, {"images": [1, {"image": 2}, None, {}]}])
def test_an_image_of_another_schema_is_kept_and_builds_from_none(odd: Any) -> None:
    cache = Cache()
    assert cache.put(IMAGES, an_object(1, spec={"build": odd}))
    assert cache.images_used_by("team", "web") == ()
