"""Small Images and Builds for tests of what is decided about them; larger ones stand in `golden/`."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from keelway.api.build import Build
from keelway.api.image import Image
from keelway.status.build import Asked, Failure, Inputs, failed_status, version_status

NOW: Final = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)
REPOSITORY: Final = "registry.example:5000/team-a/hello"


def raw_image(name: str = "hello", namespace: str = "team-a", **spec: Any) -> dict[str, Any]:
    """An Image as it comes from the API server."""
    source = {"git": {"url": "https://git.example/hello.git", "revision": "main"}}
    return {
        "apiVersion": "keelway.dev/v1alpha1",
        "kind": "Image",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": f"uid-of-{namespace}-{name}",
            "generation": 1,
            "resourceVersion": "1",
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": {"source": source, **spec},
    }


def image(
    *, annotations: Mapping[str, str] | None = None, status: Mapping[str, Any] | None = None, **spec: Any
) -> Image:
    """The Image `hello`, parsed."""
    raw = raw_image(**spec)
    raw["metadata"]["annotations"] = dict(annotations or {})
    raw["status"] = dict(status or {})
    return Image.parse(raw)


def inputs(of: Image, revision: str = "r1") -> Inputs:
    """What the Image asks for at a revision of its source."""
    return Inputs(Asked.by_image(of, REPOSITORY), revision)


def build(number: int, of: Inputs, *, requested: str | None = None, attempt: int = 1) -> Build:
    """A record that has just been made, as the API server gives it back."""
    spec = {
        "image": "hello",
        "number": number,
        "reason": "Requested" if requested else "SpecChanged",
        "requested": requested,
        "attempt": attempt,
        "revision": of.revision,
        "source": of.asked.source.to_dict(),
        "build": of.asked.build.to_dict(),
        "output": of.asked.output.to_dict(),
        "tests": [test.to_dict() for test in of.asked.tests],
        "repository": of.asked.repository,
        "pushSecretRef": of.asked.push_secret_ref.to_dict() if of.asked.push_secret_ref else None,
    }
    created = NOW - timedelta(hours=1) + timedelta(minutes=number)
    return Build.parse(
        {
            "apiVersion": "keelway.dev/v1alpha1",
            "kind": "Build",
            "metadata": {
                "name": f"hello-{number}",
                "namespace": "team-a",
                "uid": f"{number:08}-0000-4000-8000-000000000000",
                "generation": 1,
                "resourceVersion": str(number),
                "creationTimestamp": created.isoformat(),
            },
            "spec": {name: value for name, value in spec.items() if value is not None},
        }
    )


def good(number: int, of: Inputs, *, requested: str | None = None) -> Build:
    """A record that became a version."""
    made = build(number, of, requested=requested)
    digest = f"sha256:{number:064}"
    pushed = made.status.model_copy(update={"digest": digest, "reference": f"{REPOSITORY}@{digest}"})
    return made.model_copy(update={"status": version_status(made, pushed, f"v{number}", NOW)})


def bad(
    number: int,
    of: Inputs,
    reason: str = "RunFailed",
    *,
    retry: bool = False,
    requested: str | None = None,
    attempt: int = 1,
    ended: datetime = NOW,
) -> Build:
    """A record that ended without a version."""
    made = build(number, of, requested=requested, attempt=attempt)
    told = Failure(reason, f"{reason} happened. Correct it.", retry)
    return made.model_copy(update={"status": failed_status(made, told, ended)})
