"""PURE: when a pod template changes, so that a new operator version never rolls pods by itself (contract rule 11).

Beside the object that was last applied stand two annotations: the pod template as it was then built, and what its
owner asked for. While the owner asks for the same, the old template goes on being what is wanted, whatever today's
builder would make of it; everything else of the object is today's.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from keelway.children.base import INTENT_ANNOTATION, TEMPLATE_ANNOTATION, ChildKind

# All annotations of an object together may have 256 KiB. A template beyond this is not kept, and so not protected.
_TEMPLATE_BYTES: Final = 128 * 1024


def released(
    kind: ChildKind[Any], owner: Mapping[str, Any], wanted: Mapping[str, Any], live: Mapping[str, Any] | None
) -> dict[str, Any]:
    """`wanted` with the template of its owner's last release, and the annotations that say so."""
    built = _template(kind, wanted)
    if kind.template is None or built is None:
        return dict(wanted)
    before = _kept(live)
    intent = _intent(kind, owner)
    template = built if before is None or _is_release(before, intent, built) else before[1]
    text = _compact(template)
    annotations = {
        **(wanted["metadata"].get("annotations") or {}),
        INTENT_ANNOTATION: f"{intent}.{digest(template)}",
    }
    if len(text) <= _TEMPLATE_BYTES:
        annotations[TEMPLATE_ANNOTATION] = text
    return _with({**wanted, "metadata": {**wanted["metadata"], "annotations": annotations}}, kind.template, template)


def _is_release(before: tuple[str, dict[str, Any]], intent: str, built: Mapping[str, Any]) -> bool:
    """Whether the owner asks for other pods: another image, or another spec that concerns them.

    The generation is looked at besides the hash, because a default that a new CRD version brings changes the spec
    as it is read, but is nobody's wish and raises no generation.
    """
    was, template = before
    same_spec = any(one == other for one, other in zip(was.split("."), intent.split("."), strict=False))
    return not same_spec or _other_images(template, built)


def _intent(kind: ChildKind[Any], owner: Mapping[str, Any]) -> str:
    """ "<generation>.<hash of the spec, without what concerns no pod>"."""
    spec = {name: value for name, value in owner["spec"].items() if name not in kind.unreleased}
    return f"{owner['metadata'].get('generation', 0)}.{digest(spec)}"


def digest(value: Any) -> str:
    """16 hex digits of the SHA-256 of the value's canonical JSON."""
    text = json.dumps(value, separators=(",", ":"), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _kept(live: Mapping[str, Any] | None) -> tuple[str, dict[str, Any]] | None:
    annotations = (live or {}).get("metadata", {}).get("annotations") or {}
    try:
        template = json.loads(annotations[TEMPLATE_ANNOTATION])
        intent, _, kept = str(annotations[INTENT_ANNOTATION]).rpartition(".")
    except (KeyError, ValueError):
        return None  # never released
    # An annotation that was edited by hand says nothing about the last release.
    return (intent, template) if isinstance(template, dict) and digest(template) == kept else None


def _other_images(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Containers of one template only are the builder's doing, not the owner's."""
    first, second = _images(one), _images(other)
    return any(first[name] != second[name] for name in first.keys() & second.keys())


def _images(template: Mapping[str, Any]) -> dict[str, Any]:
    containers = (template.get("spec") or {}).get("containers") or ()
    return {container["name"]: container.get("image") for container in containers}


def _template(kind: ChildKind[Any], wanted: Mapping[str, Any]) -> dict[str, Any] | None:
    value: Any = wanted
    for name in kind.template or ():
        value = (value or {}).get(name)
    return value if isinstance(value, dict) else None


def _with(obj: Mapping[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    name, *rest = path
    return {**obj, name: _with(obj.get(name) or {}, tuple(rest), value) if rest else value}


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True)
