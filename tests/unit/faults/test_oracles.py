"""The oracles of `make faults`, tried on operators that do wrong."""

from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from tests.faults import oracles
from tests.faults.rules import Call, Write
from tests.faults.scene import Scene

OF_THE_JOB = {"metadata": {"labels": {"keelway.dev/image-namespace": "team"}}}


@dataclass
class BusyProxy:
    """Behind it somebody writes the same Job at each look, so often that it is never quiet where `quiet_for` is 0."""

    quiet_for: float
    written: list[Write] = field(default_factory=list)

    @property
    def writes(self) -> tuple[Write, ...]:
        call = Call("PATCH", "/apis/batch/v1/namespaces/keelway-builds/jobs/made-1", {})
        self.written.append(Write(len(self.written) + 1, 0.0, call, 200, None, OF_THE_JOB))
        return tuple(self.written)


def a_scene(quiet_for: float) -> Scene:
    nobody = cast("Any", None)
    return Scene(nobody, nobody, cast("Any", BusyProxy(quiet_for)), nobody, "team")


def test_what_is_written_in_the_builds_namespace_counts_too() -> None:
    with pytest.raises(AssertionError, match="nothing was to be done"):
        oracles.writes_nothing(a_scene(quiet_for=1.0), 0)


def test_who_never_stops_writing_is_not_waited_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oracles, "SETTLED_SECONDS", 0.0)
    with pytest.raises(AssertionError, match="still written"):
        oracles.writes_nothing(a_scene(quiet_for=0.0), 0)
