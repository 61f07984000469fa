"""`seed`: push the base images to the registry in the cluster, where BuildKit looks for `FROM python:3.11-slim`.

They go below `docker.io/`, a path that belongs to no namespace: as `library/python` they would belong to a tenant's
namespace called `library`.
"""

import json
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from devcluster import images, shell
from devcluster.catalogue import Catalogue
from devcluster.errors import DevclusterError
from devcluster.nodes import full_name
from devcluster.progress import Progress
from devcluster.settings import Registry, Settings

ANSWER_SECONDS = 120
# The credential is for the registry; no proxy of the environment is asked for 127.0.0.1.
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def seed(settings: Settings, progress: Progress, catalogue: Catalogue) -> None:
    with progress.step("wait for the registry in the cluster"):
        wait_for(settings.registry)
    for image in catalogue.bases():
        with progress.step(f"push {image.reference} to the registry in the cluster") as step:
            push(settings.registry, image.reference, step.log)


def push(registry: Registry, reference: str, log: Path) -> None:
    if images.inspect(reference, "{{.Id}}") is None:
        raise DevclusterError(f"Docker has no image {reference}. Run `python -m devcluster up`.")
    address = registry.local_address
    # Docker lets a registry on the loopback be plain http.
    there = f"{address}/{full_name(reference)}"
    with tempfile.TemporaryDirectory() as private:
        config = {"auths": {address: {"auth": registry.token}}}
        (Path(private) / "config.json").write_text(json.dumps(config))
        shell.run(["docker", "tag", reference, there], log)
        try:
            shell.run(["docker", "--config", private, "push", there], log)
        finally:
            shell.run(["docker", "rmi", "--no-prune", there], log)


def wait_for(registry: Registry) -> None:
    """Returns when the registry accepts the credential (OCI distribution, end-1: GET /v2/)."""
    request = urllib.request.Request(
        f"http://{registry.local_address}/v2/", headers={"Authorization": f"Basic {registry.token}"}
    )
    deadline = time.monotonic() + ANSWER_SECONDS
    while True:
        try:
            with DIRECT.open(request, timeout=5):
                return
        except (urllib.error.URLError, OSError) as error:
            if time.monotonic() > deadline:
                raise DevclusterError(
                    f"the registry at {registry.local_address} gave no good answer within {ANSWER_SECONDS} s "
                    f"({error}). Deploy manifests/dev first, and look at its pod in keelway-registry."
                ) from error
        time.sleep(0.5)
