"""What tests against the real API server share: the CRDs, as the models say them today."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.disturbance import Peace
from tests.kubectl import Kubectl

CRDS = Path(__file__).resolve().parents[2] / "crds"
NAMESPACE = "keelway-dry-run"
"""Where objects are tried that are never stored: empty, so that no name is taken."""


@pytest.fixture(scope="session")
def crds(kubectl: Kubectl) -> Kubectl:
    """kubectl for a cluster that serves the CRDs of this tree."""
    kubectl.apply_path(CRDS)
    kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    kubectl.run("wait", "--for=condition=Established", "--timeout=60s", "-f", str(CRDS))
    return kubectl


@pytest.fixture(autouse=True)
def undisturbed(kubectl: Kubectl) -> Iterator[None]:
    """End-to-end tests of the same run kill the API server: not while one of these runs."""
    with Peace(kubectl).undisturbed():
        yield
