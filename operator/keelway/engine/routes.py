"""PURE: whose business an object is. `watches.py`, the sweep and writes ask it; the queue takes the keys."""

from collections.abc import Iterator, Mapping
from typing import Any

from keelway.api.labels import IMAGE_LABEL, IMAGE_NAMESPACE_LABEL
from keelway.api.resources import APPS, BUILDS, IMAGES, Resource
from keelway.cluster.cache import Cache, controller_of
from keelway.reconcile.graph import reachable
from keelway.reconcile.outcome import Key


def keys_of(resource: Resource, obj: Mapping[str, Any], cache: Cache) -> Iterator[Key]:
    """The keys to look at when the object changed, came or went.

    Apps and Images stand for themselves, an Image also for the Apps that follow it and the Images that build from it
    (and from those, for it may have closed a circle of them, or opened one), a Build for its Image; other children for
    their owner: by label across namespaces (Jobs, pods), else by controller.
    """
    metadata = obj["metadata"]
    namespace, name = metadata["namespace"], metadata["name"]
    if resource == APPS:
        yield Key("App", namespace, name)
    elif resource == IMAGES:
        yield Key("Image", namespace, name)
        yield from (Key("App", namespace, app) for app in cache.apps_following(namespace, name))
        users = reachable(name, lambda one: cache.images_using(namespace, one))
        yield from (Key("Image", namespace, user) for user in users)
    elif resource == BUILDS:
        image = (obj.get("spec") or {}).get("image")
        if isinstance(image, str):  # else stored under another schema
            yield Key("Image", namespace, image)
    else:
        yield from _owner_of(obj, namespace)


def _owner_of(obj: Mapping[str, Any], namespace: str) -> Iterator[Key]:
    labels = obj["metadata"].get("labels") or {}
    if IMAGE_LABEL in labels:
        yield Key("Image", labels.get(IMAGE_NAMESPACE_LABEL, namespace), labels[IMAGE_LABEL])
        return
    controller = controller_of(obj)
    if controller is not None and controller["kind"] in ("App", "Image"):
        yield Key(controller["kind"], namespace, controller["name"])
