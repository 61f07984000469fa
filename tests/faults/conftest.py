"""What the fault tests share: the cluster, a proxy, an operator behind it, a scene; and what a failure tells.

They run one after the other on each cluster: each has its only operator.
"""

import os
from collections.abc import Generator, Iterator

import pytest

from devcluster.outside import Operator
from tests.faults import commons as images
from tests.faults.cluster import BUILDKIT, Cluster, opened
from tests.faults.commons import Commons
from tests.faults.proxy import Proxy
from tests.faults.scene import LEADING_SECONDS, Scene
from tests.faults.undisturbed import Undisturbed
from tests.kubectl import Kubectl, KubectlError

_WAITING = frozenset({"test_replicas", "test_wire", "test_api_server", "test_unobserved", "test_stale"})
SUBSET = "subset: short, so that `make test` runs it too"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", SUBSET)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Two workers begin with a half of the list each: in one half most is waited for, in the other most is work."""
    items.sort(key=lambda item: item.path.stem not in _WAITING)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failure tells what was so, and what was written."""
    report = yield
    scene = item.funcargs.get("scene") if isinstance(item, pytest.Function) else None
    if report.failed and call.when == "call" and isinstance(scene, Scene):
        report.sections.append(("writes", "\n".join(map(str, scene.writes))))
        log = scene.operator.log.read_text().splitlines() if scene.operator.log.exists() else []
        report.sections.append((f"operator, the end of {scene.operator.log}", "\n".join(log[-60:])))
        try:
            report.sections.append((f"namespace {scene.namespace}", scene.tenant.story()))
        except (KubectlError, OSError) as error:
            report.sections.append((f"namespace {scene.namespace}", str(error)))
    return report


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The cluster, for this run alone."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    with opened(tmp_path_factory.mktemp("faults"), worker) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def kubectl(cluster: Cluster) -> Kubectl:
    """That cluster's kubectl."""
    return cluster.kubectl


@pytest.fixture(scope="session")
def commons(cluster: Cluster) -> Commons:
    """What Apps run; by making it, the build service has come up too."""
    proxy = cluster.proxy()
    proxy.start()
    operator = cluster.operator(proxy)
    operator.start()
    try:
        # Somebody may have left an operator at work here, by hand say.
        operator.wait_until_leading(300)
        cluster.kubectl.run("rollout", "status", "statefulset/buildkitd", "-n", BUILDKIT, "--timeout=180s", timeout=200)
        return images.built(cluster.kubectl)
    finally:
        operator.kill()
        proxy.stop()


@pytest.fixture(scope="session")
def undisturbed() -> Undisturbed:
    """How stories end where nothing is broken."""
    return Undisturbed()


@pytest.fixture
def proxy(cluster: Cluster) -> Iterator[Proxy]:
    """The operator's way to the API server, with no fault yet."""
    proxy = cluster.proxy()
    proxy.start()
    yield proxy
    proxy.stop()


@pytest.fixture
def operator(cluster: Cluster, commons: Commons, proxy: Proxy) -> Iterator[Operator]:
    """The operator, leading. At the end it is killed: the Lease stays its own, and the next test's begins at once."""
    operator = cluster.operator(proxy)
    operator.start()
    operator.wait_until_leading(LEADING_SECONDS)
    yield operator
    operator.kill()


@pytest.fixture
def scene(cluster: Cluster, proxy: Proxy, operator: Operator, namespace: str) -> Scene:
    """A user with an empty namespace."""
    return Scene(cluster.kubectl, cluster.api, proxy, operator, namespace)
