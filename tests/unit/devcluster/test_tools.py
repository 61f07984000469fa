"""Small decisions on the way: Go's version, an error and its log, what `status` prints."""

from pathlib import Path

import pytest

from devcluster import catalogue, golang, shell, tools
from devcluster.catalogue import GoPrograms
from devcluster.errors import DevclusterError
from devcluster.progress import Progress
from devcluster.settings import Settings
from devcluster.status import Finding, table


@pytest.mark.parametrize(
    ("said", "version"),
    [("go version go1.26.8 linux/amd64", (1, 26)), ("go version go1.19 linux/amd64", (1, 19)), ("", (0, 0))],
)
def test_the_version_of_go_is_read(said: str, version: tuple[int, int]) -> None:
    assert golang.parse_version(said) == version


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(cache=tmp_path / "cache", state=tmp_path / "state")


def program(directory: Path, name: str, says: str = "") -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / name
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


def test_where_images_are_pulled_the_tools_in_path_are_taken_again_and_again(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the first time our own links come first in PATH: they must not become links to themselves."""
    theirs = tmp_path / "usr"
    listed = catalogue.load()
    kind = program(theirs, "kind", f"kind {listed.go['kind'].packages[0].rpartition('@')[2]} go1.26.6 linux/amd64")
    kubectl = program(theirs, "kubectl")
    monkeypatch.setenv("PATH", f"{settings.bin}:{theirs}:/usr/bin:/bin")
    for _ in range(2):
        tools.ensure(settings, Progress(settings.logs), listed, built=False)
        assert (settings.bin / "kind").readlink() == kind
        assert (settings.bin / "kubectl").readlink() == kubectl


@pytest.mark.parametrize(
    ("says", "taken"),
    [("kind v0.33.0 go1.26.6", True), ("kind v1.0.0 go1.30.0", True), ("kind v0.31.0 go1.25.5", False), ("", False)],
)
def test_a_kind_in_path_is_taken_unless_it_is_older_than_the_one_of_the_list(
    tmp_path: Path, says: str, taken: bool
) -> None:
    """An older one writes configurations that the Kubernetes of the list does not read."""
    assert tools.new_enough(program(tmp_path, "kind", says), "sigs.k8s.io/kind@v0.33.0") is taken


def test_the_linker_sets_the_version() -> None:
    wanted = GoPrograms("app", variables={"example.com/app.Version": "v1"})
    assert golang.linker_flags(wanted) == "-s -w -X example.com/app.Version=v1"


def test_a_failed_command_says_what_failed_and_where_its_log_is(tmp_path: Path) -> None:
    progress = Progress(tmp_path)
    with pytest.raises(DevclusterError) as caught, progress.step("try it") as step:
        shell.run(["sh", "-c", "echo no such disk >&2; exit 3"], step.log)
    assert "try it: `sh -c" in caught.value.message
    assert "ended with status 3:\nno such disk" in caught.value.message
    assert caught.value.log is not None
    assert "no such disk" in caught.value.log.read_text()


def test_a_program_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(DevclusterError, match="no-such-program was not found"):
        shell.run(["no-such-program"], tmp_path / "log")


def test_a_command_that_hangs_is_ended(tmp_path: Path) -> None:
    with pytest.raises(DevclusterError, match="no answer within 0 s"):
        shell.run(["sleep", "60"], tmp_path / "log", timeout=0.2)


@pytest.mark.parametrize("commands", [("exit 4", "cat"), ("echo x", "cat >/dev/null; exit 4")])
def test_a_pipe_fails_when_either_end_does(tmp_path: Path, commands: tuple[str, str]) -> None:
    producer, consumer = (["sh", "-c", command] for command in commands)
    with pytest.raises(DevclusterError, match="status 4"):
        shell.pipe(producer, consumer, tmp_path / "log")


def test_status_gives_a_remedy_for_what_is_missing_only() -> None:
    found = [Finding("Docker", True, "start it"), Finding("cluster", False, "run up")]
    assert table(found) == "yes  Docker\nno   cluster  -> run up"
