"""What `buildctl --progress rawjson` tells, with lines of the shape that BuildKit 0.34.2 prints."""

import base64
import json
from typing import Any

from keelway.api.buildrequest import LintWarning, Material
from keelway.builder.progress import Progress

DIGEST = "sha256:" + "9" * 64


def fed(*lines: str | dict[str, Any]) -> tuple[Progress, list[str]]:
    echoed: list[str] = []
    progress = Progress(echo=echoed.append)
    for line in lines:
        progress.feed(line if isinstance(line, str) else json.dumps(line))
    return progress, echoed


def vertex(digest: str, name: str, **more: Any) -> dict[str, Any]:
    return {"vertexes": [{"digest": digest, "name": name, **more}]}


def log(digest: str, data: bytes) -> dict[str, Any]:
    return {"logs": [{"vertex": digest, "stream": 1, "data": base64.b64encode(data).decode()}]}


def test_the_failed_step_is_known_with_the_end_of_its_log() -> None:
    run = "[2/2] RUN make"
    progress, _ = fed(
        vertex("a", "[1/2] FROM docker.io/library/x:1", started="t", completed="t"),
        vertex("b", run, started="t"),
        log("b", b"line 1\n"),
        log("b", b"line 2\n"),
        vertex("c", "[other] RUN sleep", started="t", completed="t", error="sleep: context canceled"),
        vertex("b", run, started="t", completed="t", error='process "/bin/sh -c make" did not complete'),
    )
    assert progress.failed is not None
    assert (progress.failed.name, progress.failed.log) == (run, b"line 1\nline 2\n")


def test_the_step_begun_last_is_the_one_that_runs() -> None:
    progress, _ = fed(
        vertex("a", "[1/3] A", started="t", completed="t"), vertex("b", "[2/3] B", started="t"), vertex("c", "[3/3] C")
    )
    assert progress.running is not None
    assert progress.running.name == "[2/3] B"
    assert progress.failed is None


def test_materials_are_the_images_read_each_once() -> None:
    progress, _ = fed(
        vertex("a", f"[one 1/2] FROM docker.io/library/base:1@{DIGEST}"),
        vertex("b", f"[two 1/2] FROM docker.io/library/base:1@{DIGEST}"),
        vertex("c", f"docker-image://docker.io/docker/dockerfile:1@{DIGEST}"),
        vertex("d", f"[2/2] RUN echo FROM spoof:1@{DIGEST}"),
        vertex("e", "[internal] load metadata for docker.io/library/base:1"),
    )
    assert progress.materials() == (
        Material(reference="docker.io/library/base:1", digest=DIGEST),
        Material(reference="docker.io/docker/dockerfile:1", digest=DIGEST),
    )


def test_a_material_that_is_given_by_its_digest_has_it_in_its_reference() -> None:
    """So that it is known which of them a tag may change. A pinned base keeps the name that it was asked by."""
    progress, _ = fed(
        vertex("a", "[internal] load metadata for docker.io/library/pinned:1"),
        vertex("b", f"[one 1/2] FROM docker.io/library/pinned:1@{DIGEST}"),
        vertex("c", f"[internal] load metadata for docker.io/library/fixed:1@{DIGEST}"),
        vertex("d", f"[two 1/2] FROM docker.io/library/fixed:1@{DIGEST}"),
        vertex("e", f"[linux/amd64 internal] load metadata for docker.io/library/nude@{DIGEST}"),
        vertex("f", f"[three 1/2] FROM docker.io/library/nude@{DIGEST}"),
        vertex("i", f"resolve image config for docker-image://docker.io/docker/dockerfile:1@{DIGEST}"),
        vertex("j", f"docker-image://docker.io/docker/dockerfile:1@{DIGEST}"),
        vertex("k", "[internal] load metadata for docker.io/library/both:1"),
        vertex("l", f"[internal] load metadata for docker.io/library/both:1@{DIGEST}"),
        vertex("m", f"[four 1/2] FROM docker.io/library/both:1@{DIGEST}"),
        vertex("g", f"[context base] load metadata for reg:5000/team/base@{DIGEST}"),
        vertex("h", f"[context base] reg:5000/team/base@{DIGEST}"),
    )
    assert progress.materials() == tuple(
        Material(reference=reference, digest=DIGEST)
        for reference in (
            "docker.io/library/pinned:1",
            f"docker.io/library/fixed:1@{DIGEST}",
            f"docker.io/library/nude@{DIGEST}",
            f"docker.io/docker/dockerfile:1@{DIGEST}",
            "docker.io/library/both:1",
            f"reg:5000/team/base@{DIGEST}",
        )
    )


