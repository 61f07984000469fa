"""From a request to BuildKit's options; that BuildKit understands them is what every end-to-end build shows."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from keelway.api.buildrequest import BuildArg, CacheRequest, Identity, Limits, NamedImage
from keelway.api.options import CacheMode, Compression, CompressionType, Network, Output, Provenance, TimestampMode
from keelway.builder.buildkit import Paths, Solve
from keelway.builder.imagesolve import Moment, image_build
from tests.unit.builder.requests import FILES, request_for

PATHS = Paths(Path("/request"), Path("/workspace/context"), Path("/scratch"))
NOW = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)
COMMITTED = 1700000000
IDENTITY = Identity(revision="1" * 40, version="v7", source="https://git.example/app.git")
OUTPUT = "type=image,name=localhost:1/team/app:build-1,push=true,oci-mediatypes=true"
CACHE = CacheRequest(reference="localhost:1/team/app:build-cache", mode=CacheMode.MAX)
BY_SOURCE = Output(timestamp=TimestampMode.SOURCE)


def solve(asked_for: bool = False, **asked: Any) -> Solve:
    """`asked_for`: the Dockerfile speaks of SOURCE_DATE_EPOCH."""
    request = request_for(FILES, **asked)
    return image_build(request, PATHS, Moment.of(request, COMMITTED, asked_for, NOW))


def labels(**asked: Any) -> dict[str, str]:
    """Without the prefix that all of them share."""
    options = [option for option in solve(**asked).options if option.startswith("label:")]
    pairs = (option.removeprefix("label:org.opencontainers.image.").partition("=")[::2] for option in options)
    return dict(pairs)


def test_every_build_has_its_namespaces_cache_mounts() -> None:
    assert "build-arg:BUILDKIT_CACHE_MOUNT_NS=uid-1" in solve().options


def test_what_was_asked_for_becomes_options_of_the_frontend() -> None:
    made = solve(
        dockerfile="docker/Dockerfile",
        target="prod",
        args=(BuildArg(name="A", value="x,memory=1"), BuildArg(name="EMPTY", value="")),
        secret_ids=("npm",),
        limits=Limits(memory_bytes=2**30, cpu_millis=1500),
        network=Network.NONE,
        no_cache=True,
    )
    assert list(made.options) == [
        "filename=docker/Dockerfile",
        "build-arg:BUILDKIT_CACHE_MOUNT_NS=uid-1",
        "target=prod",
        "build-arg:A=x,memory=1",
        "build-arg:EMPTY=",
        "no-cache=",
        "force-network-mode=none",
        f"memory={2**30}",
        f"memswap={2**30}",
        "cpuperiod=100000",
        "cpuquota=150000",
    ]
    assert made.secrets == ["id=npm,src=/request/secret-npm"]


def test_an_image_that_the_dockerfile_uses_by_name_is_a_named_context_at_its_digest() -> None:
    at = "localhost:1/team/base@sha256:" + "a" * 64
    assert f"context:base=docker-image://{at}" in solve(images=(NamedImage(name="base", reference=at),)).options


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


@pytest.mark.parametrize(("insecure", "suffix"), [((), ""), (("localhost:1",), ",registry.insecure=true")])
def test_the_image_is_pushed_by_its_technical_tag(insecure: tuple[str, ...], suffix: str) -> None:
    assert solve(insecure_registries=insecure).output == OUTPUT + suffix


@pytest.mark.parametrize(
    ("compression", "attributes"),
    [
        (Compression(type=CompressionType.GZIP), "compression=gzip"),
        (Compression(type=CompressionType.ZSTD, level=19), "compression=zstd,compression-level=19"),
        (Compression(type=CompressionType.GZIP, level=0), "compression=gzip,compression-level=0"),
    ],
)
def test_a_compression_asked_for_is_that_of_all_layers_and_of_the_cache(
    compression: Compression, attributes: str
) -> None:
    made = solve(output=Output(compression=compression), cache=CACHE)
    assert made.output == f"{OUTPUT},{attributes},force-compression=true"
    assert made.exports[0].endswith(f",{attributes},force-compression=true")


def test_the_cache_is_pushed_beside_the_image_and_never_fails_a_build() -> None:
    made = solve(cache=CACHE, insecure_registries=("localhost:1",))
    ref = "type=registry,ref=localhost:1/team/app:build-cache"
    options = "oci-mediatypes=true,image-manifest=true,ignore-error=true,registry.insecure=true"
    assert made.exports == (f"{ref},mode=max,{options}",)
    assert made.imports == (f"{ref},registry.insecure=true",)


def test_a_cache_that_is_not_to_be_read_is_written_all_the_same() -> None:
    made = solve(cache=CACHE.model_copy(update={"read": False}))
    assert made.exports
    assert not made.imports


@pytest.mark.parametrize("cache", [None, CACHE.model_copy(update={"mode": CacheMode.NONE})])
def test_without_a_cache_the_registry_is_not_asked_for_one(cache: CacheRequest | None) -> None:
    made = solve(cache=cache)
    assert not made.exports
    assert not made.imports


@pytest.mark.parametrize(
    ("asked", "options"),
    [
        ({}, []),
        ({"provenance": Provenance.MIN}, ["attest:provenance=mode=min"]),
        ({"provenance": Provenance.MAX}, ["attest:provenance=mode=max"]),
        ({"sbom_scanner": "docker.io/x/scan:1"}, ["attest:sbom=generator=docker.io/x/scan:1"]),
    ],
)
def test_attestations_are_options_of_the_frontend(asked: dict[str, Any], options: list[str]) -> None:
    assert [option for option in solve(**asked).options if option.startswith("attest:")] == options


def test_an_image_says_what_it_is_of_and_when_it_was_made() -> None:
    assert labels(identity=IDENTITY) == {
        "source": "https://git.example/app.git",
        "revision": "1" * 40,
        "created": "2026-01-02T12:00:00Z",
        "version": "v7",
    }
    assert "source" not in labels(identity=IDENTITY.model_copy(update={"source": None}))
    assert labels() == {}


def test_by_the_sources_time_nothing_tells_two_builds_of_the_same_inputs_apart() -> None:
    first, second = (
        solve(output=BY_SOURCE, identity=IDENTITY.model_copy(update={"version": version})) for version in ("v1", "v2")
    )
    assert first == second
    assert first.output == f"{OUTPUT},source-date-epoch={COMMITTED},rewrite-timestamp=true"
    assert labels(output=BY_SOURCE, identity=IDENTITY)["created"] == "2023-11-14T22:13:20Z"


def test_by_the_sources_time_the_version_is_said_by_the_index_around_the_image() -> None:
    made = solve(output=BY_SOURCE, identity=IDENTITY, provenance=Provenance.MIN)
    assert made.output.endswith(",annotation-index.org.opencontainers.image.version=v7")
    assert not any("image.version" in option for option in made.options)


@pytest.mark.parametrize(("output", "told"), [(Output(), False), (BY_SOURCE, True)])
def test_a_dockerfile_gets_the_sources_time_only_where_it_speaks_of_it(output: Output, told: bool) -> None:
    """A WORKDIR is given it too, and what follows would be built anew for every commit."""
    argument = f"build-arg:SOURCE_DATE_EPOCH={COMMITTED}"
    assert argument not in solve(output=output).options
    assert (argument in solve(asked_for=True, output=output).options) is told


@pytest.mark.parametrize("output", [Output(), BY_SOURCE])
def test_the_users_own_epoch_comes_before_everything(output: Output) -> None:
    asked = {"output": output, "args": (BuildArg(name="SOURCE_DATE_EPOCH", value="86400"),), "identity": IDENTITY}
    epochs = [option for option in solve(asked_for=True, **asked).options if "SOURCE_DATE_EPOCH" in option]
    assert epochs == ["build-arg:SOURCE_DATE_EPOCH=86400"]
    assert labels(**asked)["created"] == "1970-01-02T00:00:00Z"


def test_an_epoch_that_is_none_is_left_for_buildkit_to_refuse() -> None:
    asked = {"output": BY_SOURCE, "args": (BuildArg(name="SOURCE_DATE_EPOCH", value="noon"),)}
    epochs = [option for option in solve(asked_for=True, **asked).options if "SOURCE_DATE_EPOCH" in option]
    assert epochs == ["build-arg:SOURCE_DATE_EPOCH=noon"]
