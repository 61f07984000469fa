from typing import Any

import pytest

from bench.cold import barrier_time, is_done

COMPLETE = '{"objects": 7, "event": "cache complete", "level": "info", "timestamp": "2026-01-01T00:00:02.500000Z"}'
NOON = 1767225600.0  # 2026-01-01T00:00:00Z


def test_the_barrier_is_the_last_one_in_the_log() -> None:
    before = COMPLETE.replace("00:00:02.500000", "00:00:01")
    log = f'{{"event": "started"}}\nno json\n{before}\n{COMPLETE}\n'
    assert barrier_time(log) == NOON + 2.5


@pytest.mark.parametrize("log", ["", '{"event": "started"}\n', COMPLETE[:40], '{"event": "not cache complete"}'])
def test_a_log_without_it_has_no_barrier(log: str) -> None:
    assert barrier_time(log) is None


def app(reason: str = "RollingOut", observed: int = 2, **status: Any) -> dict[str, Any]:
    conditions = [{"type": "Available", "reason": "Other"}, {"type": "Ready", "reason": reason}]
    given = {"observedGeneration": observed, "conditions": conditions, "url": "http://shop.default.svc", **status}
    return {"metadata": {"generation": 2}, "status": given}


@pytest.mark.parametrize("reason", ["RollingOut", "RolledOut"])
def test_an_app_is_done_when_its_status_speaks_of_its_children(reason: str) -> None:
    assert is_done(app(reason))


@pytest.mark.parametrize(
    "obj",
    [
        {"metadata": {"generation": 1}},
        app(observed=1),
        app("InvalidDeployment"),
        app("Deploying"),
        {**app(), "status": {"observedGeneration": 2, "conditions": [{"type": "Ready", "reason": "RollingOut"}]}},
    ],
)
def test_an_app_is_not_done_without_them(obj: dict[str, Any]) -> None:
    assert not is_done(obj)
