"""One operator for all generated cases: they are many, and none breaks it. Nothing of theirs needs a real image."""

from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import pytest

from devcluster.outside import Operator
from tests.faults.cluster import Cluster
from tests.faults.generated.crowd import Crowd, opened
from tests.faults.proxy import Proxy
from tests.faults.scene import LEADING_SECONDS


@pytest.fixture(scope="module")
def proxy(cluster: Cluster) -> Iterator[Proxy]:
    """The operator's way to the API server: what it writes is counted there."""
    proxy = cluster.proxy()
    proxy.start()
    yield proxy
    proxy.stop()


@pytest.fixture(scope="module")
def operator(cluster: Cluster, proxy: Proxy) -> Iterator[Operator]:
    """The operator, leading."""
    operator = cluster.operator(proxy, "generated-0")
    operator.start()
    operator.wait_until_leading(LEADING_SECONDS)
    yield operator
    if operator.running:
        operator.stop()


@pytest.fixture
async def crowd(cluster: Cluster, operator: Operator, proxy: Proxy) -> AsyncIterator[Crowd]:
    """An empty namespace without room for pods."""
    proxy.forget()
    async with opened(cluster.kubectl, f"generated-{uuid4().hex[:8]}") as crowd:
        yield crowd
