"""The contract between operator and build Job: bounded, and without secrets."""

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from keelway.api.buildrequest import (
    BuildArg,
    BuildReport,
    GitRequest,
    LintWarning,
    Material,
    RequestFile,
    SourceRequest,
    Step,
    decode_report,
)
from keelway.builder import report
from keelway.builder.diagnosis import Diagnosis
from keelway.builder.logtext import Redactor
from keelway.builder.progress import Vertex
from keelway.errors import Terminal, Transient, Waiting
from tests.unit.builder.requests import FILES, request_for

MATERIALS = tuple(Material(reference=f"docker.io/library/base{n}:1", digest="sha256:" + "a" * 64) for n in range(60))


@pytest.mark.parametrize("message", ["", "x" * 100_000, 'é\n"\\' * 20_000, "\U0001f600" * 30_000], ids=len)
@pytest.mark.parametrize("materials", [(), MATERIALS], ids=["no materials", "60 materials"])
def test_a_report_always_fits_a_termination_message(message: str, materials: tuple[Material, ...]) -> None:
    made = BuildReport(ok=False, step=Step.BUILD, reason="BuildFailed", message=message, materials=materials)
    assert len(made.encode()) <= 4096
    read = decode_report(made.encode().decode())
    assert read is not None
    assert read.reason == "BuildFailed"


def test_a_report_fits_whatever_the_image_calls_its_user() -> None:
    made = BuildReport(ok=True, step=Step.INSPECT, reason="Built", digest="sha256:" + "a" * 64, user="x" * 100_000)
    read = decode_report(made.encode().decode())
    assert read is not None
    assert read.digest == made.digest
    assert read.user, "still a user, and not root"


def test_a_long_message_keeps_its_cause_and_its_last_lines() -> None:
    message = "The cause. The remedy.\n" + "noise\n" * 5000 + "the last line"
    read = decode_report(BuildReport(ok=False, step=Step.BUILD, reason="X", message=message).encode().decode())
    assert read is not None
    assert read.message.startswith("The cause. The remedy.")
    assert read.message.endswith("the last line")


@pytest.mark.parametrize("text", ["", "OOMKilled", "{}", "[]", '{"ok": tru'])
def test_what_is_no_report_is_none(text: str) -> None:
    assert decode_report(text) is None


def test_a_request_survives_its_file() -> None:
    asked = request_for(FILES, args=(BuildArg(name="A", value="x,y=z"),), secret_ids=("npm",))
    assert type(asked).model_validate_json(asked.encode()) == asked
    assert "pushReference" in json.loads(asked.encode())


def test_a_request_that_no_secret_could_hold_is_refused() -> None:
    files = (RequestFile(name="big", content="x" * 1_000_000),)
    with pytest.raises(Waiting, match="SourceTooLarge"):
        request_for(SourceRequest(files=files)).encode()


def test_arguments_that_steer_the_daemon_are_refused() -> None:
    for name in ("BUILDKIT_CACHE_MOUNT_NS", "BUILDKIT_SYNTAX", "A=B", "", "a b"):
        with pytest.raises(ValidationError):
            BuildArg(name=name, value="x")


def test_a_source_is_exactly_one() -> None:
    git = GitRequest(url="https://example.org/x", commit="a" * 40)
    with pytest.raises(ValidationError):
        SourceRequest()
    with pytest.raises(ValidationError):
        SourceRequest(git=git, files=())


@pytest.mark.parametrize(
    ("error", "retryable"), [(Terminal("A", "m"), False), (Waiting("A", "m"), True), (Transient("A", "m"), True)]
)
def test_only_what_is_not_the_specs_fault_is_tried_again(
    error: Terminal | Waiting | Transient, retryable: bool
) -> None:
    made = report.of_error(error, Step.FETCH, Redactor())
    assert (made.ok, made.reason, made.retryable) == (False, "A", retryable)


def test_a_servers_words_are_shown_without_what_it_was_sent() -> None:
    said = Waiting("GitRefused", "The git server said: no entry with hush-hush.")
    made = report.of_error(said, Step.FETCH, Redactor.of(["hush-hush"]))
    assert made.message == "The git server said: no entry with ***."


def test_a_failed_step_is_shown_with_its_last_lines_clean_and_without_secrets() -> None:
    vertex = Vertex(name="RUN x", log=b"\x1b[1mtoken is hush-hush\x1b[0m\nbye\n")
    made = report.of_diagnosis(
        Diagnosis(Step.BUILD, "BuildFailed", "hush-hush failed."), vertex, Redactor.of(["hush-hush"])
    )
    assert made.message == "*** failed.\ntoken is ***\nbye"


def test_every_secret_of_the_requests_directory_is_redacted(tmp_path: Path) -> None:
    auths = {"reg.example.org": {"username": "user", "password": "registry-pw"}}
    (tmp_path / "secret-npm").write_text("npm-token\n")
    (tmp_path / "source-token").write_text("git-token\n")
    (tmp_path / "config.json").write_text(json.dumps({"auths": auths}))
    redact = report.redactor(tmp_path)
    # The last two are what the Authorization headers carry.
    said = "npm-token git-token registry-pw dXNlcjpyZWdpc3RyeS1wdw== eC1hY2Nlc3MtdG9rZW46Z2l0LXRva2Vu"
    assert redact(said) == "*** *** *** *** ***"


WARNINGS = tuple(
    LintWarning(rule="UndefinedVar", message="x" * 300, line=n, url="https://docs.example/" + "y" * n)
    for n in range(300)
)


def test_a_report_tells_of_the_first_warnings_and_of_how_many_there_were() -> None:
    made = report.with_warnings(BuildReport(ok=True, step=Step.INSPECT, reason="Built"), WARNINGS, Redactor())
    read = decode_report(made.encode().decode())
    assert read is not None
    assert read.warning_count == 300
    assert [one.line for one in read.warnings] == list(range(10))
    assert all(len(one.message) == 163 for one in read.warnings)


def test_a_warnings_url_is_whole_or_not_there() -> None:
    made = report.with_warnings(BuildReport(ok=True, step=Step.INSPECT, reason="Built"), WARNINGS[250:], Redactor())
    assert {one.url for one in made.warnings} == {None}


def test_warnings_are_as_silent_about_secrets_as_everything_else() -> None:
    told = LintWarning(rule="SecretsUsedInArgOrEnv", message="ENV hunter22")
    made = report.with_warnings(BuildReport(ok=True, step=Step.INSPECT, reason="B"), [told], Redactor.of(["hunter22"]))
    assert "hunter22" not in made.encode().decode()


def test_materials_and_the_cause_go_before_warnings() -> None:
    made = BuildReport(ok=True, step=Step.INSPECT, reason="Built", materials=MATERIALS[:20])
    read = decode_report(report.with_warnings(made, WARNINGS, Redactor()).encode().decode())
    assert read is not None
    assert read.materials == MATERIALS[:20]
    assert 0 < len(read.warnings) < 10
    failed = BuildReport(ok=False, step=Step.BUILD, reason="BuildFailed", message="m" * 3500)
    read = decode_report(report.with_warnings(failed, WARNINGS, Redactor()).encode().decode())
    assert read is not None
    assert read.message == failed.message
