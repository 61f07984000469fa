"""A user of Keelway with a namespace of their own: all that a test does goes through here, as kubectl would do it."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.patience import DEADLINE_SECONDS, eventually
from tests.e2e.watching import Watching
from tests.kubectl import JsonObject, Kubectl

BUILDS_NAMESPACE = "keelway-builds"


@dataclass(frozen=True)
class Tenant:
    """kubectl in one namespace. Objects are named as kubectl names them: "app/web", "service/web"."""

    kubectl: Kubectl
    namespace: str

    def dockerfile(self, *steps: str, base: str = "python:3.11-slim") -> str:
        """A Dockerfile whose RUN steps really run: BuildKit keeps the layers of every earlier run of the tests."""
        return "\n".join([f"FROM {base}", f"RUN echo {self.namespace} > /etc/built-for", *steps, ""])

    def run(self, *args: str, input: str | None = None, timeout: float = 120) -> str:
        """What `kubectl <args>` prints."""
        return self.kubectl.run(f"--namespace={self.namespace}", *args, input=input, timeout=timeout).stdout

    def apply(self, *objects: JsonObject) -> None:
        """Server-side apply."""
        self.kubectl.apply(objects, self.namespace)

    def apply_file(self, path: Path) -> None:
        """Server-side apply of a file."""
        self.kubectl.apply_path(path, self.namespace)

    def patch(self, what: str, patch: str) -> None:
        """`kubectl patch` with a JSON patch."""
        self.run("patch", what, "--type=json", f"--patch={patch}")

    def get(self, what: str) -> JsonObject:
        """The object."""
        found: JsonObject = self.kubectl.json("get", what, f"--namespace={self.namespace}")
        return found

    def exists(self, what: str) -> bool:
        """Whether the object is there."""
        return bool(self.run("get", what, "--ignore-not-found", "-o", "name"))

    def objects(self, kind: str, selector: str = "") -> list[JsonObject]:
        """The objects of a kind, by name."""
        found = self.kubectl.json("get", kind, f"--namespace={self.namespace}", f"--selector={selector}")
        return sorted(found["items"], key=lambda one: str(one["metadata"]["name"]))

    def condition(self, what: str, type_: str) -> JsonObject:
        """The condition of that type."""
        found: JsonObject = {one["type"]: one for one in self.get(what)["status"]["conditions"]}[type_]
        return found

    def wait(self, what: str, condition: str = "condition=Ready", seconds: float = DEADLINE_SECONDS) -> None:
        """`kubectl wait --for=<condition>`."""
        self.run("wait", f"--for={condition}", what, f"--timeout={seconds:.0f}s", timeout=seconds + 30)

    def wait_for_reason(
        self, what: str, reason: str, type_: str = "Ready", seconds: float = DEADLINE_SECONDS
    ) -> JsonObject:
        """The condition, as soon as it gives that reason for today's generation."""
        path = f'{{.status.conditions[?(@.type=="{type_}")].reason}}'
        until = time.monotonic() + seconds
        seen: list[JsonObject] = [{}]

        def now() -> JsonObject | None:
            left = max(1, round(until - time.monotonic()))
            # One process that watches, where asking twice a second would take a good part of a processor.
            waited = ("wait", f"--for=jsonpath={path}={reason}", what, f"--timeout={left}s")
            self.kubectl.run(f"--namespace={self.namespace}", *waited, check=False, timeout=left + 30)
            found = self.get(what)
            told = seen[0] = next((one for one in _conditions_of(found) if one["type"] == type_), {})
            current = told.get("observedGeneration") == found["metadata"]["generation"]
            return told if current and told["reason"] == reason else None

        return eventually(lambda: f"{what} has {type_} with reason {reason}, not {seen[0]}", now, seconds)

    def version(self, image: str) -> str:
        """The Image's latest good version, such as v7; numbers may have gaps where builds were interrupted."""
        return str(self.get(f"image/{image}")["status"]["latest"]["version"])

    def wait_for_version_after(self, image: str, before: str, seconds: float = DEADLINE_SECONDS) -> str:
        """The Image's first version that is newer than `before`; a watch, for the same reason as above."""
        with self.watching(f"image/{image}") as watched:
            newer = watched.until(lambda seen: _latest_version(seen.object) not in (None, before), seconds)
            return str(_latest_version(watched.events[newer].object))

    def wait_for_app(self, app: str, version: str, seconds: float = DEADLINE_SECONDS) -> None:
        """Until the App is at that version of its Image, and ready."""
        self.wait(f"app/{app}", f"jsonpath={{.status.version}}={version}", seconds)
        self.wait(f"app/{app}", seconds=seconds)

    def builds(self, image: str) -> list[JsonObject]:
        """The Image's Builds, oldest first."""
        found = self.objects("builds.keelway.dev")
        mine = [one for one in found if one["spec"]["image"] == image]
        return sorted(mine, key=lambda one: int(one["spec"]["number"]))

    def wait_for_build(self, name: str, condition: str = "condition=Succeeded") -> JsonObject:
        """The Build, once it is there and so."""
        self.wait(f"build/{name}", "create")
        self.wait(f"build/{name}", condition)
        return self.get(f"build/{name}")

    def job_of(self, build: str, seconds: float = DEADLINE_SECONDS) -> str:
        """Name of the running Job of a Build, as soon as its pod runs the build itself."""
        selector = f"keelway.dev/build={build},keelway.dev/image-namespace={self.namespace}"

        def running() -> str | None:
            for pod in self.kubectl.json("get", "pods", "-n", BUILDS_NAMESPACE, "-l", selector)["items"]:
                states = pod["status"].get("containerStatuses", [])
                if any("running" in one["state"] for one in states):
                    return str(pod["metadata"]["labels"]["batch.kubernetes.io/job-name"])
            return None

        return eventually(f"the Job of {build} runs", running, seconds)

    def jobs(self) -> list[str]:
        """Names of the build Jobs of this namespace."""
        selector = f"keelway.dev/image-namespace={self.namespace}"
        found = self.kubectl.json("get", "jobs", "-n", BUILDS_NAMESPACE, "-l", selector)["items"]
        return [one["metadata"]["name"] for one in found]

    def pods(self, app: str) -> list[JsonObject]:
        """The App's pods that are not going away."""
        found = self.objects("pods", self.get(f"app/{app}")["status"]["selector"])
        return [one for one in found if "deletionTimestamp" not in one["metadata"]]

    def event_reasons(self, name: str) -> set[str]:
        """Reasons of the events about objects of that name."""
        found = self.kubectl.json(
            "get", "events", f"--namespace={self.namespace}", f"--field-selector=involvedObject.name={name}"
        )
        return {one["reason"] for one in found["items"]}

    def watching(self, what: str) -> Watching:
        """Every state of the object from now on, with the moment it was seen."""
        return Watching(self.kubectl, self.namespace, what)

    def story(self) -> str:
        """What is so in the namespace, for whoever reads of a failure: objects, conditions, events, logs."""
        here = f"--namespace={self.namespace}"
        builds = f"--selector=keelway.dev/image-namespace={self.namespace}"
        asked = (
            ("get", "images,builds,apps,deployments,services,hpa,pods", here),
            ("get", "images,builds,apps", here, "-o", f"jsonpath={_CONDITIONS}"),
            ("get", "events", here, "--sort-by=.lastTimestamp"),
            ("get", "jobs,pods", "-n", BUILDS_NAMESPACE, builds),
            ("logs", "-n", BUILDS_NAMESPACE, builds, "--all-containers", "--prefix", "--tail=40"),
        )
        told = [_told(self.kubectl, *arguments) for arguments in asked]
        log = _told(self.kubectl, *_OPERATOR_LOG)
        mine = [line for line in log.splitlines() if self.namespace in line]
        return "\n\n".join([*told, "operator:", *mine[-60:]])


def _conditions_of(found: JsonObject) -> list[JsonObject]:
    conditions: list[JsonObject] = found.get("status", {}).get("conditions", [])
    return conditions


def _latest_version(image: JsonObject) -> str | None:
    version: str | None = image.get("status", {}).get("latest", {}).get("version")
    return version


_CONDITIONS = (
    '{range .items[*]}{.kind}/{.metadata.name}{"\\n"}{range .status.conditions[*]}'
    '  {.type}={.status} {.reason} {.message}{"\\n"}{end}{end}'
)
_OPERATOR_LOG = (
    "logs",
    "--namespace=keelway-system",
    "--selector=app.kubernetes.io/name=keelway",
    "--prefix",
    "--tail=-1",
    "--since=10m",
)


def _told(kubectl: Kubectl, *arguments: Any) -> str:
    done = kubectl.run(*arguments, check=False)
    return f"$ kubectl {' '.join(arguments)}\n{done.stdout}{done.stderr}"
