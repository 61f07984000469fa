"""What a build's Job is given: bounds that no spec gets around."""

import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.unit.reconcile.scene import Scene, playing

GIB = 1024**3


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with playing() as scene:
        yield scene


async def limits(scene: Scene, **asked: str) -> dict[str, Any]:
    """Those of the request that the Job of such a build gets."""
    scene.image("team-a", build={"resources": {"limits": asked}})
    await scene.settle()
    (secret,) = scene.secrets()
    found: dict[str, Any] = json.loads(base64.b64decode(secret["data"]["request.json"]))["limits"]
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
