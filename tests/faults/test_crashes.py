"""The operator is killed at its k-th write, for every k, and started again: nobody sees it in what comes of it.

(Sieve's "intermediate states".) A case plays a whole story and kills twice in each step: at the App's k-th write and at
the Image's.
"""

from functools import partial

import pytest

from tests.e2e.patience import eventually
from tests.faults.commons import Commons
from tests.faults.oracles import arrives_at
from tests.faults.playing import play_with_kills
from tests.faults.rules import writes
from tests.faults.scene import Scene, killed_after, killed_before
from tests.faults.snapshot import objects
from tests.faults.stories import day_with_both, image, life_of_both
from tests.faults.undisturbed import Undisturbed

OF_THE_APP = writes("/(apps|deployments|services|horizontalpodautoscalers)(/|$)")
OF_THE_IMAGE = writes("/(images|builds|jobs|secrets|pods)(/|$)")
OF_A_RECORD = writes("/builds/[^/]+/status$")
A_SECRET = writes("/secrets$")
MOST = 12
"""No step writes more often for either; one that comes to do so fails `test_there_is_a_case_for_every_write`."""


@pytest.mark.subset
def test_both_outlive_a_kill_after_their_third_write(scene: Scene, commons: Commons, undisturbed: Undisturbed) -> None:
    kills = [partial(killed_after, count=3, which=which) for which in (OF_THE_APP, OF_THE_IMAGE)]
    play_with_kills(scene, undisturbed, day_with_both(commons), *kills)


@pytest.mark.parametrize("count", range(1, MOST + 1))
def test_both_outlive_a_kill_after_any_write(
    scene: Scene, commons: Commons, undisturbed: Undisturbed, count: int
) -> None:
    endings = undisturbed.of(life_of_both(commons), scene)
    if count > max(ending.count(which) for ending in endings for which in (OF_THE_APP, OF_THE_IMAGE)):
        return  # there are fewer
    kills = [partial(killed_after, count=count, which=which) for which in (OF_THE_APP, OF_THE_IMAGE)]
    play_with_kills(scene, undisturbed, life_of_both(commons), *kills)


def test_there_is_a_case_for_every_write(scene: Scene, commons: Commons, undisturbed: Undisturbed) -> None:
    for ending in undisturbed.of(life_of_both(commons), scene):
        assert ending.count(OF_THE_APP) <= MOST
        assert ending.count(OF_THE_IMAGE) <= MOST
        assert ending.count(OF_THE_APP) + ending.count(OF_THE_IMAGE) == len(ending.written), "none is of neither"


def test_an_image_outlives_a_kill_between_its_tag_and_its_record(
    scene: Scene, commons: Commons, undisturbed: Undisturbed
) -> None:
    # The first status of a record is that of a build done, the second, after the test, of a version that is tagged.
    play_with_kills(scene, undisturbed, day_with_both(commons), partial(killed_before, count=2, which=OF_A_RECORD))


def test_a_builds_secret_that_never_got_its_job_goes_with_its_image(scene: Scene) -> None:
    with killed_after(scene, count=1, which=A_SECRET) as crash:
        scene.tenant.apply(image("one"))
        assert crash.happened.wait(60)
    eventually("it is dead", lambda: not scene.operator.running, 10)
    scene.tenant.run("delete", "image/made", "--timeout=30s")
    eventually("the Secret alone is left", lambda: kinds(scene) == ["Secret"], 60)

    scene.restart()
    arrives_at(scene, {})


def kinds(scene: Scene) -> list[str]:
    return [one["kind"] for one in objects(scene.api, scene.namespace)]
