"""What a build's Job is given: bounds that no spec gets around, and what its options become."""

import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from keelway.api.buildrequest import BuildReport, LintWarning, Step
from keelway.api.resources import BUILDS
from tests.unit.reconcile.scene import DIGEST, Scene, playing

GIB = 1024**3


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with playing() as scene:
        yield scene


async def request(scene: Scene, **spec: Any) -> dict[str, Any]:
    """The request that the Job of such an Image's build gets."""
    scene.image("team-a", **spec)
    await scene.settle()
    (secret,) = scene.secrets()
    found: dict[str, Any] = json.loads(base64.b64decode(secret["data"]["request.json"]))
    return found


async def limits(scene: Scene, **asked: str) -> dict[str, Any]:
    """Those of the request."""
    found: dict[str, Any] = (await request(scene, build={"resources": {"limits": asked}}))["limits"]
    return found


@pytest.mark.parametrize(
    ("asked", "given"),
    [("1Gi", GIB), ("100Gi", 4 * GIB), ("0", 4 * GIB), ("500m", 4 * GIB)],
    ids=["less", "more", "none, as Kubernetes writes it", "less than a byte"],
)
async def test_a_step_has_never_more_memory_than_the_administrator_allows(scene: Scene, asked: str, given: int) -> None:
    assert (await limits(scene, memory=asked))["memoryBytes"] == given


async def test_a_step_that_asks_for_nothing_has_a_limit_of_memory_all_the_same(scene: Scene) -> None:
    assert (await limits(scene))["memoryBytes"] == 4 * GIB


async def test_without_options_an_image_gets_its_provenance_and_says_what_it_is(scene: Scene) -> None:
    asked = await request(scene)
    assert asked["provenance"] == "Min"
    assert "cache" not in asked
    assert "sbomScanner" not in asked
    assert asked["identity"]["version"] == "v1"
    assert asked["identity"]["revision"].startswith("sha256:")
    assert "source" not in asked["identity"], "inline files have no address"


async def test_options_reach_the_build(scene: Scene) -> None:
    build = {"network": "None", "noCache": True, "provenance": "Max", "cache": {"mode": "Max"}}
    output = {"compression": {"type": "Zstd", "level": 3}, "timestamp": "Source"}
    asked = await request(scene, build=build, output=output)
    assert (asked["network"], asked["noCache"], asked["provenance"]) == ("None", True, "Max")
    assert asked["output"] == output
    repository = asked["pushReference"].rpartition(":")[0]
    assert asked["cache"] == {"reference": f"{repository}:build-cache", "mode": "Max", "read": True}


async def test_another_attempt_does_not_begin_from_the_registrys_cache(scene: Scene) -> None:
    await request(scene, build={"cache": {"mode": "Max"}})
    lost = BuildReport(ok=False, step=Step.BUILD, reason="BaseImageUnavailable", message="m", retryable=True)
    scene.job_ends("team-a/hello-1", lost)
    await scene.settle()
    await scene.later(11)
    (secret,) = scene.secrets()
    asked = json.loads(base64.b64decode(secret["data"]["request.json"]))
    assert asked["pushReference"].endswith(":build-2")
    assert asked["cache"]["read"] is False


async def test_a_list_of_packages_waits_for_a_scanner(scene: Scene) -> None:
    scene.image("team-a", build={"sbom": True})
    await scene.settle()
    assert scene.ready() == ("False", "ScannerNotSet")
    assert "KEELWAY_SBOM_SCANNER" in scene.message()
    assert scene.secrets() == []


async def test_the_scanner_is_the_administrators_and_may_be_read_by_whoever_asks_for_it() -> None:
    scanner = "registry.example/tools/scan:1"
    async with playing(scanner=scanner) as scene:
        asked = await request(scene, build={"sbom": True})
    assert asked["sbomScanner"] == scanner
    assert asked["policy"]["tools"] == [scanner]
    async with playing(scanner=scanner) as scene:
        asked = await request(scene)
    assert "sbomScanner" not in asked
    assert asked["policy"]["tools"] == []


@pytest.mark.parametrize(
    "change", [{"cache": {"mode": "Min"}}, {"priority": "High"}], ids=["where the cache is", "whom it waits for"]
)
async def test_how_a_build_is_made_starts_no_other(scene: Scene, change: dict[str, Any]) -> None:
    await request(scene)
    scene.job_ends("team-a/hello-1")
    await scene.settle()
    scene.image("team-a", build=change)
    await scene.settle()
    assert scene.builds() == {"hello-1": "VersionReady"}


async def test_warnings_are_told_where_people_look(scene: Scene) -> None:
    await request(scene)
    found = tuple(LintWarning(rule="UndefinedVar", message=f"{n}", line=n) for n in (1, 2))
    good = BuildReport(ok=True, step=Step.INSPECT, reason="Built", digest=DIGEST, user="1000")
    scene.job_ends("team-a/hello-1", good.model_copy(update={"warnings": found, "warning_count": 12}))
    await scene.settle()
    status = scene.get(BUILDS, "team-a", "hello-1")["status"]
    assert [one["line"] for one in status["warnings"]] == [1, 2]
    assert status["warningCount"] == 12
    assert scene.message().endswith("Its Dockerfile has 12 warnings: `kubectl describe build/hello-1` tells more.")


async def test_a_failed_build_keeps_its_warnings(scene: Scene) -> None:
    await request(scene)
    bad = BuildReport(ok=False, step=Step.BUILD, reason="BuildFailed", message="m", warning_count=1)
    bad = bad.model_copy(update={"warnings": (LintWarning(rule="UndefinedVar", message="x"),)})
    scene.job_ends("team-a/hello-1", bad)
    await scene.settle()
    assert scene.get(BUILDS, "team-a", "hello-1")["status"]["warnings"] == [{"rule": "UndefinedVar", "message": "x"}]


async def test_the_job_is_given_the_pins_of_its_record_whatever_is_latest_now(scene: Scene) -> None:
    scene.image("team-a", "base")
    await scene.settle()
    scene.job_ends("team-a/base-1")
    await scene.settle()
    scene.image("team-a", build={"images": [{"name": "below", "image": "base"}]})
    await scene.settle()
    (secret,) = scene.secrets()
    request = json.loads(base64.b64decode(secret["data"]["request.json"]))
    reference = scene.build("hello-1")["images"][0]["reference"]
    assert request["images"] == [{"name": "below", "reference": reference}]
