"""A source's URL is a tenant's to write: wherever it leads, nothing inside is reached, and the condition says why.

The forge stands for the internet here: the administrator of the dev cluster allows the networks of pods and Services
(manifests/dev), so what is inside is the node, the loopback and the clouds' metadata service.
"""

from typing import Any

import pytest

from tests.e2e.commons import FORGE, NAMESPACE, Forge
from tests.e2e.objects import kubelet_and_api_server
from tests.e2e.tenant import Tenant
from tests.kubectl import JsonObject, Kubectl


def image(source: JsonObject, **spec: Any) -> JsonObject:
    return {
        "apiVersion": "keelway.dev/v1alpha1",
        "kind": "Image",
        "metadata": {"name": "hostile"},
        "spec": {"source": source, "poll": {"intervalSeconds": 10}, **spec},
    }


def of_git(url: str) -> JsonObject:
    return {"git": {"url": url}}


def of_http(url: str) -> JsonObject:
    return {"http": {"url": url, "sha256": "0" * 64}}


def name_for(tenant: Tenant, name: str, address: str) -> str:
    """A name that a tenant makes lead to an address: a Service without selector, by its host."""
    port = {"name": "x", "port": 8080}
    tenant.apply(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name},
            "spec": {"clusterIP": "None", "ports": [port]},
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": name, "labels": {"kubernetes.io/service-name": name}},
            "addressType": "IPv4",
            "ports": [port],
            "endpoints": [{"addresses": [address]}],
        },
    )
    return f"{name}.{tenant.namespace}.svc"


@pytest.mark.usefixtures("forge")
@pytest.mark.parametrize(
    ("kind", "where"),
    [
        # The operator itself asks a git server, the build's Job another.
        *(("git", where) for where in ("metadata", "loopback", "api-server", "kubelet")),
        *(("http", where) for where in ("metadata", "api-server")),
    ],
)
def test_a_redirect_leads_nowhere_inside(kind: str, where: str, tenant: Tenant, kubectl: Kubectl) -> None:
    kubelet, api_server = kubelet_and_api_server(kubectl)
    inside = {
        "metadata": "169.254.169.254",
        "loopback": "127.0.0.1:8080",
        "api-server": api_server,
        "kubelet": kubelet,
    }[where]
    url = f"{FORGE}/to/https/{inside}/app"

    tenant.apply(image(of_git(url) if kind == "git" else of_http(url)))

    told = tenant.wait_for_reason("image/hostile", "AddressRefused")
    assert inside.partition(":")[0] in told["message"]
    assert "KEELWAY_ALLOWED_NETWORKS" in told["message"]
    # A redirect may be another tomorrow: it is looked at again.
    assert tenant.condition("image/hostile", "Stalled")["status"] == "False"


def test_a_name_leads_nowhere_inside(tenant: Tenant, kubectl: Kubectl) -> None:
    node = kubelet_and_api_server(kubectl)[0].partition(":")[0]
    host = name_for(tenant, "inward", node)

    tenant.apply(image(of_git(f"https://{host}:6443/app.git")))

    told = tenant.wait_for_reason("image/hostile", "AddressRefused")
    assert f"{host} leads to {node}" in told["message"]


@pytest.mark.long
def test_a_name_that_leads_elsewhere_after_it_was_looked_at_leads_nowhere_inside(
    tenant: Tenant, forge: Forge, kubectl: Kubectl
) -> None:
    repository = forge.repository(tenant.namespace)
    repository.commit({"Dockerfile": "FROM scratch\nCOPY Dockerfile /\n"})
    (pod,) = Tenant(kubectl, NAMESPACE).pods("forge")
    host = name_for(tenant, "rebinding", pod["status"]["podIP"])
    tenant.apply(image(of_git(f"http://{host}:8080/git/{repository.name}")))
    tenant.wait("image/hostile")

    name_for(tenant, "rebinding", kubelet_and_api_server(kubectl)[0].partition(":")[0])

    # Plain http is for allowed networks only, and the address is looked at before anything is sent.
    told = tenant.wait_for_reason("image/hostile", "InsecureUrl", "SourceReady")
    assert host in told["message"]
    assert tenant.version("hostile") == "v1", "what was built stays"


def test_a_registry_that_a_tenant_names_is_nothing_inside(tenant: Tenant, kubectl: Kubectl) -> None:
    _, api_server = kubelet_and_api_server(kubectl)
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "push"},
        "type": "kubernetes.io/dockerconfigjson",
        "stringData": {".dockerconfigjson": '{"auths": {}}'},
    }
    inline = {"inline": {"files": [{"name": "Dockerfile", "content": "FROM scratch\n"}]}}
    tenant.apply(secret, image(inline, repository=f"{api_server}/x/y", pushSecretRef={"name": "push"}))

    told = tenant.wait_for_reason("image/hostile", "AddressRefused")
    assert api_server.partition(":")[0] in told["message"]


REPOSITORY = """
set -eu
git init -q --bare "/srv/git/$0"
cd "/srv/git/$0"
run='touch /tmp/ran; exit 1'
file() { printf '%s' "$1" | git hash-object -w --stdin; }
hook=$(printf '100755 blob %s\\tpost-checkout\\n' "$(file "#!/bin/sh
$run")" | git mktree)
config=$(file "[core]
  fsmonitor = $run
  sshCommand = $run
[filter \\"evil\\"]
  smudge = $run
  required = true")
dot_git=$(printf '040000 tree %s\\thooks\\n100644 blob %s\\tconfig\\n' "$hook" "$config" | git mktree)
modules=$(file "[submodule \\"inside\\"]
  path = inside
  url = https://169.254.169.254/latest
  update = !$run")
{
  printf '040000 tree %s\\t.git\\n' "$dot_git"
  printf '100644 blob %s\\t.gitconfig\\n' "$config"
  printf '100644 blob %s\\t.gitattributes\\n' "$(file '* filter=evil diff=evil')"
  printf '100644 blob %s\\t.gitmodules\\n' "$modules"
  printf '100644 blob %s\\tDockerfile\\n' "$(cat | git hash-object -w --stdin)"
  printf '100644 blob %s\\tplain\\n' "$(file 'as it was committed')"
  printf '160000 commit 0123456789012345678901234567890123456789\\tinside\\n'
} | git mktree --missing > /tmp/tree
git update-ref refs/heads/main "$(git commit-tree -m hostile "$(cat /tmp/tree)")"
"""


def test_a_repositorys_configuration_hooks_filters_and_submodules_are_only_files(tenant: Tenant, forge: Forge) -> None:
    dockerfile = tenant.dockerfile(
        "COPY . /src/",
        # As it was committed, no filter run over it; the submodule not fetched; nothing started on the way.
        'RUN test "$(cat /src/plain)" = \'as it was committed\' && test -z "$(ls -A /src/inside)"',
        "RUN test -x /src/.git/hooks/post-checkout && test -f /src/.gitconfig && test ! -e /tmp/ran",
        "USER 1000",
    )
    name = f"{tenant.namespace}.git"
    forge.run("sh", "-c", REPOSITORY, name, input=dockerfile.encode())

    tenant.apply(image(of_git(f"{FORGE}/git/{name}")))

    tenant.wait("image/hostile")
