"""buildctl's command line; that BuildKit understands it is what every end-to-end build shows."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
from pydantic import ValidationError

from keelway.api.buildrequest import BuildArg, Limits, Material, NamedImage
from keelway.builder.buildkit import Paths, arguments, image_build, image_digest, prepare
from tests.unit.builder.requests import FILES, request_for


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    for name in ("request", "scratch"):
        (tmp_path / name).mkdir()
    return Paths(tmp_path / "request", tmp_path / "context", tmp_path / "scratch")


def options_of(command: list[str], flag: str) -> list[str]:
    return [value for name, value in pairwise(command) if name == flag]


def test_the_daemon_is_spoken_to_by_mutual_tls_under_its_name(paths: Paths) -> None:
    command = arguments(image_build(request_for(FILES), paths), request_for(FILES), paths)
    assert options_of(command, "--addr") == ["tcp://127.0.0.1:1"]
    assert options_of(command, "--tlsservername") == ["buildkitd"]
    assert options_of(command, "--tlscacert") == [str(paths.request / "tls-ca.crt")]
    assert options_of(command, "--tlscert") == [str(paths.request / "tls.crt")]
    assert options_of(command, "--tlskey") == [str(paths.request / "tls.key")]


def test_every_build_has_its_source_policy_and_its_namespaces_cache(paths: Paths) -> None:
    command = arguments(image_build(request_for(FILES), paths), request_for(FILES), paths)
    assert options_of(command, "--source-policy-file") == [str(paths.policy)]
    assert "build-arg:BUILDKIT_CACHE_MOUNT_NS=uid-1" in options_of(command, "--opt")


def test_what_was_asked_for_becomes_options_of_the_frontend(paths: Paths) -> None:
    asked = request_for(
        FILES,
        dockerfile="docker/Dockerfile",
        target="prod",
        args=(BuildArg(name="A", value="x,memory=1"), BuildArg(name="EMPTY", value="")),
        secret_ids=("npm",),
        limits=Limits(memory_bytes=2**30, cpu_millis=1500),
    )
    command = arguments(image_build(asked, paths), asked, paths)
    assert options_of(command, "--opt") == [
        "filename=docker/Dockerfile",
        "build-arg:BUILDKIT_CACHE_MOUNT_NS=uid-1",
        "target=prod",
        "build-arg:A=x,memory=1",
        "build-arg:EMPTY=",
        f"memory={2**30}",
        f"memswap={2**30}",
        "cpuperiod=100000",
        "cpuquota=150000",
    ]
    assert options_of(command, "--secret") == [f"id=npm,src={paths.request}/secret-npm"]


def test_an_image_that_the_dockerfile_uses_by_name_is_a_named_context_at_its_digest(paths: Paths) -> None:
    at = "localhost:1/team/base@sha256:" + "a" * 64
    asked = request_for(FILES, images=(NamedImage(name="base", reference=at),))
    assert f"context:base=docker-image://{at}" in options_of(
        arguments(image_build(asked, paths), asked, paths), "--opt"
    )


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("base", "localhost:1/team/base:v1"),
        ("base", "localhost:1/team/base@sha256:short"),
        ("base", "a b@sha256:" + "a" * 64),
        ("base=local:x", "localhost:1/team/base@sha256:" + "a" * 64),
    ],
)
def test_nothing_else_becomes_a_named_context(name: str, reference: str) -> None:
    with pytest.raises(ValidationError):
        NamedImage(name=name, reference=reference)


def test_base_images_are_pinned_by_the_source_policy(paths: Paths) -> None:
    pinned = Material(reference="docker.io/library/python:3", digest="sha256:" + "a" * 64)
    prepare(request_for(FILES, bases=(pinned,)), paths)
    last = json.loads(paths.policy.read_text())["rules"][-1]
    assert last["action"] == "CONVERT"
    assert last["updates"] == {"identifier": f"docker-image://{pinned.reference}@{pinned.digest}"}


@pytest.mark.parametrize(("insecure", "suffix"), [((), ""), (("localhost:1",), ",registry.insecure=true")])
def test_the_image_is_pushed_by_its_technical_tag(paths: Paths, insecure: tuple[str, ...], suffix: str) -> None:
    asked = request_for(FILES, insecure_registries=insecure)
    command = arguments(image_build(asked, paths), asked, paths)
    output = f"type=image,name=localhost:1/team/app:build-1,push=true,oci-mediatypes=true{suffix}"
    assert options_of(command, "--output") == [output]


def test_of_the_docker_configuration_only_logins_are_passed_on(paths: Paths) -> None:
    given = {"auths": {"reg": {"auth": "eDp5"}}, "credsStore": "evil", "credHelpers": {"reg": "evil"}}
    (paths.request / "config.json").write_text(json.dumps(given))
    prepare(request_for(FILES), paths)
    assert json.loads((paths.docker_config / "config.json").read_text()) == {"auths": given["auths"]}


def test_the_digest_comes_out_of_the_metadata_file(paths: Paths) -> None:
    assert image_digest(paths) is None
    paths.metadata.write_text(json.dumps({"containerimage.digest": "sha256:abc", "image.name": "x"}))
    assert image_digest(paths) == "sha256:abc"
