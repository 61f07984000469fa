"""`python -m keelway.builder`, run as the Job's containers run it: files in, a termination message out."""

import asyncio
import hashlib
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import web

from keelway.api.buildrequest import (
    BuildReport,
    BuildRequest,
    Caps,
    GitRequest,
    HttpRequest,
    RequestFile,
    SourceRequest,
    Step,
    decode_report,
)
from keelway.builder import sourcetime
from tests.unit.builder.archives import Entry, tar_gz
from tests.unit.builder.requests import request_for
from tests.unit.gitserver import Repository, backend, only_pack, pack_of_zeros
from tests.unit.web import Handler, serve

OPERATOR = Path(__file__).resolve().parents[3] / "operator"


@dataclass(frozen=True)
class Job:
    """The directories of one Job, and its containers as processes."""

    directory: Path

    @property
    def context(self) -> Path:
        return self.directory / "workspace/context"

    async def start(
        self, container: str, request: BuildRequest | None, secrets: Mapping[str, str] | None = None
    ) -> asyncio.subprocess.Process:
        secret = self.directory / "request"
        secret.mkdir(exist_ok=True)
        for name, value in (secrets or {}).items():
            (secret / name).write_text(value)
        if request is not None:
            (secret / "request.json").write_bytes(request.encode())
        environment = os.environ | {
            "PYTHONPATH": str(OPERATOR),
            "KEELWAY_REQUEST_DIR": str(secret),
            "KEELWAY_WORKSPACE_DIR": str(self.directory / "workspace"),
            "KEELWAY_TERMINATION_LOG": str(self.directory / "termination-log"),
        }
        command = (sys.executable, "-m", "keelway.builder", container)
        return await asyncio.create_subprocess_exec(*command, env=environment, stdout=-1, stderr=-2)

    async def run(
        self, container: str, request: BuildRequest | None, secrets: Mapping[str, str] | None = None
    ) -> BuildReport:
        process = await self.start(container, request, secrets)
        await process.communicate()
        report = self.report()
        assert (process.returncode == 0) is report.ok
        return report

    def report(self) -> BuildReport:
        written = (self.directory / "termination-log").read_bytes()
        assert len(written) <= 4096
        report = decode_report(written.decode())
        assert report is not None
        return report


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path)


def serving(content: bytes) -> Handler:
    async def handle(_: web.Request) -> web.Response:
        return web.Response(body=content)

    return handle


def archive_at(url: str, content: bytes, sub_path: str | None = None) -> SourceRequest:
    digest = hashlib.sha256(content).hexdigest()
    return SourceRequest(http=HttpRequest(url=url, sha256=digest, sub_path=sub_path))


async def test_inline_files_become_the_context(job: Job) -> None:
    files = (
        RequestFile(name="Dockerfile", content="FROM scratch\n"),
        RequestFile(name="app/ü.txt", content="é"),
        RequestFile(name="logo.png", content="AP8=", binary=True),
    )
    report = await job.run("fetch", request_for(SourceRequest(files=files)))
    assert report == BuildReport(ok=True, step=Step.FETCH, reason="Fetched")
    assert (job.context / "Dockerfile").read_text() == "FROM scratch\n"
    assert (job.context / "app/ü.txt").read_text() == "é"
    assert (job.context / "logo.png").read_bytes() == b"\x00\xff"
    assert sorted(path.name for path in job.context.parent.iterdir()) == ["context", "source-time"]
    assert sourcetime.find(job.context) == sourcetime.FIXED


async def test_inline_files_are_laid_out_by_the_build_itself(job: Job) -> None:
    files = (RequestFile(name="Dockerfile", content="FROM scratch\n"),)
    report = await job.run("build", request_for(SourceRequest(files=files)))
    assert (job.context / "Dockerfile").read_text() == "FROM scratch\n"
    assert report.step is Step.BUILD  # as far as it gets without a buildkitd


async def test_inline_files_that_cannot_be_laid_out_are_the_sources_fault(job: Job) -> None:
    files = (RequestFile(name="../Dockerfile", content="FROM scratch\n"),)
    report = await job.run("build", request_for(SourceRequest(files=files)))
    assert (report.step, report.reason, report.retryable) == (Step.FETCH, "SourceUnsafe", False)


async def test_an_archives_sub_path_becomes_the_context(job: Job) -> None:
    content = tar_gz(Entry("app-1.0/src/Dockerfile", b"FROM scratch\n"), Entry("app-1.0/README", b"x"))
    async with serve(serving(content)) as url:
        report = await job.run("fetch", request_for(archive_at(url, content, "app-1.0/src")))
    assert report.ok
    assert [path.name for path in job.context.iterdir()] == ["Dockerfile"]


