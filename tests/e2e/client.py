"""HTTP from inside the cluster: pods that call Services as any other pod would."""

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.e2e.patience import eventually
from tests.e2e.tenant import Tenant
from tests.kubectl import JsonObject

IMAGE = "python:3.11-slim"
SCRIPTS = Path(__file__).parent / "incluster"


@dataclass(frozen=True)
class Ask:
    """One HTTP request."""

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | None = None


@dataclass(frozen=True)
class Answer:
    """What came back; redirects are not followed, and a status of 500 is an answer too."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Client:
    """Makes requests one by one from the pod `client`, which all tests share; a host without a dot is a Service of
    `namespace`."""

    commons: Tenant
    namespace: str

    def wait(self) -> None:
        """Until the pod is ready."""
        self.commons.wait("pod/client")

    def get(self, url: str) -> Answer:
        """The answer to a GET; the test fails where there is none."""
        return self.ask(Ask(url))[0]

    def must_hear(self, url: str, answer: str) -> None:
        """Until a GET gives this answer: after a rollout an old pod may give one more while the proxies learn of it."""
        eventually(f"{url} answers {answer!r}", lambda: self.get(url).text.strip() == answer, 15)

    def ask(self, *requests: Ask) -> Sequence[Answer]:
        """The answers, in order; the test fails where one is missing.

        kube-proxy follows a Service's endpoints within a second or two, and refuses until then: asked again that long.
        Whether anything fails once it serves is for `Trickle` to say.
        """
        told = eventually(f"all of {[ask.url for ask in requests]} answer", lambda: self._asked(requests), 15)
        return [Answer(one["status"], one["headers"], base64.b64decode(one["body"])) for one in told]

    def _asked(self, requests: Sequence[Ask]) -> list[JsonObject] | None:
        script = (SCRIPTS / "fetch.py").read_text()
        asked = json.dumps([{**vars(request), "url": self._in_full(request.url)} for request in requests])
        told: list[JsonObject] = json.loads(self.commons.run("exec", "client", "--", "python", "-c", script, asked))
        failures = [f"{ask.url}: {one['error']}" for ask, one in zip(requests, told, strict=True) if "error" in one]
        if any("refused" not in failure for failure in failures):
            raise AssertionError(failures)
        return None if failures else told

    def _in_full(self, url: str) -> str:
        return re.sub(r"^(https?://[^./:]+)(?=[:/]|$)", rf"\1.{self.namespace}", url)


@dataclass(frozen=True)
class Trickle:
    """A pod that asks every 50 ms, as `incluster/trickle.py` says, from `start` to the namespace's end."""

    tenant: Tenant
    url: str

    def start(self) -> None:
        """The pod, with its first second of requests answered."""
        script = (SCRIPTS / "trickle.py").read_text()
        self.tenant.apply(pod("trickle", ["python", "-c", script, self.url]))
        self.tenant.wait("pod/trickle")
        eventually("the trickle runs", lambda: self.tenant.run("logs", "trickle", "--tail=1"), 30)

    def so_far(self) -> JsonObject:
        """{"requests": n, "answers": {text: count}, "failures": [text]}"""
        told: JsonObject = json.loads(self.tenant.run("logs", "trickle", "--tail=1"))
        return told

    def must_hear(self, answer: str) -> None:
        """Until the Service has given this answer in ten requests; no request may have failed."""
        eventually(f"the trickle hears {answer!r}", lambda: self.so_far()["answers"].get(answer, 0) >= 10, 60)
        self.must_not_have_failed()

    def must_not_have_failed(self) -> None:
        """No request has failed."""
        failures = self.so_far()["failures"]
        assert not failures, failures


@dataclass(frozen=True)
class Load:
    """A pod that keeps a server busy, as `incluster/load.py` says, from `start` to `stop`."""

    tenant: Tenant
    url: str

    def start(self) -> None:
        """The pod, running."""
        script = (SCRIPTS / "load.py").read_text()
        self.tenant.apply(pod("load", ["python", "-c", script, self.url]))
        self.tenant.wait("pod/load")

    def stop(self) -> None:
        """No more requests."""
        self.tenant.run("delete", "pod/load")


def client_pod() -> JsonObject:
    """The pod of every `Client`."""
    return pod("client", ["sleep", "infinity"])


def pod(name: str, command: Sequence[str]) -> JsonObject:
    """A pod of plain Python that the Pod Security Standard restricted lets run."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": 0,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 1000,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "client",
                    "image": IMAGE,
                    "imagePullPolicy": "IfNotPresent",
                    "command": list(command),
                    "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}},
                    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                }
            ],
        },
    }
