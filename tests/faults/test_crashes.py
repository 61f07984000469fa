"""The operator is killed at its k-th write, for every k, and started again: nobody sees it in what comes of it.

(Sieve's "intermediate states".) Each case plays a whole story and kills once in each step, at the step's k-th write.
"""

from contextlib import AbstractContextManager

import pytest

from tests.faults.commons import Commons
from tests.faults.playing import play_with_kills
from tests.faults.scene import Crash, Scene, killed_after, killed_before
from tests.faults.stories import life_of_an_app, life_of_an_image, life_of_both
from tests.faults.undisturbed import Undisturbed

# No step writes more often; a step that comes to do so fails the last case.
APP_WRITES = 7
IMAGE_WRITES = 14


@pytest.mark.subset
def test_both_outlive_a_kill_after_their_third_write(scene: Scene, commons: Commons, undisturbed: Undisturbed) -> None:
    play_with_kills(scene, undisturbed, life_of_both(commons), killed_after, 3)


@pytest.mark.parametrize("count", range(1, APP_WRITES + 1))
def test_an_app_outlives_a_kill_after_any_write(
    scene: Scene, commons: Commons, undisturbed: Undisturbed, count: int
) -> None:
    play_with_kills(scene, undisturbed, life_of_an_app(commons), killed_after, count, most=APP_WRITES)


def test_an_image_outlives_a_kill_between_its_tag_and_its_record(scene: Scene, undisturbed: Undisturbed) -> None:
    def before_the_version(scene: Scene, count: int) -> AbstractContextManager[Crash]:
        # The first status is that of a build done, the second, after the test, that of a version tagged.
        return killed_before(scene, count, path="/builds/[^/]+/status$")

    play_with_kills(scene, undisturbed, life_of_an_image(), before_the_version, 2)


@pytest.mark.parametrize("count", range(1, IMAGE_WRITES + 1))
def test_an_image_outlives_a_kill_after_any_write(scene: Scene, undisturbed: Undisturbed, count: int) -> None:
    play_with_kills(scene, undisturbed, life_of_an_image(), killed_after, count, most=IMAGE_WRITES)
