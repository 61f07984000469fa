"""What must be so after every case, whatever was broken on the way: `check` runs them all.

Final state as in an undisturbed run, nothing written once it is reached, no orphan, no duplicate, no second build of
the same inputs, no version given twice.
"""

import difflib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from keelway.api.labels import IMAGE_LABEL, IMAGE_UID_LABEL
from keelway.api.resources import BUILDS, IMAGES
from keelway.children.names import BUILD_UID_LABEL
from tests.faults.api import ApiAway
from tests.faults.rules import Write
from tests.faults.scene import Scene
from tests.faults.snapshot import Snapshot, normalised, objects, shown
from tests.kubectl import JsonObject

SETTLED_SECONDS = 90.0
"""From the end of a fault until all is as it should be: the longest back-off of a pass is 60 s."""
QUIET_SECONDS = 2.0
_POLL_SECONDS = 0.5


def check(scene: Scene, undisturbed: Snapshot, seconds: float = SETTLED_SECONDS) -> None:
    """All oracles; AssertionError with what differs. `undisturbed` is from a run that nobody disturbed."""
    arrives_at(scene, undisturbed, seconds)
    _keeps_the_rules(scene)


def check_settled(scene: Scene, seconds: float = SETTLED_SECONDS) -> Snapshot:
    """The same where the way leaves traces, such as the record of a build that failed: all but the comparison."""
    settles(scene, seconds)
    _keeps_the_rules(scene)
    return normalised(objects(scene.api, scene.namespace), scene.namespace)


def _keeps_the_rules(scene: Scene) -> None:
    writes_nothing(scene, QUIET_SECONDS)
    found = objects(scene.api, scene.namespace)
    has_no_orphans(found)
    has_no_duplicates(found)
    builds_once(scene.writes)
    gives_versions_once(scene.writes)


def settles(scene: Scene, seconds: float = SETTLED_SECONDS) -> Snapshot:
    """Wait until every object of ours says that it is done, and nothing is written any more: the state then."""
    until = time.monotonic() + seconds
    while True:
        found = objects(scene.api, scene.namespace)
        unsettled = [_named(one) for one in found if one["apiVersion"].startswith("keelway.dev/") and not _is_done(one)]
        busy = scene.proxy.quiet_for < QUIET_SECONDS or scene.operator.metrics().get("keelway_queue_depth", 1) > 0
        if not unsettled and not busy and not _going(found) and not _orphans(found):
            return normalised(found, scene.namespace)
        assert time.monotonic() < until, f"not settled within {seconds:.0f} s: {unsettled or 'still written'}"
        time.sleep(_POLL_SECONDS)


def arrives_at(
    scene: Scene,
    expected: Snapshot,
    seconds: float = SETTLED_SECONDS,
    or_else: Callable[[], bool] = lambda: False,
) -> None:
    """Wait until the namespace is as expected; `or_else` ends the wait as well."""
    until = time.monotonic() + seconds
    now: Snapshot = {}
    while not or_else():
        try:
            now = normalised(objects(scene.api, scene.namespace), scene.namespace)
        except ApiAway:
            if time.monotonic() > until:
                raise
        if now == expected:
            return
        if time.monotonic() > until:
            difference = "\n".join(difflib.unified_diff(shown(expected), shown(now), "undisturbed", "now", n=4))
            raise AssertionError(f"not as undisturbed after {seconds:.0f} s:\n{difference}")
        time.sleep(_POLL_SECONDS)


def writes_nothing(scene: Scene, seconds: float) -> None:
    """Once converged, nothing is written for so long; what is written must say why."""
    until = time.monotonic() + SETTLED_SECONDS
    while scene.proxy.quiet_for < 0.5:
        assert time.monotonic() < until, f"still written: {[str(one) for one in scene.writes[-5:]]}"
        time.sleep(_POLL_SECONDS)
    before = scene.proxy.writes
    time.sleep(seconds)
    written = [str(one) for one in scene.proxy.writes[len(before) :] if scene.concerns(one)]
    assert not written, f"written although nothing was to be done: {written}"


