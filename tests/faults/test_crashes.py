"""The operator is killed after its k-th write, for every k, and started again: nobody sees it in what comes of it.

(Sieve's "intermediate states".)
"""

from tests.faults.commons import Commons
from tests.faults.oracles import check
from tests.faults.scene import Scene, killed_after
from tests.faults.stories import Story, life_of_an_app
from tests.faults.undisturbed import Undisturbed


def test_an_app_survives_a_kill_after_every_write(scene: Scene, commons: Commons, undisturbed: Undisturbed) -> None:
    play(scene, undisturbed, life_of_an_app(commons), kill_at=2)


def play(scene: Scene, undisturbed: Undisturbed, story: Story, kill_at: int) -> bool:
    """The whole story, with a kill in each step after its write of that number. Whether any step had as many."""
    endings = undisturbed.of(story, scene)
    struck = False
    for step, ending in zip(story.steps, endings, strict=True):
        with killed_after(scene, kill_at) as crash:
            step.act(scene.tenant)
            if kill_at <= ending.writes:
                assert crash.happened.wait(60), f"{step.name}: write {kill_at} of {ending.writes} never came"
                struck = True
        if crash.happened.is_set():
            print(f"{step.name}: killed after {crash.at}")
            scene.restart()
        check(scene, ending.state)
    return struck
