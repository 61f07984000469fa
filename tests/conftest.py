"""What all tests against a cluster share: `kubectl`, and namespaces that go away again.

Unit tests use none of it.
"""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.kubectl import Kubectl, PatientKubectl

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def kubectl() -> Kubectl:
    """The dev cluster's kubectl; fails with the remedy where no dev cluster runs."""
    client = PatientKubectl(ROOT / ".keelway" / "kubeconfig")
    client.must_answer()
    return client


@pytest.fixture
def namespace(kubectl: Kubectl) -> Iterator[str]:
    """A namespace of the test's own, where the Pod Security Standard `restricted` is enforced as for users."""
    name = f"test-{uuid4().hex[:8]}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted", "keelway.dev/test": "true"}
    kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
    yield name
    kubectl.run("delete", "namespace", name, "--wait=false", "--ignore-not-found")