def has_no_orphans(found: Iterable[JsonObject]) -> None:
    """Whatever has an owner, by reference or by the label of its Image, has one that is there, or is going too."""
    orphans = _orphans(found)
    assert not orphans, f"{orphans} have outlived their owners"


def has_no_duplicates(found: Iterable[JsonObject]) -> None:
    """An App has one child of a kind, a Build one Job."""
    once = Counter[tuple[str, str]]()
    for one in found:
        labels = one["metadata"].get("labels") or {}
        if one["kind"] in ("Deployment", "Service", "HorizontalPodAutoscaler"):
            once.update((one["kind"], owner["uid"]) for owner in one["metadata"].get("ownerReferences", ()))
        if one["kind"] == "Job":
            once[one["kind"], labels.get(BUILD_UID_LABEL, "")] += 1
    doubled = [key for key, count in once.items() if count > 1]
    assert not doubled, f"more than one of {doubled}"


def builds_once(writes: Iterable[Write]) -> None:
    """No Build was made twice of the same inputs, but where a failed one was tried again (its `attempt` is another) or
    somebody asked for it (`requested`)."""
    made = Counter[str]()
    for write in writes:
        if write.call.method == "POST" and write.call.path.endswith("/builds") and write.status == 201:
            owner = write.answer["metadata"]["ownerReferences"][0]["uid"]
            inputs = {name: value for name, value in write.answer["spec"].items() if name not in ("number", "reason")}
            made[f"{owner} {json.dumps(inputs, sort_keys=True)}"] += 1
    twice = [key for key, count in made.items() if count > 1]
    assert not twice, f"built twice: {twice}"


def gives_versions_once(writes: Iterable[Write]) -> None:
    """A version, once told, means one digest for ever."""
    told: dict[tuple[str, str], str] = {}
    for write in writes:
        if write.call.method != "PATCH" or "/builds/" not in write.call.path or write.status != 200:
            continue
        status = write.answer.get("status", {})
        if "version" not in status:
            continue
        image = write.answer["metadata"]["labels"][IMAGE_UID_LABEL]
        first = told.setdefault((image, status["version"]), status["digest"])
        assert first == status["digest"], f"{status['version']} is both {first} and {status['digest']}"
        name = write.answer["metadata"]["labels"][IMAGE_LABEL]
        assert status["version"] == f"v{write.answer['spec']['number']}", f"{name}: a version is its build's number"


def _named(one: JsonObject) -> str:
    return f"{one['kind']}/{one['metadata']['name']}"


def _orphans(found: Iterable[JsonObject]) -> list[str]:
    everything = list(found)
    alive = {one["metadata"]["uid"] for one in everything}

    def owners(metadata: JsonObject) -> list[str]:
        image = (metadata.get("labels") or {}).get(IMAGE_UID_LABEL)
        return [*(owner["uid"] for owner in metadata.get("ownerReferences", ())), *([image] if image else [])]

    return [
        _named(one)
        for one in everything
        if "deletionTimestamp" not in one["metadata"] and not alive.issuperset(owners(one["metadata"]))
    ]


def _going(found: Iterable[JsonObject]) -> list[str]:
    """What is on its way out: pods aside, which may take their time."""
    return [_named(one) for one in found if "deletionTimestamp" in one["metadata"] and one["kind"] != "Pod"]


def _is_done(one: JsonObject) -> bool:
    """As the object itself says it: of today's spec, and no work goes on."""
    conditions: dict[str, Any] = {each["type"]: each for each in one.get("status", {}).get("conditions", ())}
    if one["kind"] == BUILDS.kind:
        told = conditions.get("Succeeded", {"status": "Unknown"})
        return bool(told["status"] != "Unknown")
    ready = conditions.get("Ready")
    if ready is None or ready["observedGeneration"] != one["metadata"]["generation"]:
        return False
    going_on = conditions.get("Reconciling", {}).get("status") == "True"
    # A registry may take its time to tell what the base images are now; when it has, that is written once more.
    to_be_told = one["kind"] == IMAGES.kind and "latest" in one["status"] and "nextCheckTime" not in one["status"]
    return not going_on and not to_be_told
