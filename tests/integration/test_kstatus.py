"""What the golden cases say of kstatus is what the real one says: how `flux` and Helm's `--wait` read our conditions.

No cluster is needed; it is here because the Go program that asks the library (`devcluster/go/kstatus`) is compiled.
"""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from devcluster import catalogue, golang, settings
from devcluster.progress import Progress
from tests.unit.golden.cases import case_names, read
from tests.unit.golden.kstatus import kstatus

EXPECTED: dict[str, Any] = {case: read(case, "expected") for case in case_names()}
CASES = [case for case, expected in EXPECTED.items() if "kstatus" in expected]


@pytest.fixture(scope="session")
def program() -> Path:
    """Compiled once, into the dev cluster's cache."""
    here = settings.from_environment()
    return golang.build(here, Progress(here.logs), catalogue.load().go["kstatus"]) / "kstatus"


def computed(program: Path, objects: Sequence[dict[str, Any]]) -> list[str]:
    """What kstatus makes of each object."""
    said = subprocess.run(
        [program], input="\n".join(map(json.dumps, objects)), capture_output=True, text=True, check=True
    )
    return said.stdout.split()


def observed(case: str) -> dict[str, Any]:
    """The object of a golden case with the status that Keelway gives it."""
    given = read(case, "input")
    return {**(given.get("app") or given["image"]), "status": EXPECTED[case]["status"]}


def test_every_golden_status_is_read_as_its_case_says(program: Path) -> None:
    said = computed(program, [observed(case) for case in CASES])
    assert dict(zip(CASES, said, strict=True)) == {case: EXPECTED[case]["kstatus"] for case in CASES}


def test_our_short_kstatus_agrees_where_the_golden_cases_have_no_example(program: Path) -> None:
    ready = {"type": "Ready", "status": "True"}
    app = observed("app-rolled-out")
    going = {**app, "metadata": {**app["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}}
    edited = {**app, "metadata": {**app["metadata"], "generation": 7}}
    examples = [going, edited, {**app, "status": {"conditions": [ready]}}, {**app, "status": {}}]
    assert computed(program, examples) == [kstatus(one) for one in examples]
