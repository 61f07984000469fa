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


def test_where_docker_neither_answers_nor_can_be_started_the_choices_are_listed(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "answers", lambda: False)
    monkeypatch.setattr(engine, "can_start", lambda: False)
    with pytest.raises(DevclusterError) as refused:
        engine.ensure(settings, Progress(settings.logs))
    assert "start Docker" in refused.value.message
    assert "as root on a Debian machine" in refused.value.message
