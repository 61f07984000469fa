"""What a child is: the shape that every module of `children/` fills and that `reconcile/children.py` settles.

A child's `build` is pure: it takes the context of its owner's kind and gives the wanted object, None (it should not
exist: prune it) or KEEP (leave what is there). Metadata that every child shares (owner reference, hash and intent
annotations) is added by `reconcile/children.py`, not here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, Generic, Literal, TypeVar

from keelway.api.resources import Resource

SCALE_FIELD_MANAGER: Final = "keelway-scale"
"""Field manager that holds `replicas` while it is handed over to an HPA (contract rule 10)."""
HASH_ANNOTATION: Final = "keelway.dev/wanted-hash"
"""Hash of the object as it was last wanted (contract rule 8)."""
INTENT_ANNOTATION: Final = "keelway.dev/intent-hash"
"""Hash of what the owner asked for when the pod template was last released (contract rule 11)."""
TEMPLATE_ANNOTATION: Final = "keelway.dev/released-template"
"""The pod template as it was last released, JSON (contract rule 11)."""

Path = tuple[str, ...]
"""Keys from the object's root; "*" stands for every item of a list."""


class Keep(Enum):
    """The type of KEEP, the wish to leave a child as it is, whatever that is."""

    KEEP = "KEEP"


KEEP: Final = Keep.KEEP
Wanted = Mapping[str, Any] | Literal[Keep.KEEP] | None
"""What a child's `build` gives: the object to apply, KEEP, or None for "should not exist"."""


Context = TypeVar("Context")


@dataclass(frozen=True)
class ChildKind(Generic[Context]):
    """One kind of child of an Image or App.

    `exact` names the lists and maps in which nothing may stand that was not wanted (contract rule 8).
    `template` is the path of the pod template, which a new builder alone must not change (contract rule 11).
    `unreleased` names the fields of the owner's spec whose change is no new release of its pods (contract rule 11).
    `handover` names the fields that another controller owns whenever they are not wanted (contract rule 10).
    """

    name: str
    resource: Resource
    build: Callable[[Context], Wanted]
    exact: tuple[Path, ...] = ()
    template: Path | None = None
    unreleased: tuple[str, ...] = ()
    handover: tuple[Path, ...] = ()


POD_TEMPLATE: Final[Path] = ("spec", "template")
REPLICAS: Final[Path] = ("spec", "replicas")
DEPLOYMENT_EXACT: Final[tuple[Path, ...]] = (
    ("spec", "template", "spec", "containers"),
    ("spec", "template", "spec", "containers", "*", "ports"),
    ("spec", "template", "spec", "containers", "*", "env"),
)
SERVICE_EXACT: Final[tuple[Path, ...]] = (("spec", "selector"), ("spec", "ports"))
