"""What goes into a pass over an object and what comes out: shared by `reconcile/` and the `engine/` that calls it."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Key:
    """The object of a pass."""

    kind: Literal["Image", "App"]
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


@dataclass(frozen=True)
class Outcome:
    """How a pass ended well; `requeue_after` is in seconds, None leaves it to events and the sweep."""

    requeue_after: float | None = None
