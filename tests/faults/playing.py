"""A story played while something is broken, and what must be so then."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from tests.faults.oracles import SETTLED_SECONDS, arrives_at, check
from tests.faults.scene import Crash, Scene
from tests.faults.stories import Step, Story
from tests.faults.undisturbed import Ending, Undisturbed

Kill = Callable[[Scene, int], AbstractContextManager[Crash]]
Fault = Callable[[Scene], AbstractContextManager[object]]


def play_through(
    scene: Scene, undisturbed: Undisturbed, story: Story, fault: Fault, seconds: float = SETTLED_SECONDS
) -> None:
    """The whole story with the fault lasting all the while: each step arrives in spite of it."""
    for step, ending in _played(scene, undisturbed, story):
        with fault(scene):
            step.act(scene.tenant)
            arrives_at(scene, ending.state, seconds)
        check(scene, ending.state)


def play_across(
    scene: Scene,
    undisturbed: Undisturbed,
    story: Story,
    fault: Fault,
    over: Callable[[], None],
    seconds: float = SETTLED_SECONDS,
) -> None:
    """The whole story with the fault at the beginning of each step, until `over` returns: the step arrives after it."""
    for step, ending in _played(scene, undisturbed, story):
        with fault(scene):
            step.act(scene.tenant)
            over()
        check(scene, ending.state, seconds)


def play_with_kills(
    scene: Scene, undisturbed: Undisturbed, story: Story, kill: Kill, count: int, most: int = 0
) -> None:
    """The whole story, with a kill in each step that has as many writes. A step with more than `most` fails."""
    played = _played(scene, undisturbed, story)
    counts = [ending.writes for _, ending in played]
    assert not most or max(counts) <= most, f"a step has more writes than there are cases: {counts}"
    killed = []
    for step, ending in played:
        with kill(scene, count) as crash:
            step.act(scene.tenant)
            # How often a rollout's status is written depends on the weather: there may be fewer writes this time.
            arrives_at(scene, ending.state, or_else=crash.happened.is_set)
        if crash.happened.is_set():
            killed.append(f"{step.name}: {crash.at}")
            scene.restart()
        check(scene, ending.state)
    print("killed at", *killed, sep="\n  ")
    assert killed or count > max(counts), "nothing was killed"


def _played(scene: Scene, undisturbed: Undisturbed, story: Story) -> Sequence[tuple[Step, Ending]]:
    return list(zip(story.steps, undisturbed.of(story, scene), strict=True))
