"""What an object names and is not there yet is waited for by name; when it appears, work goes on by itself."""

from typing import Any

from tests.e2e.client import Client
from tests.e2e.commons import PASSWORD, Forge, Web
from tests.e2e.patience import eventually
from tests.e2e.tenant import Tenant

DOCKERFILE = 'FROM python:3.11-slim\nCOPY answer /\nUSER 1000\nCMD ["python", "-m", "http.server", "8080"]\n'


def test_an_app_waits_for_its_image_and_an_image_for_its_config_map(tenant: Tenant, client: Client) -> None:
    tenant.apply(
        {
            "apiVersion": "keelway.dev/v1alpha1",
            "kind": "App",
            "metadata": {"name": "late"},
            "spec": {"image": {"name": "late"}, "ports": [{"name": "http", "port": 8080}]},
        }
    )
    told = tenant.wait_for_reason("app/late", "ImageNotFound")
    assert f"There is no Image late in {tenant.namespace}. Create it" in told["message"]
    assert tenant.condition("app/late", "Reconciling")["status"] == "True"

    image = {
        "apiVersion": "keelway.dev/v1alpha1",
        "kind": "Image",
        "metadata": {"name": "late"},
        "spec": {"source": {"configMap": {"name": "late-files"}}, "poll": {"intervalSeconds": 10}},
    }
    tenant.apply(image)
    told = tenant.wait_for_reason("image/late", "ConfigMapNotFound")
    assert "There is no ConfigMap late-files" in told["message"]
    tenant.wait_for_reason("app/late", "NoVersionYet")

    files = {"Dockerfile": DOCKERFILE, "answer": "first"}
    tenant.apply(_config_map("late-files", files))
    tenant.wait("app/late")
    assert client.get("http://late:8080/answer").text == "first"

    first = tenant.version("late")
    tenant.apply(_config_map("late-files", {**files, "answer": "second"}))
    tenant.wait_for_app("late", tenant.wait_for_version_after("late", first))
    # A pod that is going away serves on until kube-proxy has heard of it.
    eventually("the new version answers", lambda: client.get("http://late:8080/answer").text == "second", 20)
    assert tenant.builds("late")[-1]["spec"]["reason"] == "SourceChanged"


def test_a_private_repository_waits_for_the_right_secret(tenant: Tenant, forge: Forge) -> None:
    repository = forge.repository(tenant.namespace)
    commit = repository.commit({"Dockerfile": "FROM scratch\nCOPY Dockerfile /\n"}, tag="v1.0")
    tenant.apply(
        {
            "apiVersion": "keelway.dev/v1alpha1",
            "kind": "Image",
            "metadata": {"name": "private"},
            "spec": {
                "source": {
                    "git": {
                        "url": repository.private_url,
                        "revision": "v1.0",
                        "secretRef": {"name": "forge-login"},
                    }
                }
            },
        }
    )
    told = tenant.wait_for_reason("image/private", "SecretNotFound")
    assert "There is no Secret forge-login" in told["message"]
    assert tenant.condition("image/private", "SourceReady")["status"] == "False"

    tenant.apply(_secret("forge-login", {"token": "wrong"}))
    told = tenant.wait_for_reason("image/private", "Unauthorized")
    assert "refused the source's credentials (401)" in told["message"]

    tenant.apply(_secret("forge-login", {"token": PASSWORD}))
    tenant.wait("image/private")
    assert tenant.get("image/private")["status"]["latest"]["revision"] == commit


def test_a_private_repository_takes_username_and_password(tenant: Tenant, forge: Forge) -> None:
    repository = forge.repository(tenant.namespace)
    commit = repository.commit({"deep/down/Dockerfile": "FROM scratch\nCOPY Dockerfile /\n"})
    repository.commit({"Dockerfile": "this is no Dockerfile"})
    tenant.apply(
        _secret("forge-login", {"username": "someone", "password": PASSWORD}),
        {
            "apiVersion": "keelway.dev/v1alpha1",
            "kind": "Image",
            "metadata": {"name": "private"},
            "spec": {
                "source": {
                    "git": {
                        "url": repository.private_url,
                        "revision": commit,
                        "subPath": "deep/down",
                        "secretRef": {"name": "forge-login"},
                    }
                }
            },
        },
    )
    tenant.wait("image/private")
    assert tenant.get("image/private")["status"]["latest"]["revision"] == commit


def test_a_test_that_fits_on_no_node_says_so_while_it_waits(tenant: Tenant) -> None:
    def image(cpu: str) -> dict[str, Any]:
        test = {"name": "runs", "command": ["true"], "resources": {"requests": {"cpu": cpu}}}
        files = [{"name": "Dockerfile", "content": "FROM python:3.11-slim\nUSER 1000\n"}]
        return {
            "apiVersion": "keelway.dev/v1alpha1",
            "kind": "Image",
            "metadata": {"name": "large"},
            "spec": {"source": {"inline": {"files": files}}, "tests": [test]},
        }

    def told() -> bool:
        message = str(tenant.condition("image/large", "Ready")["message"])
        return "fits on no node" in message and "Insufficient cpu" in message

    tenant.apply(image("1000"))
    tenant.wait_for_reason("image/large", "Testing")
    eventually("the Image says what its test waits for", told, 30)

    tenant.apply(image("10m"))
    tenant.wait("image/large")


def test_a_service_of_that_name_that_is_somebody_elses_is_never_touched(tenant: Tenant, web: Web) -> None:
    foreign = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web"},
        "spec": {"selector": {"of": "somebody-else"}, "ports": [{"port": 5432}]},
    }
    tenant.apply(foreign)
    before = tenant.get("service/web")

    tenant.apply(
        {
            "apiVersion": "keelway.dev/v1alpha1",
            "kind": "App",
            "metadata": {"name": "web"},
            "spec": {"image": {"reference": web.reference}, "ports": [{"name": "http", "port": 8080}]},
        }
    )
    told = tenant.wait_for_reason("app/web", "NameConflict")
    assert "Service web" in told["message"]
    assert tenant.get("service/web")["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]

    tenant.run("delete", "service/web")
    tenant.wait("app/web")
    assert tenant.get("service/web")["spec"]["ports"][0]["port"] == 8080


def _config_map(name: str, data: dict[str, str]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def _secret(name: str, data: dict[str, str]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data}
