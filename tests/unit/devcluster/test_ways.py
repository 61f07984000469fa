"""Which way `up` takes, and what it says where it can take none."""

from pathlib import Path

import pytest

from devcluster import catalogue, engine, images, kind, up
from devcluster.errors import DevclusterError
from devcluster.progress import Progress
from devcluster.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(cache=tmp_path / "cache", state=tmp_path / "state")


@pytest.mark.parametrize(
    ("unreachable", "built"),
    [(None, False), ("registry.k8s.io", True), ("hello-world", True)],
    ids=["every registry answers", "Kubernetes' does not", "Docker's does not"],
)
def test_without_a_cluster_images_are_made_where_one_of_the_probes_cannot_be_pulled(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, unreachable: str | None, built: bool
) -> None:
    monkeypatch.setattr(kind, "nodes", lambda *_: [])
    monkeypatch.setattr(images, "can_pull", lambda reference, _: not (unreachable and unreachable in reference))
    assert up.must_build(settings, Progress(settings.logs), catalogue.load()) is built


def created_with(settings: Settings, monkeypatch: pytest.MonkeyPatch, *, built: bool) -> str | None:
    """The image that kind is asked for where there is no cluster."""
    asked: list[str | None] = []
    monkeypatch.setattr(kind, "nodes", lambda *_: [])
    monkeypatch.setattr(kind, "create", lambda _, image, *__: asked.append(image))
    up.ensure_cluster(settings, Progress(settings.logs), "kindest/node:v1.2.3", built=built)
    return asked[0]


def test_kind_is_asked_for_the_node_of_the_list_where_it_is_made_here(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "pull", lambda *_: pytest.fail("pulled"))
    assert created_with(settings, monkeypatch, built=True) == "kindest/node:v1.2.3"


@pytest.mark.parametrize(("published", "asked"), [(True, "kindest/node:v1.2.3"), (False, None)])
def test_kind_is_asked_for_the_node_of_the_list_where_it_is_published_and_else_for_its_own(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, published: bool, asked: str | None
) -> None:
    monkeypatch.setattr(images, "pull_published", lambda *_: published)
    assert created_with(settings, monkeypatch, built=False) == asked


def test_where_docker_neither_answers_nor_can_be_started_the_choices_are_listed(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "answers", lambda: False)
    monkeypatch.setattr(engine, "can_start", lambda: False)
    with pytest.raises(DevclusterError) as refused:
        engine.ensure(settings, Progress(settings.logs))
    assert "start Docker" in refused.value.message
    assert "as root on a Debian machine" in refused.value.message
