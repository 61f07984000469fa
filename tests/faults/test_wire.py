"""What the network and a busy API server do to an operator: slow, refused, lost and repeated, and all ends well."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from tests.faults.commons import Commons
from tests.faults.oracles import check
from tests.faults.playing import play_through
from tests.faults.rules import (
    BlackHole,
    Cut,
    Delay,
    Duplicate,
    Expire,
    Hold,
    LoseAnswer,
    Match,
    Pages,
    Refuse,
    Reset,
    Rule,
    everything,
    lists,
    next_pages,
    watches,
    writes,
)
from tests.faults.scene import Scene
from tests.faults.stories import app, day_with_both, life_of_an_app
from tests.faults.undisturbed import Undisturbed

# From a fault's end until the operator is at work again, and the pass that waits longest has come back (60 s).
BACK_SECONDS = 120.0


@dataclass(frozen=True)
class Fault:
    """Rules with a name. `quick`: also in the subset."""

    name: str
    rules: tuple[Rule, ...]
    quick: bool = False

    @contextmanager
    def __call__(self, scene: Scene) -> Iterator[None]:
        with scene.proxy.faulty(*self.rules):
            yield


_ASKING = Match(so=lambda call: not call.is_watch and "/leases" not in call.path)
# What a story goes through without waiting for its end.
LASTING = (
    Fault("every request takes 300 ms", (Rule(everything(), Delay(0.3)),)),
    Fault("two of the first writes take 3 s", (Rule(writes(), Delay(3), skip=1, times=2),)),
    Fault("409 to the first five writes", (Rule(writes(), Refuse(409), times=5),)),
    Fault("429 with Retry-After 2 to the first ten requests", (Rule(_ASKING, Refuse(429, 2), times=10),)),
    Fault("500 to the first ten requests", (Rule(_ASKING, Refuse(500), times=10),)),
    Fault("the answers to the first four writes are lost", (Rule(writes(), LoseAnswer(), times=4),), quick=True),
    Fault("the first four writes are cut off", (Rule(writes(), Reset(), times=4),)),
    Fault("watches are cut in place of the first six events", (Rule(watches(), Cut(), times=6),)),
    Fault("410 in place of the first six events", (Rule(watches(), Expire(), times=6),)),
    Fault("every event comes twice, and 1.5 s late", (Rule(watches(), Duplicate()), Rule(watches(), Hold(1.5)))),
)


def _quick(fault: Fault) -> object:
    return pytest.param(fault, id=fault.name, marks=[pytest.mark.subset] if fault.quick else [])


@pytest.mark.parametrize("fault", [_quick(one) for one in LASTING])
def test_work_goes_on_in_spite_of_it(scene: Scene, commons: Commons, undisturbed: Undisturbed, fault: Fault) -> None:
    play_through(scene, undisturbed, day_with_both(commons), fault, seconds=180)


@pytest.mark.parametrize(
    "seconds",
    [pytest.param(30, marks=pytest.mark.subset), 90],
)
def test_an_api_server_that_is_unavailable_is_waited_for(
    scene: Scene, commons: Commons, undisturbed: Undisturbed, seconds: int
) -> None:
    create, *_ = day_with_both(commons).steps
    ending, *_ = undisturbed.of(day_with_both(commons), scene)
    with scene.proxy.faulty(Rule(everything(), Refuse(503))):
        create.act(scene.tenant)
        time.sleep(seconds)
        assert scene.operator.running, "waiting, not dying"
    check(scene, ending.state, BACK_SECONDS)


def test_a_list_that_expires_on_its_way_is_begun_anew(scene: Scene, commons: Commons, undisturbed: Undisturbed) -> None:
    create, change, *_ = life_of_an_app(commons).steps
    first, second, *_ = undisturbed.of(life_of_an_app(commons), scene)
    create.act(scene.tenant)
    check(scene, first.state)
    scene.tenant.apply(*({**app(commons.old, replicas=0), "metadata": {"name": f"more-{n}"}} for n in range(3)))
    for n in range(3):
        scene.tenant.wait(f"app/more-{n}")

    scene.operator.kill()
    with scene.proxy.faulty(Rule(lists(), Pages(1)), Rule(next_pages(), Refuse(410), times=12)) as (_, expired):
        change.act(scene.tenant)
        scene.restart()
        scene.tenant.wait("app/web", f"jsonpath={{.status.image}}={commons.new}")
    assert expired.struck == 12
    for n in range(3):
        scene.tenant.run("delete", f"app/more-{n}", "--wait=false")
    check(scene, second.state)


@pytest.mark.parametrize(
    ("which", "seconds"),
    [
        # Bookmarks come every minute; a watch that is told nothing for 70 s is begun anew. What fell into the hole
        # stays there, so it need not last.
        pytest.param(watches(), 5, id="watches"),
        # Its Lease runs out: it must write nothing more, and lead again afterwards.
        pytest.param(everything(), 40, id="everything"),
    ],
)
def test_black_holes_are_noticed(
    scene: Scene, commons: Commons, undisturbed: Undisturbed, which: Match, seconds: float
) -> None:
    def over() -> None:
        time.sleep(seconds)

    story = life_of_an_app(commons)
    endings = undisturbed.of(story, scene)
    story.steps[0].act(scene.tenant)
    check(scene, endings[0].state)
    with scene.proxy.faulty(Rule(which, BlackHole())):
        story.steps[1].act(scene.tenant)
        over()
        assert scene.operator.running
    check(scene, endings[1].state, BACK_SECONDS)
