"""A built image is tested with companions beside it, and as the server that it is; nothing of that is left."""

from tests import howto
from tests.e2e.tenant import Tenant


def test_an_image_is_tested_with_what_it_needs(tenant: Tenant) -> None:
    (greeter,) = howto.fragments("Test an image with what it needs")

    tenant.apply(greeter)
    tenant.wait("image/greeter")

    (build,) = tenant.builds("greeter")
    assert build["status"]["passedTests"] == ["answers"], "the command's own end tells of the other"
    assert tenant.objects("pods") == [] or all("deletionTimestamp" in pod["metadata"] for pod in tenant.objects("pods"))

    good = tenant.version("greeter")
    alone = {"name": "answers", "check": {"http": {"port": 8080, "path": "/"}}, "timeoutSeconds": 10}
    tenant.apply({**greeter, "spec": {**greeter["spec"], "tests": [alone]}})
    told = tenant.wait_for_reason("image/greeter", "Quarantined")

    assert "Test answers did not pass its check (GET / on port 8080) within 10 s" in told["message"]
    assert "names" not in told["message"].partition("Its last lines")[0]
    assert "urlopen" in tenant.builds("greeter")[-1]["status"]["message"], "its last lines say why"
    assert tenant.version("greeter") == good
