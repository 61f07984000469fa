"""Where an Image may push: below its namespace in the operator's registry, elsewhere with its own Secret."""

from typing import Any

import pytest

from keelway.api.image import Image
from keelway.errors import Terminal, Waiting
from keelway.reconcile.repository import check_unique, repository
from keelway.settings import Settings
from tests.unit.objects import raw_image

PLAIN = Settings(registry="registry.example:5000")
PREFIXED = Settings(registry="registry.example:5000/keelway")
HUB = Settings(registry="docker.io/acme")
PUSH: dict[str, Any] = {"pushSecretRef": {"name": "push"}}


def _image(repository: str | None = None, *, namespace: str = "team", name: str = "hello", **spec: Any) -> Image:
    asked = {"repository": repository} if repository else {}
    return Image.parse(raw_image(name, namespace, **asked, **spec))


def _aged(image: Image, day: int) -> Image:
    created = image.metadata.creation_timestamp
    assert created is not None
    metadata = image.metadata.model_copy(update={"creation_timestamp": created.replace(day=day)})
    return image.model_copy(update={"metadata": metadata})


def _refusal(image: Image, settings: Settings) -> str:
    with pytest.raises(Terminal) as refused:
        repository(image, settings)
    return refused.value.reason


def test_the_default_is_registry_namespace_name() -> None:
    assert repository(_image(), PLAIN) == "registry.example:5000/team/hello"
    assert repository(_image(), PREFIXED) == "registry.example:5000/keelway/team/hello"


def test_any_repository_below_the_own_namespace_is_allowed() -> None:
    assert (
        repository(_image("registry.example:5000/team/deep/er/app"), PLAIN) == "registry.example:5000/team/deep/er/app"
    )


@pytest.mark.parametrize(
    "asked",
    [
        "registry.example:5000/other/hello",
        "registry.example:5000/hello",
        "registry.example:5000/team",  # the namespace itself is no repository below it
        "registry.example:5000/team-b/hello",  # another namespace whose name begins like ours
        "registry.example:5000/teamwork/hello",
        "registry.example:5000/te/am/hello",
    ],
)
def test_another_namespaces_repositories_are_refused(asked: str) -> None:
    assert _refusal(_image(asked, **PUSH), PLAIN) == "RepositoryNotAllowed"


@pytest.mark.parametrize(
    "asked",
    [
        "registry.example:5000/team/hello",  # outside the prefix
        "registry.example:5000/keelway/other/hello",
        "registry.example:5000/keelwayteam/hello",
        "registry.example:5000/keelway-team/hello",
        "registry.example:5000/x/keelway/team/hello",
    ],
)
def test_a_registry_prefix_is_no_way_around(asked: str) -> None:
    assert _refusal(_image(asked, **PUSH), PREFIXED) == "RepositoryNotAllowed"


def test_a_namespace_named_like_the_prefix_gains_nothing() -> None:
    assert _refusal(_image("registry.example:5000/keelway/hello", namespace="keelway", **PUSH), PREFIXED)
    own = repository(_image(namespace="keelway"), PREFIXED)
    assert own == "registry.example:5000/keelway/keelway/hello"


@pytest.mark.parametrize("asked", ["REGISTRY.example:5000/other/hello", "Registry.Example:5000/team/hello"])
def test_another_spelling_of_the_operators_registry_is_no_other_registry(asked: str) -> None:
    assert _refusal(_image(asked, **PUSH), PLAIN) == "RepositoryNotAllowed"


def test_the_port_that_https_implies_makes_no_other_registry() -> None:
    implied = Settings(registry="registry.example")
    assert _refusal(_image("registry.example:443/other/hello", **PUSH), implied) == "RepositoryNotAllowed"


@pytest.mark.parametrize("asked", ["docker.io/acme/team/hello", "acme/team/hello", "index.docker.io/acme/team/hello"])
def test_on_dockers_hub_all_its_spellings_are_the_same(asked: str) -> None:
    assert repository(_image(asked), HUB) == "docker.io/acme/team/hello"


@pytest.mark.parametrize("asked", ["hello", "acme/other/hello", "registry-1.docker.io/acme/other/hello"])
def test_on_dockers_hub_no_spelling_is_a_way_around(asked: str) -> None:
    assert _refusal(_image(asked, **PUSH), HUB) == "RepositoryNotAllowed"


def test_elsewhere_a_push_secret_is_compulsory() -> None:
    assert _refusal(_image("ghcr.io/owner/hello"), PLAIN) == "PushSecretRequired"
    assert repository(_image("ghcr.io/owner/hello", **PUSH), PLAIN) == "ghcr.io/owner/hello"


def test_a_short_name_is_dockers_hub_and_so_elsewhere() -> None:
    assert _refusal(_image("team/hello"), PLAIN) == "PushSecretRequired"
    assert repository(_image("team/hello", **PUSH), PLAIN) == "docker.io/team/hello"


def test_another_port_of_the_same_host_is_another_registry() -> None:
    assert _refusal(_image("registry.example:5001/team/hello"), PLAIN) == "PushSecretRequired"


@pytest.mark.parametrize("asked", ["registry.example:5000/team/../other/x", "registry.example./team/x", "https://r/x"])
def test_what_is_no_repository_is_refused(asked: str) -> None:
    assert _refusal(_image(asked, **PUSH), PLAIN) == "InvalidReference"


def test_the_oldest_image_owns_a_repository() -> None:
    older = _aged(_image(name="older"), 1)
    younger = _aged(_image("registry.example:5000/team/older", name="younger"), 2)
    wanted = repository(younger, PLAIN)
    with pytest.raises(Waiting) as refused:
        check_unique(younger, wanted, [older, younger], PLAIN)
    assert refused.value.reason == "RepositoryInUse"
    assert "team/older" in refused.value.message
    assert refused.value.retry_after is not None
    check_unique(older, wanted, [older, younger], PLAIN)


def test_of_images_of_the_same_second_exactly_one_owns_the_repository() -> None:
    twins = [_image("ghcr.io/owner/x", name=name, **PUSH) for name in ("one", "two")]
    owners = []
    for image in twins:
        try:
            check_unique(image, repository(image, PLAIN), twins, PLAIN)
        except Waiting:
            continue
        owners.append(image.metadata.name)
    assert len(owners) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("owner/x", "docker.io/owner/x"),
        ("index.docker.io/owner/x", "registry-1.docker.io/owner/x"),
        ("x", "docker.io/library/x"),
        ("ghcr.io/owner/x", "GHCR.io/owner/x"),
        ("ghcr.io/owner/x", "ghcr.io:443/owner/x"),
    ],
)
def test_two_spellings_of_a_repository_are_one(one: str, other: str) -> None:
    older = _aged(_image(one, name="older", **PUSH), 1)
    younger = _aged(_image(other, name="younger", namespace="else", **PUSH), 2)
    with pytest.raises(Waiting):
        check_unique(younger, repository(younger, PLAIN), [older], PLAIN)


def test_an_image_that_may_not_push_there_owns_nothing() -> None:
    squatter = _aged(_image("registry.example:5000/team/hello", namespace="other", name="squatter"), 1)
    mine = _aged(_image(), 2)
    check_unique(mine, repository(mine, PLAIN), [squatter], PLAIN)
