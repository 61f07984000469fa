"""PURE: what objects are looked up by, beside their name and owner: `cache.py` keeps an index of it.

Read from raw objects, for what was stored under another schema is kept as well: the barrier waits for every object
that is listed.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from keelway.api.resources import APPS, BUILDS, IMAGES, Resource

OPEN: Final = "open"
"""Builds that have not ended: a handful among all the records."""


def keys_of(resource: Resource, obj: Mapping[str, Any]) -> tuple[str, ...]:
    """The index keys of an object; of most kinds there are none."""
    read = _KEYS.get(resource)
    return read(obj) if read is not None else ()


def following(namespace: str, image: str) -> str:
    """The key of the Apps that run that Image, and of the Images that build from it."""
    return f"{namespace}/{image}"


def followed(keys: Sequence[str]) -> Sequence[str]:
    """The Images that an object with these keys follows."""
    return tuple(key.partition("/")[2] for key in keys if "/" in key)


def last_part(repository: str) -> str:
    """The key of the Images that push to a repository whose path ends so, wherever that may be."""
    return repository.rpartition("/")[2]


def _of_app(obj: Mapping[str, Any]) -> tuple[str, ...]:
    image = _inside(obj, "spec", "image", "name")
    return (following(obj["metadata"]["namespace"], image),) if isinstance(image, str) else ()


def _of_build(obj: Mapping[str, Any]) -> tuple[str, ...]:
    conditions = _inside(obj, "status", "conditions")
    known = (one for one in conditions if isinstance(one, Mapping)) if isinstance(conditions, list) else ()
    ended = any(one.get("type") == "Succeeded" and one.get("status") != "Unknown" for one in known)
    return () if ended else (OPEN,)


def _of_image(obj: Mapping[str, Any]) -> tuple[str, ...]:
    repository = _inside(obj, "spec", "repository")
    pushes_to = last_part(repository if isinstance(repository, str) else obj["metadata"]["name"])
    used = _inside(obj, "spec", "build", "images")
    names = [_inside(one, "image") for one in used] if isinstance(used, list) else []
    namespace = obj["metadata"]["namespace"]
    return (pushes_to, *dict.fromkeys(following(namespace, name) for name in names if isinstance(name, str)))


def _inside(obj: Any, *path: str) -> Any:
    for name in path:
        obj = obj.get(name) if isinstance(obj, Mapping) else None
    return obj


_KEYS: Final[Mapping[Resource, Callable[[Mapping[str, Any]], tuple[str, ...]]]] = MappingProxyType(
    {APPS: _of_app, BUILDS: _of_build, IMAGES: _of_image}
)
