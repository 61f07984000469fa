"""A webhook wakes the Image that it concerns, through the replica that does not lead, where nothing is polled."""

import hashlib
import hmac
import json

from tests.e2e.client import Answer, Ask, Client
from tests.e2e.commons import Forge
from tests.e2e.disturbance import SYSTEM, Peace
from tests.e2e.objects import EMPTY
from tests.e2e.tenant import Tenant
from tests.howto import fragments, laid_over
from tests.kubectl import JsonObject

TOKEN = "webhooks-of-the-dev-cluster"  # manifests/dev
PORT = 8081


def test_a_push_wakes_the_image_that_it_concerns_and_no_other(
    tenant: Tenant, client: Client, forge: Forge, peace: Peace
) -> None:
    repository = forge.repository(tenant.namespace)
    first = repository.commit({"Dockerfile": EMPTY}, tag="stable")
    shop = _from(fragments("Let a push wake an Image")[0], repository.url)
    elsewhere = {"suspend": True, "source": {"git": {"revision": "stable"}}}
    other = laid_over(shop, {"metadata": {"name": "other"}, "spec": elsewhere})
    tenant.apply(shop, other)
    tenant.wait("image/shop")
    status = tenant.get("image/shop")["status"]
    assert status["latest"]["revision"] == first
    assert "nextCheckTime" not in status, "nothing is polled"

    second = repository.commit({"Dockerfile": f"{EMPTY}# second\n"})
    with peace.undisturbed():
        leader = peace.leader()
        standby = next(pod for pod in peace.operators() if pod != leader)
        address = tenant.kubectl.json("get", f"pod/{standby}", "-n", SYSTEM)["status"]["podIP"]
        url = f"http://{address}:{PORT}/webhook"
        assert client.get(f"http://keelway-webhook.{SYSTEM}/webhook").status == 405, "the Service leads there"

        assert _push(client, url, repository.url, token="a-token-that-is-not-the-right-one").status == 401
        assert _push(client, url, f"{repository.url}-of-nobody").json() == {"images": 0}
        status = tenant.get("image/shop")["status"]
        assert (status["latest"]["revision"], "lastDelivery" in status) == (first, False)

        for _ in range(2):  # once more, as somebody would who has overheard it
            answer = _push(client, url, repository.url)
            assert (answer.status, answer.json()) == (200, {"images": 1})
    tenant.wait("image/shop", f"jsonpath={{.status.latest.revision}}={second}")
    tenant.wait("image/shop")
    status = tenant.get("image/shop")["status"]
    assert status["observedDelivery"] == status["lastDelivery"]
    assert [one["spec"]["reason"] for one in tenant.builds("shop")] == ["SpecChanged", "SourceChanged"]
    assert "lastDelivery" not in tenant.get("image/other").get("status", {})

    tenant.run("annotate", "image/shop", "keelway.dev/check-requested=by-hand")
    tenant.wait("image/shop", "jsonpath={.status.observedCheckRequest}=by-hand")
    assert len(tenant.builds("shop")) == 2, "nothing new, nothing built"


def _from(image: JsonObject, url: str) -> JsonObject:
    """The Image of the how-to, from a repository of the forge."""
    return laid_over(image, {"spec": {"source": {"git": {"url": url}}}})


def _push(client: Client, url: str, repository: str, token: str = TOKEN) -> Answer:
    """GitHub's delivery of a push to the branch main."""
    told = {"ref": "refs/heads/main", "repository": {"clone_url": repository, "default_branch": "main"}}
    body = json.dumps(told)
    signature = hmac.new(token.encode(), body.encode(), hashlib.sha256).hexdigest()
    headers = {
        "Content-Type": "application/json",
        "X-GitHub-Event": "push",
        "X-Hub-Signature-256": f"sha256={signature}",
    }
    (answer,) = client.ask(Ask(url, "POST", headers, body))
    return answer
