"""buildctl's command line; that BuildKit understands it is what every end-to-end build shows."""

import json
from itertools import pairwise
from pathlib import Path

import pytest

from keelway.api.buildrequest import Material
from keelway.builder.buildkit import Paths, Solve, arguments, image_digest, prepare
from tests.unit.builder.requests import FILES, request_for


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    for name in ("request", "scratch"):
        (tmp_path / name).mkdir()
    return Paths(tmp_path / "request", tmp_path / "context", tmp_path / "scratch")


def options_of(command: list[str], flag: str) -> list[str]:
    return [value for name, value in pairwise(command) if name == flag]


def test_the_daemon_is_spoken_to_by_mutual_tls_under_its_name(paths: Paths) -> None:
    command = arguments(Solve(paths.context, (), "type=image"), request_for(FILES), paths)
    assert options_of(command, "--addr") == ["tcp://127.0.0.1:1"]
    assert options_of(command, "--tlsservername") == ["buildkitd"]
    assert options_of(command, "--tlscacert") == [str(paths.request / "tls-ca.crt")]
    assert options_of(command, "--tlscert") == [str(paths.request / "tls.crt")]
    assert options_of(command, "--tlskey") == [str(paths.request / "tls.key")]


def test_a_solve_becomes_flags(paths: Paths) -> None:
    solve = Solve(paths.context, ["a=1", "b=x,y"], "type=image", ["id=npm,src=x"], ["type=registry,ref=r"], ["ref=r"])
    command = arguments(solve, request_for(FILES), paths)
    assert options_of(command, "--source-policy-file") == [str(paths.policy)]
    assert options_of(command, "--opt") == ["a=1", "b=x,y"]
    assert options_of(command, "--output") == ["type=image"]
    assert options_of(command, "--secret") == ["id=npm,src=x"]
    assert options_of(command, "--export-cache") == ["type=registry,ref=r"]
    assert options_of(command, "--import-cache") == ["ref=r"]


def test_base_images_are_pinned_by_the_source_policy(paths: Paths) -> None:
    pinned = Material(reference="docker.io/library/python:3", digest="sha256:" + "a" * 64)
    prepare(request_for(FILES, bases=(pinned,)), paths)
    last = json.loads(paths.policy.read_text())["rules"][-1]
    assert last["action"] == "CONVERT"
    assert last["updates"] == {"identifier": f"docker-image://{pinned.reference}@{pinned.digest}"}


def test_of_the_docker_configuration_only_logins_are_passed_on(paths: Paths) -> None:
    given = {"auths": {"reg": {"auth": "eDp5"}}, "credsStore": "evil", "credHelpers": {"reg": "evil"}}
    (paths.request / "config.json").write_text(json.dumps(given))
    prepare(request_for(FILES), paths)
    assert json.loads((paths.docker_config / "config.json").read_text()) == {"auths": given["auths"]}


def test_the_digest_comes_out_of_the_metadata_file(paths: Paths) -> None:
    assert image_digest(paths) is None
    paths.metadata.write_text(json.dumps({"containerimage.digest": "sha256:abc", "image.name": "x"}))
    assert image_digest(paths) == "sha256:abc"
