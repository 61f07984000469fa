"""`make deploy`: build the operator's image and install it, with a registry, into the dev cluster.

Run again it changes only what has changed: an image of the same content restarts nothing.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from devcluster import nodes, outside, seed, shell
from devcluster.catalogue import Catalogue
from devcluster.progress import Progress
from devcluster.settings import REPOSITORY, Settings

IMAGE: Final = "keelway/operator:dev"
SYSTEM: Final = "keelway-system"
# Put on the pods, so that a new image under the same tag rolls them, and an old one does not.
IMAGE_ID: Final = "keelway.dev/operator-image-id"
_READY: Final = 180


@dataclass(frozen=True)
class Kubectl:
    """kubectl for the dev cluster and no other; `log` takes its output."""

    settings: Settings
    log: Path

    def __call__(self, *args: str, text: str | None = None, timeout: float = 240) -> str:
        """Run it; raises DevclusterError where it fails."""
        return shell.run([*self.command(), *args], self.log, text=text, timeout=timeout)

    def command(self) -> list[str]:
        """The words before its arguments."""
        return [
            str(self.settings.bin / "kubectl"),
            f"--kubeconfig={self.settings.kubeconfig}",
            f"--context={self.settings.context}",
        ]


def deploy(settings: Settings, progress: Progress, catalogue: Catalogue) -> None:
    """Image, manifests, base images, and wait until all serve. Raises DevclusterError."""
    image_id = _load_image(settings, progress)
    with progress.step("install Keelway") as step:
        _apply(Kubectl(settings, step.log), image_id)
    _fill_registry(settings, progress, catalogue)
    with progress.step("wait for the operator and the build service") as step:
        kubectl = Kubectl(settings, step.log)
        _rolled_out(kubectl, "deployment/keelway", SYSTEM)
        _rolled_out(kubectl, "statefulset/buildkitd", "keelway-buildkit")


def prepare(settings: Settings, progress: Progress, catalogue: Catalogue) -> None:
    """The same for an operator that runs outside (`outside.py`): all but its own pods. The build service waits for what
    the operator gives it. Raises DevclusterError."""
    # Build Jobs run the operator's image too.
    _load_image(settings, progress)
    with progress.step("install Keelway without the operator") as step:
        outside.install(settings, step.log)
    _fill_registry(settings, progress, catalogue)


def _load_image(settings: Settings, progress: Progress) -> str:
    with progress.step("build the operator's image") as step:
        image_id = _build_image(step.log)
    nodes.load(settings, progress, [IMAGE])
    return image_id


def _fill_registry(settings: Settings, progress: Progress, catalogue: Catalogue) -> None:
    with progress.step("wait for the registry") as step:
        _rolled_out(Kubectl(settings, step.log), "deployment/registry", "keelway-registry")
    seed.seed(settings, progress, catalogue)


def _build_image(log: Path) -> str:
    # Docker's older builder where the plug-in of the newer is missing: it takes base images that no registry has.
    newer = shell.succeeds(["docker", "buildx", "version"], log)
    shell.run(
        ["docker", "build", "--tag", IMAGE, "."], log, cwd=REPOSITORY, env={} if newer else {"DOCKER_BUILDKIT": "0"}
    )
    return shell.run(["docker", "image", "inspect", "--format", "{{.Id}}", IMAGE], log).strip()


def _apply(kubectl: Kubectl, image_id: str) -> None:
    kubectl("apply", "--server-side", "--force-conflicts", "-k", str(REPOSITORY / "manifests" / "dev"))
    annotated = {"spec": {"template": {"metadata": {"annotations": {IMAGE_ID: image_id}}}}}
    patch = json.dumps(annotated)
    kubectl("-n", SYSTEM, "patch", "deployment", "keelway", "--type=merge", f"--patch={patch}")


def _rolled_out(kubectl: Kubectl, what: str, namespace: str) -> None:
    kubectl("-n", namespace, "rollout", "status", what, f"--timeout={_READY}s", timeout=_READY + 20)
