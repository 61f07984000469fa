"""One namespace, one operator behind a proxy, and a user at work: what a case of `make faults` happens in."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from devcluster.outside import Operator
from tests.e2e.tenant import Tenant
from tests.faults.api import Api
from tests.faults.proxy import Proxy
from tests.faults.rules import Instead, Match, Rule, Then, Write
from tests.kubectl import Kubectl

LEADING_SECONDS = 60.0


@dataclass(frozen=True)
class Scene:
    """`tenant` does what a user does in `namespace`, `api` looks past all faults."""

    kubectl: Kubectl
    api: Api
    proxy: Proxy
    operator: Operator
    namespace: str

    @property
    def tenant(self) -> Tenant:
        return Tenant(self.kubectl, self.namespace)

    @property
    def writes(self) -> tuple[Write, ...]:
        """What was written for this namespace, Events too."""
        return tuple(one for one in self.proxy.writes if self.concerns(one))

    def concerns(self, write: Write) -> bool:
        """Whether it is for this namespace: in it, or in the builds' namespace for an Image of it."""
        labels = _labels(write.answer) or _labels(write.body)
        return f"/{self.namespace}/" in write.call.path or self.namespace in labels.values()

    def restart(self) -> None:
        """Start the operator again, under the name that it had: the Lease is still its own."""
        self.operator.start()
        self.operator.wait_until_leading(LEADING_SECONDS)


@dataclass
class Crash:
    """A SIGKILL to come. `happened` is set when it did; `at` says at which write."""

    happened: threading.Event = field(default_factory=threading.Event)
    at: str = ""


@contextmanager
def killed_after(scene: Scene, count: int, which: Match) -> Iterator[Crash]:
    """While the block runs: SIGKILL once the API server has taken that many such writes from now on, before the
    operator hears of the last."""
    crash = Crash()
    action = Then(lambda write: _kill(scene, crash, f"after {write}"))
    with scene.proxy.faulty(Rule(which, action, skip=count - 1, times=1)):
        yield crash


@contextmanager
def killed_before(scene: Scene, count: int, which: Match) -> Iterator[Crash]:
    """The same before the API server hears of that write: all that was done since the last, elsewhere too, is done."""
    crash = Crash()
    action = Instead(lambda call: _kill(scene, crash, f"before {call.method} {call.path}"))
    with scene.proxy.faulty(Rule(which, action, skip=count - 1, times=1)):
        yield crash


def _kill(scene: Scene, crash: Crash, at: str) -> None:
    os.kill(scene.operator.pid, signal.SIGKILL)
    crash.at = at
    crash.happened.set()


def _labels(obj: object) -> dict[str, str]:
    metadata = obj.get("metadata") if isinstance(obj, dict) else None
    return (metadata or {}).get("labels") or {} if isinstance(metadata, dict) else {}
