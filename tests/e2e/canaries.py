"""Secret values that are like no other text, and everywhere that they could turn up."""

import base64
import gzip
import json
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from secrets import token_hex
from types import TracebackType
from typing import IO, Self

from tests.e2e import node
from tests.e2e.registry import Repository
from tests.kubectl import Kubectl

# Where buildkitd keeps what it knows, on the node (manifests/dev/volumes.yaml).
_BUILDKIT = "/var/local/keelway/buildkitd-0"


def canary() -> str:
    """A value that nobody would print by chance."""
    return token_hex(16)


def forms(value: str) -> list[bytes]:
    """How the value may stand in a text: as it is, and within whatever was put into base64 together with it."""
    raw = value.encode()
    found = [raw]
    for before in range(3):
        # Of the base64 of before + value + anything, the digits that depend on the value alone.
        digits = base64.b64encode(bytes(before) + raw)
        found.append(digits[-(-before * 8 // 6) : (before + len(raw)) * 8 // 6])
    return found


@dataclass(frozen=True)
class Canaries:
    """Values by what they are."""

    values: Mapping[str, str]

    def found_in(self, text: bytes) -> set[str]:
        """Which of them the text shows."""
        return {name for name, value in self.values.items() if any(form in text for form in forms(value))}


class Following:
    """What the containers of a pod print, from `with` on and to their end, whatever becomes of the pod."""

    def __init__(self, kubectl: Kubectl, namespace: str, pod: str) -> None:
        self._command = kubectl.command("logs", "--follow", "--all-containers", "-n", namespace, pod)

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._process.kill()
        self._process.wait()

    def all(self) -> bytes:
        """Everything, once the containers have ended."""
        stream: IO[bytes] | None = self._process.stdout
        assert stream is not None
        return stream.read()


def api_objects(kubectl: Kubectl) -> bytes:
    """All objects of all kinds of all namespaces but Secrets, as JSON: specs, statuses, Events."""
    kinds = kubectl.run("api-resources", "--verbs=list", "--output=name").stdout.split()
    told = sorted(set(kinds) - {"secrets"})
    return kubectl.run("get", ",".join(told), "--all-namespaces", "--output=json").stdout.encode()


def pod_logs(kubectl: Kubectl, *namespaces: str) -> Iterator[tuple[str, bytes]]:
    """Name and log of each pod, of all its containers, of the runs before the last one, too."""
    for namespace in namespaces:
        for pod in kubectl.json("get", "pods", "-n", namespace)["items"]:
            name = pod["metadata"]["name"]
            for which in ("--previous=false", "--previous=true"):
                done = kubectl.run("logs", "-n", namespace, name, "--all-containers", "--tail=-1", which, check=False)
                yield f"log of {namespace}/{name}", done.stdout.encode()


def image_parts(repository: str) -> Iterator[tuple[str, bytes]]:
    """Name and content (inflated) of all that the tags of a repository of the dev registry lead to."""
    stored = Repository(repository)
    for tag in stored.tags():
        yield f"document {repository}:{tag}", json.dumps(stored.document(tag), ensure_ascii=False).encode()
        for _, manifest in stored.manifests(tag):
            yield f"manifest of {repository}:{tag}", json.dumps(manifest, ensure_ascii=False).encode()
            for blob in (manifest["config"], *manifest["layers"]):
                content = stored.blob(blob["digest"])
                inflated = gzip.decompress(content) if blob["mediaType"].endswith("gzip") else content
                yield f"{blob['mediaType']} of {repository}:{tag}", inflated


def buildkit_databases() -> bytes:
    """What buildkitd has written down of builds: its cache's metadata, and the records and logs of its history."""
    command = ["docker", "exec", node.CONTAINER, "sh", "-c", f"find {_BUILDKIT} -maxdepth 4 -name '*.db' | xargs cat"]
    return subprocess.run(command, capture_output=True, check=True, timeout=60).stdout
