"""How the build container reads back what it pushed."""

import pytest
from aiohttp import web

from keelway.api.buildrequest import Policy
from keelway.builder.build import materials, registry_client
from keelway.builder.progress import Progress, Vertex
from keelway.errors import NotFound, Waiting
from keelway.registry.credentials import Keyring
from keelway.registry.reference import Reference
from tests.unit.builder.requests import FILES, request_for
from tests.unit.web import serve


async def test_a_registry_is_guarded_unless_it_is_the_operators() -> None:
    calls = []

    async def handle(request: web.Request) -> web.Response:
        calls.append(request.path)
        return web.Response(status=404)

    async with serve(handle) as url:
        host = url.removeprefix("http://")
        for own in (host, "registry.example.org"):
            policy = Policy(registry=own, own_repositories=f"{own}/team/")
            request = request_for(FILES, policy=policy, insecure_registries=(host,), allowed_networks=())
            async with registry_client(request) as client:
                with pytest.raises(NotFound if own == host else Waiting) as caught:
                    await client.resolve(Reference(host, "team/app", "v1"), Keyring())
            assert caught.value.reason == ("NotFound" if own == host else "AddressRefused")
    assert calls == ["/v2/team/app/manifests/v1"]


async def test_a_tenants_registry_in_an_allowed_network_is_reached() -> None:
    async def handle(_: web.Request) -> web.Response:
        return web.Response(status=404)

    async with serve(handle) as url:
        host = url.removeprefix("http://")
        async with registry_client(request_for(FILES, insecure_registries=(host,))) as client:
            with pytest.raises(NotFound):
                await client.resolve(Reference(host, "team/app", "v1"), Keyring())


def test_the_scanner_of_packages_is_no_material_of_the_image() -> None:
    """A new scanner would otherwise be a changed base image."""
    names = ("docker.io/library/python:3.11-slim", "docker.io/team/scan:1", "docker.io/team/scan-not:1")
    progress = Progress(echo=lambda _: None)
    for name in names:
        progress.steps[name] = Vertex(name=f"docker-image://{name}@sha256:{'9' * 64}")
    by_digest = f"docker.io/team/scan@sha256:{'9' * 64}"
    progress.steps["asked"] = Vertex(name=f"resolve image config for docker-image://{by_digest}")
    progress.steps["by digest"] = Vertex(name=f"docker-image://{by_digest}")
    for scanner in ("docker.io/team/scan:1", f"docker.io/team/scan:1@sha256:{'9' * 64}", by_digest):
        read = materials(request_for(FILES, sbom_scanner=scanner), progress)
        assert [one.reference for one in read] == [names[0], names[2]]
    assert [one.reference for one in materials(request_for(FILES), progress)] == [*names, by_digest]