async def test_a_private_git_commit_becomes_the_context(job: Job, tmp_path: Path) -> None:
    (tmp_path / "served").mkdir()
    repository = Repository.create(tmp_path / "served")
    commit = repository.commit({"Dockerfile": "FROM scratch\n"})
    inner = backend(tmp_path / "served")

    async def private(request: web.Request) -> web.StreamResponse:
        # base64 of "x-access-token:t0ken"
        if request.headers.get("authorization") != "Basic eC1hY2Nlc3MtdG9rZW46dDBrZW4=":
            return web.Response(status=401)
        return await inner(request)

    async with serve(private) as url:
        asked = request_for(SourceRequest(git=GitRequest(url=f"{url}/app.git", commit=commit, revision="main")))
        refused = await job.run("fetch", asked)
        fetched = await job.run("fetch", asked, {"source-token": "t0ken\n"})
    assert (refused.reason, refused.retryable) == ("Unauthorized", True)
    assert fetched.ok
    assert (job.context / "Dockerfile").read_text() == "FROM scratch\n"


async def test_a_wrong_checksum_is_reported_before_anything_is_unpacked(job: Job) -> None:
    content = tar_gz(Entry("a", b"x"))
    async with serve(serving(content + b"changed")) as url:
        report = await job.run("fetch", request_for(archive_at(url, content)))
    assert (report.step, report.reason, report.retryable) == (Step.FETCH, "ChecksumMismatch", False)
    assert hashlib.sha256(content).hexdigest() in report.message
    assert not job.context.exists()


@pytest.mark.parametrize(
    ("entry", "reason"),
    [(Entry("../evil", b"x"), "SourceUnsafe"), (Entry("zeros", b"\0" * 5_000_000), "SourceTooLarge")],
)
async def test_a_hostile_archive_is_reported_and_nothing_is_left(job: Job, entry: Entry, reason: str) -> None:
    content = tar_gz(entry)
    async with serve(serving(content)) as url:
        asked = request_for(archive_at(url, content), caps=Caps(unpacked_bytes=1_000_000))
        report = await job.run("fetch", asked)
    assert (report.ok, report.reason, report.retryable) == (False, reason, False)
    assert list(job.context.parent.iterdir()) == []


async def test_a_git_object_that_would_fill_the_memory_is_reported(job: Job) -> None:
    """500 MiB of zeros are 2 MiB on the wire, and git objects are held in memory."""
    pack = pack_of_zeros(500 * 2**20)
    assert len(pack) < 3 * 2**20
    async with serve(only_pack(pack)) as url:
        source = SourceRequest(git=GitRequest(url=url, commit="a" * 40))
        report = await job.run("fetch", request_for(source))
    assert (report.ok, report.reason, report.retryable) == (False, "SourceTooLarge", False)


async def test_a_download_over_its_cap_is_reported(job: Job) -> None:
    content = os.urandom(100_000)
    async with serve(serving(content)) as url:
        report = await job.run("fetch", request_for(archive_at(url, content), caps=Caps(download_bytes=50_000)))
    assert (report.reason, report.retryable) == ("SourceTooLarge", False)


async def test_an_address_that_is_not_allowed_is_reported(job: Job) -> None:
    async with serve(serving(b"x")) as url:
        by_name, by_address = [
            await job.run("fetch", request_for(archive_at(at, b"x"), allowed_networks=()))
            for at in (url, url.replace("localhost", "127.0.0.1"))
        ]
    # Where a name leads may change without the spec.
    assert (by_name.reason, by_name.retryable) == ("AddressRefused", True)
    assert (by_address.reason, by_address.retryable) == ("AddressRefused", False)


async def hanging(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"x")
    await asyncio.Event().wait()
    return response


async def test_a_server_that_hangs_is_left_at_the_deadline(job: Job) -> None:
    async with serve(hanging) as url:
        report = await job.run("fetch", request_for(archive_at(url, b"x"), caps=Caps(fetch_seconds=1)))
    assert (report.reason, report.retryable) == ("FetchTimedOut", True)


async def test_sigterm_leaves_a_report_that_asks_for_another_try(job: Job) -> None:
    arrived = asyncio.Event()

    async def handle(request: web.Request) -> web.StreamResponse:
        arrived.set()
        return await hanging(request)

    async with serve(handle) as url:
        process = await job.start("fetch", request_for(archive_at(url, b"x")))
        await asyncio.wait_for(arrived.wait(), 30)
        process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.communicate(), 30)
    report = job.report()
    assert (report.ok, report.reason, report.retryable) == (False, "Interrupted", True)
    assert process.returncode == 1


async def test_a_missing_or_broken_request_leaves_a_report_too(job: Job) -> None:
    missing = await job.run("fetch", None)
    assert (missing.reason, missing.retryable) == ("BuilderFailed", True)
    broken = await job.run("build", None, {"request.json": '{"source": {}}', "secret-x": "hush-hush"})
    assert (broken.step, broken.reason) == (Step.BUILD, "BuilderFailed")


async def test_an_unknown_container_is_a_usage_error(job: Job) -> None:
    process = await job.start("brew", None)
    output, _ = await process.communicate()
    assert process.returncode == 1
    assert b"fetch|build" in output
