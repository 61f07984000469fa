"""Settings come from the environment, are frozen, and a bad one is refused at start."""

from ipaddress import ip_network

import pytest
from pydantic import ValidationError

from keelway.settings import Settings


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("KEELWAY_REGISTRY", "registry.example:5000/keelway")
    return monkeypatch


def test_the_registry_is_the_one_setting_that_must_be_given(environment: pytest.MonkeyPatch) -> None:
    assert Settings().registry == "registry.example:5000/keelway"
    environment.delenv("KEELWAY_REGISTRY")
    with pytest.raises(ValidationError, match="registry"):
        Settings()


def test_networks_are_a_list_with_commas(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("KEELWAY_ALLOWED_NETWORKS", "10.0.0.0/8, fd00::/8,")
    networks = Settings().allowed_networks
    assert networks == (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
    environment.setenv("KEELWAY_ALLOWED_NETWORKS", "")
    assert Settings().allowed_networks == ()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ALLOWED_NETWORKS", "10.0.0.1/8"),  # bits of a host: surely a mistake
        ("ALLOWED_NETWORKS", "everything"),
        ("MAX_BUILDS", "0"),
        ("BUILDKIT_REPLICAS", "0"),
        ("PORT", "tcp://10.96.0.1:8080"),
        ("WEBHOOK_PORT", "0"),
    ],
)
def test_a_bad_setting_is_refused(environment: pytest.MonkeyPatch, name: str, value: str) -> None:
    environment.setenv(f"KEELWAY_{name}", value)
    with pytest.raises(ValidationError):
        Settings()


@pytest.mark.parametrize(
    "registry",
    ["localhost:5000", "localhost/team", "ghcr.io", "ghcr.io/acme/keelway", "reg:5000", "10.0.0.1:5000/a-b/c_d.e"],
)
def test_a_registry_is_a_host_with_an_optional_path(registry: str) -> None:
    assert Settings(registry=registry).registry == registry


@pytest.mark.parametrize(
    "registry",
    ["", "acme", "acme/keelway", "https://ghcr.io", "ghcr.io/", "ghcr.io/a//b", "ghcr.io/a/", "ghcr.io/Acme", "a.b:x"],
)
def test_what_docker_would_not_take_for_a_registry_is_refused(registry: str) -> None:
    with pytest.raises(ValidationError, match="registry"):
        Settings(registry=registry)


def test_the_registrys_host_is_without_its_path_and_insecure_only_when_said() -> None:
    secure = Settings(registry="registry.example:5000/keelway")
    assert (secure.registry_host, secure.insecure_registries) == ("registry.example:5000", ())
    plain = Settings(registry="registry.example:5000/keelway", registry_insecure=True)
    assert plain.insecure_registries == ("registry.example:5000",)


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings(registry="ghcr.io").max_builds = 9  # type: ignore[misc]


@pytest.mark.parametrize(
    ("given", "known"),
    [
        ("", None),
        ("ghcr.io/team/scan:1", "ghcr.io/team/scan:1"),
        ("team/scan", "docker.io/team/scan:latest"),
        (f"reg:5000/scan@sha256:{'0' * 64}", f"reg:5000/scan@sha256:{'0' * 64}"),
    ],
)
def test_the_scanner_is_named_in_full(environment: pytest.MonkeyPatch, given: str, known: str | None) -> None:
    environment.setenv("KEELWAY_SBOM_SCANNER", given)
    assert Settings().sbom_scanner == known


def test_a_scanner_that_is_no_image_is_refused(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("KEELWAY_SBOM_SCANNER", "https://scan")
    with pytest.raises(ValidationError, match="no image reference"):
        Settings()


def test_mirrors_are_a_list_with_commas_one_for_a_registry(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("KEELWAY_REGISTRY_MIRRORS", "")
    assert Settings().mirrors.known == ()
    environment.setenv("KEELWAY_REGISTRY_MIRRORS", "docker.io=m.example/docker.io, quay.io=http://m.example:5000")
    assert [mirror.place for mirror in Settings().mirrors.known] == ["m.example/docker.io", "m.example:5000"]


@pytest.mark.parametrize(
    ("mirrors", "told"),
    [
        ("docker.io", "is no mirror"),
        ("docker.io=a.example,docker.io=b.example", "more than one mirror"),
        ("docker.io=registry.example:5000/keelway/hub", "a namespace could read"),
        ("docker.io=registry.example:5000", "a namespace could read"),
    ],
)
def test_a_mirror_that_would_open_what_is_closed_is_refused(
    environment: pytest.MonkeyPatch, mirrors: str, told: str
) -> None:
    environment.setenv("KEELWAY_REGISTRY_MIRRORS", mirrors)
    with pytest.raises(ValidationError, match=told):
        Settings()
