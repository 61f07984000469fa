"""What the end-to-end tests share: a tenant of their own each, the forge, peace; and the order they start in.

They speak to one cluster with one operator, many at once, as users do. `make deploy` puts the operator there.
"""

import os
from collections.abc import Generator

import pytest

from tests.conftest import ROOT
from tests.e2e import commons
from tests.e2e.client import Client
from tests.e2e.commons import Forge, Web
from tests.e2e.disturbance import Peace
from tests.e2e.tenant import Tenant
from tests.kubectl import Kubectl, KubectlError, PatientKubectl

LONG = "long: takes a minute or more, so it starts first"
DISTURBING = "disturbing: breaks what all tests share, so one process runs these one by one"
LAST = "last: looks at what all other tests have left behind, so it runs after them"


def pytest_configure(config: pytest.Config) -> None:
    for marker in (LONG, DISTURBING, LAST):
        config.addinivalue_line("markers", marker)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long tests first on every worker. xdist gives each worker one stretch of the list (and lets it steal later)."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    disturbing = [item for item in items if item.get_closest_marker("disturbing")]
    others = [item for item in items if not item.get_closest_marker("disturbing")]
    others.sort(key=lambda item: item.get_closest_marker("long") is None)
    stretches = _stretches(len(items), workers)
    # The first worker disturbs, one after the other; the rest is dealt like cards.
    hands: list[list[pytest.Item]] = [[] for _ in stretches]
    hands[0] = disturbing[: stretches[0]]
    others = disturbing[stretches[0] :] + others
    turn = len(hands)
    while others:
        turn = turn - 1 if turn else len(hands) - 1
        if len(hands[turn]) < stretches[turn]:
            hands[turn].append(others.pop(0))
    items[:] = [item for hand in hands for item in hand]


def _stretches(items: int, workers: int) -> list[int]:
    """How many items each worker is given at first (xdist's worksteal: the remainder goes to the last ones)."""
    stretches: list[int] = []
    for left in range(workers, 0, -1):
        stretches.append((items - sum(stretches)) // left)
    return stretches


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failure tells what was so in the test's namespace, which is gone a moment later."""
    report = yield
    tenant = item.funcargs.get("tenant") if isinstance(item, pytest.Function) else None
    if report.failed and call.when == "call" and isinstance(tenant, Tenant):
        try:
            report.sections.append((f"namespace {tenant.namespace}", tenant.story()))
        except (KubectlError, OSError) as error:
            report.sections.append((f"namespace {tenant.namespace}", str(error)))
    return report


@pytest.fixture(scope="session")
def kubectl() -> Kubectl:
    """The dev cluster's kubectl, for a cluster that Keelway is deployed to."""
    client = PatientKubectl(ROOT / ".keelway" / "kubeconfig")
    client.must_answer()
    if not client.run("get", "deployment/keelway", "-n", "keelway-system", "--ignore-not-found").stdout:
        raise KubectlError("Keelway is not deployed to the dev cluster. Run `make deploy`.")
    # Begun by the first test already, for the forge's first build takes a minute.
    commons.apply(client)
    return client


@pytest.fixture
def tenant(kubectl: Kubectl, namespace: str) -> Tenant:
    """A user with an empty namespace."""
    return Tenant(kubectl, namespace)


@pytest.fixture
def client(kubectl: Kubectl, namespace: str) -> Client:
    """HTTP requests from inside the cluster; bare names are the tenant's Services."""
    client = Client(Tenant(kubectl, commons.NAMESPACE), namespace)
    client.wait()
    return client


@pytest.fixture
def forge(kubectl: Kubectl) -> Forge:
    """The git and file server, serving."""
    forge = Forge(kubectl)
    forge.wait()
    return forge


@pytest.fixture
def web(kubectl: Kubectl) -> Web:
    """An image that answers "web" at / and tells about itself: see incluster/web.py."""
    return commons.web(kubectl)


@pytest.fixture
def peace(kubectl: Kubectl) -> Peace:
    """The means to disturb the operator, and not to be disturbed."""
    return Peace(kubectl)
