"""PURE: an App's state as one text that two Apps may share: without names, times, versions, and what chance decides.

What is left is what the operator says (status) and what it made (children).
"""

import difflib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import yaml

Object = Mapping[str, Any]

_NAME: Final = "NAME"
# metadata.generation is part of the intent hash; hashes have the name in them, and the uid of the owner.
_ANNOTATIONS: Final = frozenset({
    "deployment.kubernetes.io/revision", "keelway.dev/wanted-hash", "keelway.dev/intent-hash",
})  # fmt: skip
# Addresses that the API server deals out.
_DEALT: Final = frozenset({"clusterIP", "clusterIPs", "nodePort"})
_TIMES: Final = frozenset({"lastTransitionTime", "observedGeneration"})
# "pods "web-5d4f-" is forbidden: exceeded quota": the hash of the ReplicaSet; and of several causes the one that its
# controller met when it tried last, which it does more and more seldom.
_POD: Final = re.compile(r'pods "[^"]*"( is forbidden: .*?(?=\. Correct what))?')
# How many pods an autoscaler has asked for so far.
_SCALED: Final = re.compile(r"\d+ of \d+ pods")
_SUMMARY: Final = frozenset({"Ready", "Reconciling", "Stalled"})
# Waits for something outside, for ever: as settled as it gets. All else that is Reconciling is on its way.
RESTING: Final = frozenset({
    "PodsRefused", "ImageNotFound", "NoVersionYet", "NameConflict", "ConfigMapNotFound", "SecretNotFound",
    "HostNotFound", "ConnectionFailed", "AddressRefused", "RepositoryInUse", "SecretKeyNotFound", "InvalidSecret",
})  # fmt: skip


@dataclass(frozen=True)
class Seen:
    """An App (or Image) and its children by kind, raw."""

    owner: Object
    children: Mapping[str, Object]

    @property
    def name(self) -> str:
        return str(self.owner["metadata"]["name"])

    @property
    def settled(self) -> bool:
        """Whether the operator has seen this generation, and nothing is on its way."""
        status = self.owner.get("status") or {}
        if status.get("observedGeneration") != self.owner["metadata"]["generation"]:
            return False
        conditions = {one["type"]: one for one in status.get("conditions", ())}
        reconciling = conditions.get("Reconciling")
        return reconciling is not None and (reconciling["status"] != "True" or reconciling["reason"] in RESTING)

    @property
    def reason(self) -> str:
        conditions = (self.owner.get("status") or {}).get("conditions", ())
        return next((str(one["reason"]) for one in conditions if one["type"] == "Ready"), "none")

    @property
    def runs(self) -> bool:
        """Whether all children are as the spec says. Where they cannot be, those of before stay, as they should."""
        return self.reason in ("RolledOut", "PodsRefused")

    def verdict(self) -> str:
        """What the operator says of it in sum."""
        status = _status(self.owner.get("status") or {}, autoscaled=True)
        told = {one["type"]: one for one in status.get("conditions", ()) if one["type"] in _SUMMARY}
        return _text(told, self.name)

    def text(self) -> str:
        """The whole state, to be compared and to be read."""
        autoscaled = "autoscale" in self.owner["spec"]
        status = _status(self.owner.get("status") or {}, autoscaled)
        children = {kind: _child(child, autoscaled) for kind, child in self.children.items()}
        return _text({"status": status, **children}, self.name)


def difference(one: str, other: str) -> str:
    """What differs, as a unified diff; empty where nothing does."""
    lines = difflib.unified_diff(one.splitlines(), other.splitlines(), "changed", "fresh", lineterm="", n=2)
    return "\n".join(lines)


def _text(value: Any, name: str) -> str:
    # Through JSON, for YAML would write "&id001" where two parts are the same.
    plain = json.loads(json.dumps(value).replace(name, _NAME))
    return yaml.safe_dump(plain, sort_keys=True, width=120)


def _status(status: Object, autoscaled: bool) -> dict[str, Any]:
    kept: dict[str, Any] = _without(status, lambda name: name in _TIMES)
    for condition in kept.get("conditions", ()):
        message = _POD.sub("pods X", condition.get("message", ""))
        condition["message"] = _SCALED.sub("N of N pods", message) if autoscaled else message
    return kept


def _child(child: Object, autoscaled: bool) -> dict[str, Any]:
    metadata = child["metadata"]
    annotations = {name: value for name, value in metadata.get("annotations", {}).items() if name not in _ANNOTATIONS}
    released = annotations.get("keelway.dev/released-template")
    if released is not None:
        annotations["keelway.dev/released-template"] = json.loads(released)
    spec = _without(child["spec"], lambda name: name in _DEALT)
    if autoscaled:
        # The autoscaler's from the first moment on, and it never goes down to what a fresh App begins with.
        spec.pop("replicas", None)
    return {
        "annotations": annotations,
        "labels": metadata.get("labels", {}),
        "owners": [one["name"] for one in metadata.get("ownerReferences", ())],
        "spec": spec,
    }


def _without(value: Any, dropped: Callable[[str], bool]) -> Any:
    if isinstance(value, Mapping):
        return {name: _without(part, dropped) for name, part in value.items() if not dropped(name)}
    return [_without(part, dropped) for part in value] if isinstance(value, list) else value


def group(owners: Iterable[Object], children: Mapping[str, Iterable[Object]]) -> Iterator[Seen]:
    """Owners with the children that have them as controller."""
    by_owner: dict[str, dict[str, Object]] = {}
    for kind, found in children.items():
        for child in found:
            for reference in child["metadata"].get("ownerReferences", ()):
                by_owner.setdefault(reference["uid"], {})[kind] = child
    for owner in owners:
        yield Seen(owner, by_owner.get(owner["metadata"]["uid"], {}))
