"""Images made here: the same inputs give the same image, in the form that Docker and containerd read."""

import io
import json
import tarfile
from pathlib import Path

import pytest

from devcluster import images, layers, shell, store
from devcluster.catalogue import Image, Place
from devcluster.errors import DevclusterError
from devcluster.images import Made
from devcluster.progress import Progress
from devcluster.settings import Settings

IMAGE = Image("example/app:1", Place.CLUSTER, entrypoint=("/app",), env={"LANG": "C.UTF-8"})


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(cache=tmp_path / "cache", state=tmp_path / "state")


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "app"
    path.write_text("the program")
    path.chmod(0o755)
    return path


def made(settings: Settings, program: Path, reference: str = "example/app:1") -> Made:
    layer = layers.of_files(settings, "app", {"/usr/bin/app": program})
    return Made(reference, images.configuration(IMAGE, [layer]), (layer,))


def test_equal_files_give_the_same_layer_wherever_and_whenever(tmp_path: Path, program: Path) -> None:
    first = layers.of_files(Settings(tmp_path / "a", tmp_path), "app", {"/app": program})
    program.touch()
    second = layers.of_files(Settings(tmp_path / "b", tmp_path), "app", {"/app": program})
    assert first.digest == second.digest


def test_another_content_gives_another_layer_and_another_key(settings: Settings, program: Path) -> None:
    before = made(settings, program)
    program.write_text("the next program")
    after = made(settings, program)
    assert after.layers[0].digest != before.layers[0].digest
    assert after.key != before.key


def test_a_layer_has_its_directories_and_keeps_what_may_run(settings: Settings, program: Path) -> None:
    layer = layers.of_files(settings, "app", {"/usr/bin/app": program})
    with tarfile.open(layer.tar) as tar:
        assert [(entry.name, entry.mode) for entry in tar] == [
            ("usr", 0o755),
            ("usr/bin", 0o755),
            ("usr/bin/app", 0o755),
        ]


def test_a_link_stays_a_link(settings: Settings, tmp_path: Path) -> None:
    link = tmp_path / "unit"
    link.symlink_to("../containerd.service")
    layer = layers.of_files(settings, "unit", {"/wants/unit": link})
    with tarfile.open(layer.tar) as tar:
        assert tar.getmember("wants/unit").linkname == "../containerd.service"


def test_the_configuration_says_how_the_image_starts(settings: Settings, program: Path) -> None:
    image = made(settings, program)
    assert image.config["config"]["Entrypoint"] == ["/app"]
    assert f"PATH={images.PATH}" in image.config["config"]["Env"]
    assert image.config["rootfs"]["diff_ids"] == [f"sha256:{store.digest(image.layers[0].tar)}"]


def test_an_archive_has_a_shared_layer_once(settings: Settings, program: Path) -> None:
    file = io.BytesIO()
    images.write(file, [made(settings, program, "example/a:1"), made(settings, program, "example/b:1")])
    file.seek(0)
    with tarfile.open(fileobj=file) as tar:
        names = tar.getnames()
        content = tar.extractfile("manifest.json")
        assert content is not None
        manifest = json.load(content)
    assert sum(name.endswith("layer.tar") for name in names) == 1
    assert [entry["RepoTags"] for entry in manifest] == [["example/a:1"], ["example/b:1"]]
    assert {entry["Layers"][0] for entry in manifest} <= set(names)


@pytest.mark.parametrize(
    ("label", "pulled"), [(None, True), ("", False), ("0123", True)], ids=["there is none", "a public one", "made here"]
)
def test_a_public_image_is_pulled_unless_docker_has_it_and_one_made_here_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, label: str | None, pulled: bool
) -> None:
    """`down` after the long way leaves its images in Docker, and the node among them has no pod network."""
    commands: list[list[str]] = []
    monkeypatch.setattr(images, "inspect", lambda *_: label)
    monkeypatch.setattr(shell, "run", lambda command, *_, **__: commands.append(command))
    images.pull("example/app:1", Progress(tmp_path))
    assert commands == ([["docker", "pull", "example/app:1"]] if pulled else [])


def refuse(monkeypatch: pytest.MonkeyPatch, message: str) -> None:
    def refused(*_: object, **__: object) -> str:
        raise DevclusterError(message)

    monkeypatch.setattr(images, "inspect", lambda *_: None)
    monkeypatch.setattr(shell, "run", refused)


@pytest.mark.parametrize(
    "said",
    [
        "manifest for example/app:1 not found: manifest unknown: manifest unknown",
        'failed to resolve reference "docker.io/example/app:1": docker.io/example/app:1: not found',
    ],
)
def test_an_image_that_its_registry_does_not_have_is_unpublished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    refuse(monkeypatch, f"`docker pull example/app:1` ended with status 1:\nError response from daemon: {said}")
    assert images.pull_published("example/app:1", Progress(tmp_path)) is False


def test_a_registry_that_does_not_answer_says_nothing_of_what_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(monkeypatch, 'Get "https://registry.example/v2/": dial tcp: lookup registry.example: no such host')
    with pytest.raises(DevclusterError, match="no such host"):
        images.pull_published("example/app:1", Progress(tmp_path))
