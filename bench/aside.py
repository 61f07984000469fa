"""A cluster that is not measured on, frozen meanwhile: controllers and probes of one that idles take processor, too."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from bench.errors import BenchError
from devcluster import kind
from devcluster.progress import Progress
from devcluster.settings import Settings

_LEADERS: Final = ("kube-controller-manager", "kube-scheduler")
# Both end when they find that their lease has run out, and begin anew: this long after it, who leads stays.
_RESTART_SECONDS: Final = 20.0
_LEAD_SECONDS: Final = 120.0


@contextmanager
def aside(settings: Settings) -> Iterator[None]:
    """Its nodes are paused while the block lasts, where Docker can. Raises BenchError where they do not come back."""
    progress = Progress(settings.logs)
    with progress.step(f"pause the cluster {settings.cluster}") as step:
        paused = kind.pause(settings, step.log)
    if not paused:
        progress.say("it is not there, or cannot be paused")
    try:
        yield
    finally:
        if paused:
            with progress.step(f"let the cluster {settings.cluster} go on") as step:
                if not kind.revive(settings, progress, step):
                    raise BenchError(f"{settings.cluster} does not answer after its pause; see {step.log}")
                _wait_until_led(settings, step.log)


def _wait_until_led(settings: Settings, log: Path) -> None:
    steady = time.time() + _RESTART_SECONDS
    deadline = steady + _LEAD_SECONDS
    asked = ("-n", "kube-system", "get", "leases", *_LEADERS, "-o", "json")
    while led_until(json.loads(kind.run_kubectl(settings, log, *asked))) < steady:
        if time.time() > deadline:
            raise BenchError(f"{' or '.join(_LEADERS)} of {settings.cluster} does not lead after its pause; see {log}")
        time.sleep(1)


def led_until(leases: Mapping[str, Any]) -> float:
    """PURE: when the one that was renewed least lately was, in seconds since the epoch."""
    return min(datetime.fromisoformat(one["spec"]["renewTime"]).timestamp() for one in leases["items"])
