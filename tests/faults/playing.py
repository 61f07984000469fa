"""A story played while something is broken, and what must be so then."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack

from tests.faults.oracles import SETTLED_SECONDS, arrives_at, check
from tests.faults.scene import Crash, Scene
from tests.faults.stories import Step, Story
from tests.faults.undisturbed import Ending, Undisturbed

Kill = Callable[[Scene], AbstractContextManager[Crash]]
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


def play_with_kills(scene: Scene, undisturbed: Undisturbed, story: Story, *kills: Kill) -> None:
    """The whole story, with these kills in each step that comes to have them."""
    killed = []
    for step, ending in _played(scene, undisturbed, story):
        with ExitStack() as stack:
            crashes = [stack.enter_context(kill(scene)) for kill in kills]
            step.act(scene.tenant)
            _arrives_at_last(scene, ending)
        killed += [f"{step.name}: {crash.at}" for crash in crashes if crash.happened.is_set()]
        check(scene, ending.state)
    print("killed", *killed, sep="\n  ")
    assert killed, "nothing was killed"


def _arrives_at_last(scene: Scene, ending: Ending) -> None:
    """Start the operator again whenever it was killed, until the step's end is reached."""
    while True:
        arrives_at(scene, ending.state, or_else=lambda: not scene.operator.running)
        if scene.operator.running:
            return
        scene.operator.start()


def _played(scene: Scene, undisturbed: Undisturbed, story: Story) -> Sequence[tuple[Step, Ending]]:
    return list(zip(story.steps, undisturbed.of(story, scene), strict=True))