def test_buildctls_last_word_and_the_line_it_points_to_are_plain_text() -> None:
    progress, _ = fed(
        "Dockerfile:4",
        "--------------------",
        "   3 |     # error: not this",
        "   4 | >>> RUN false",
        "--------------------",
        "error: failed to solve: it broke",
    )
    assert progress.error == "failed to solve: it broke"
    assert progress.faulty_line == 4


def test_a_log_keeps_only_its_end() -> None:
    progress, _ = fed(*(log("a", b"x" * 1000) for _ in range(100)), log("a", b"end"))
    assert len(progress.steps["a"].log) == 32 * 1024
    assert progress.steps["a"].log.endswith(b"xend")


def test_a_reader_of_the_containers_log_sees_steps_and_output_once() -> None:
    _, echoed = fed(
        vertex("a", "[1/1] RUN x"),
        vertex("a", "[1/1] RUN x", started="t"),
        vertex("a", "[1/1] RUN x", started="t", completed="t"),
        vertex("b", "[auth] sharing credentials for localhost", started="t"),
        log("a", b"\x1b[31mred\x1b[0m\n"),
        "error: broken",
    )
    assert echoed == ["[1/1] RUN x", "red", "error: broken"]


def warning(short: str, **more: Any) -> dict[str, Any]:
    """As a VertexWarning of BuildKit's client is written in JSON."""
    return {"warnings": [{"vertex": "a", "level": 1, "short": base64.b64encode(short.encode()).decode(), **more}]}


def test_warnings_of_the_dockerfile_are_known_by_rule_and_line_each_once() -> None:
    url = "https://docs.docker.com/go/dockerfile/rule/undefined-var/"
    undefined = warning(
        "UndefinedVar: Usage of undefined variable '$X' (line 3)",
        url=url,
        range=[{"start": {"line": 3}, "end": {"line": 3}}],
        sourceInfo={"filename": "Dockerfile", "data": "RlJPTQ=="},
    )
    progress, echoed = fed(undefined, undefined, warning("FromAsCasing: 'as' and 'FROM' keywords' casing do not match"))
    assert progress.warnings == [
        LintWarning(rule="UndefinedVar", message="Usage of undefined variable '$X'", line=3, url=url),
        LintWarning(rule="FromAsCasing", message="'as' and 'FROM' keywords' casing do not match"),
    ]
    assert echoed[0] == "warning: UndefinedVar: Usage of undefined variable '$X' (line 3)"
    assert len(echoed) == 2


def test_a_warning_of_another_form_is_kept_as_it_is() -> None:
    progress, _ = fed(warning("the cache is\nfull: soon"), warning("", range=[{}]), warning("x: (line 4)", range=None))
    assert [(one.rule, one.message, one.line) for one in progress.warnings] == [
        ("Warning", "the cache is full: soon", None),
        ("Warning", "", None),
        ("Warning", "x:", 4),
    ]


def test_what_a_cache_in_the_registry_lacks_is_not_why_a_build_failed() -> None:
    progress, _ = fed(
        vertex("a", "importing cache manifest from reg/app:build-cache", started="t", error="not found"),
        vertex("b", "[2/2] RUN make", started="t", completed="t", error="did not complete"),
        vertex("c", "exporting cache to registry", started="t", error="denied"),
    )
    assert progress.failed is not None
    assert progress.failed.name == "[2/2] RUN make"
    assert fed(vertex("a", "importing cache manifest from x", error="not found"))[0].failed is None
