"""How each step of a story ends where nothing is broken, and how many writes it takes: found once a run."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from uuid import uuid4

from tests.faults.oracles import settles
from tests.faults.rules import Match, Write
from tests.faults.scene import Scene
from tests.faults.snapshot import Snapshot
from tests.faults.stories import Story


@dataclass(frozen=True)
class Ending:
    """The state at the end of a step, and what was written in it (Events aside)."""

    state: Snapshot
    written: tuple[Write, ...]

    def count(self, match: Match) -> int:
        """How many of the writes match."""
        return sum(match.takes(write.call) for write in self.written)


@dataclass
class Undisturbed:
    """`of(story, scene)`: the endings, one a step."""

    _known: dict[str, tuple[Ending, ...]] = field(default_factory=dict)

    def of(self, story: Story, scene: Scene) -> Sequence[Ending]:
        """Played in a namespace of its own, by the scene's operator, which must be well."""
        if story.name not in self._known:
            self._known[story.name] = _play(story, scene)
        return self._known[story.name]


def _play(story: Story, scene: Scene) -> tuple[Ending, ...]:
    elsewhere = replace(scene, namespace=f"test-{uuid4().hex[:8]}")
    labels = {"pod-security.kubernetes.io/enforce": "restricted", "keelway.dev/test": "true"}
    metadata = {"name": elsewhere.namespace, "labels": labels}
    scene.kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    endings = []
    try:
        for step in story.steps:
            before = len(elsewhere.writes)
            step.act(elsewhere.tenant)
            state = settles(elsewhere)
            counted = tuple(one for one in elsewhere.writes[before:] if not one.call.is_event)
            endings.append(Ending(state, counted))
    finally:
        scene.kubectl.run("delete", "namespace", elsewhere.namespace, "--wait=false")
    return tuple(endings)
