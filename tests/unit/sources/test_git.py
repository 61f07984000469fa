"""Revisions of real repositories, served by `git http-backend`."""

import asyncio
from collections.abc import AsyncIterator
from ipaddress import ip_network
from pathlib import Path

import pytest
from aiohttp import web

from keelway.errors import Forbidden, NotFound, Transient, Waiting
from keelway.sources import git
from keelway.sources.credentials import Credentials
from keelway.sources.git import Ref, resolve
from keelway.sources.guard import Guard, GuardedHttp
from keelway.sources.pktline import Mark, Packet, decode, encode
from tests.unit.gitserver import Repository, backend
from tests.unit.web import serve

VERSIONS = pytest.mark.parametrize("version_2", [True, False], ids=["protocol-2", "protocol-0"])


@pytest.fixture
async def http() -> AsyncIterator[GuardedHttp]:
    async with GuardedHttp(Guard(allowed=(ip_network("127.0.0.0/8"), ip_network("::1/128")))) as client:
        yield client


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository.create(tmp_path)
    made.commit({"a": "1"})
    return made


@VERSIONS
async def test_branches_tags_and_head_lead_to_their_commits(
    repository: Repository, http: GuardedHttp, version_2: bool
) -> None:
    first = repository.git("rev-parse", "HEAD")
    repository.git("tag", "-a", "v1", "-m", "annotated")
    second = repository.commit({"a": "2"})
    repository.git("tag", "light")
    repository.git("branch", "feature/x", first)
    async with serve(backend(repository.path.parent, version_2)) as url:
        resolved = {
            name: (await resolve(f"{url}/app.git", name, None, http)).commit
            for name in (None, "HEAD", "main", "feature/x", "v1", "light", "refs/heads/main", "refs/tags/v1")
        }
    assert resolved == {
        None: second, "HEAD": second, "main": second, "feature/x": first,
        "v1": first, "light": second, "refs/heads/main": second, "refs/tags/v1": first,
    }  # fmt: skip


async def test_a_tag_is_told_as_such(repository: Repository, http: GuardedHttp) -> None:
    repository.git("tag", "v1.2.3")
    async with serve(backend(repository.path.parent)) as url:
        told = {name: (await resolve(f"{url}/app.git", name, None, http)).tag for name in ("v1.2.3", "main", "HEAD")}
    assert told == {"v1.2.3": "v1.2.3", "main": None, "HEAD": None}


@VERSIONS
async def test_a_branch_goes_before_a_tag_of_the_same_name(
    repository: Repository, http: GuardedHttp, version_2: bool
) -> None:
    repository.git("tag", "same")
    head = repository.commit({"a": "2"})
    repository.git("branch", "same")
    async with serve(backend(repository.path.parent, version_2)) as url:
        assert (await resolve(f"{url}/app.git", "same", None, http)).commit == head


async def test_a_full_commit_id_is_taken_as_it_is(http: GuardedHttp) -> None:
    assert await resolve("https://no-such-host.invalid/x", "a" * 40, None, http) == Ref("a" * 40, "a" * 40)


@VERSIONS
@pytest.mark.parametrize("revision", ["nope", "mai", "abc1234", "refs/heads/nope"])
async def test_an_unknown_revision_waits(
    repository: Repository, http: GuardedHttp, version_2: bool, revision: str
) -> None:
    async with serve(backend(repository.path.parent, version_2)) as url:
        with pytest.raises(Waiting, match="RevisionNotFound"):
            await resolve(f"{url}/app.git", revision, None, http)


@VERSIONS
async def test_an_empty_repository_has_no_head(tmp_path: Path, http: GuardedHttp, version_2: bool) -> None:
    Repository.create(tmp_path, "empty.git")
    async with serve(backend(tmp_path, version_2)) as url:
        with pytest.raises(Waiting, match="RevisionNotFound"):
            await resolve(f"{url}/empty.git", None, None, http)


async def test_a_missing_repository_waits(tmp_path: Path, http: GuardedHttp) -> None:
    async with serve(backend(tmp_path)) as url:
        with pytest.raises(NotFound, match="NotFound"):
            await resolve(f"{url}/none.git", "main", None, http)


async def test_a_web_page_is_no_repository(http: GuardedHttp) -> None:
    async def page(_: web.Request) -> web.Response:
        return web.Response(text="<html>", content_type="text/html")

    async with serve(page) as url:
        with pytest.raises(Waiting, match="NotAGitRepository"):
            await resolve(f"{url}/x", "main", None, http)


async def test_a_private_repository_wants_its_token(repository: Repository, http: GuardedHttp) -> None:
    token = Credentials(token="t0ken")
    inner = backend(repository.path.parent)

    async def guarded(request: web.Request) -> web.StreamResponse:
        if request.headers.get("authorization") != token.header():
            return web.Response(status=401)
        return await inner(request)

    async with serve(guarded) as url:
        with pytest.raises(Forbidden, match="Unauthorized"):
            await resolve(f"{url}/app.git", "main", None, http)
        commit = (await resolve(f"{url}/app.git", "main", token, http)).commit
    assert commit == repository.git("rev-parse", "main")


async def test_a_moved_repository_is_followed_without_its_credentials(
    repository: Repository, http: GuardedHttp
) -> None:
    seen = []
    inner = backend(repository.path.parent)

    async def there(request: web.Request) -> web.StreamResponse:
        seen.append(request.headers.get("authorization"))
        return await inner(request)

    async with serve(there) as new:

        async def moved(request: web.Request) -> web.Response:
            return web.Response(status=301, headers={"Location": f"{new}{request.path_qs}"})

        async with serve(moved) as url:
            commit = (await resolve(f"{url}/app.git", "main", Credentials(token="t0ken"), http)).commit
    assert commit == repository.git("rev-parse", "main")
    assert set(seen) == {None}
    assert len(seen) == 2


async def test_a_servers_own_words_reach_the_message(http: GuardedHttp) -> None:
    async def says(_: web.Request) -> web.Response:
        body = encode(b"ERR access is closed today\n", Mark.FLUSH)
        return web.Response(body=body, content_type="application/x-git-upload-pack-advertisement")

    async with serve(says) as url:
        with pytest.raises(Waiting, match=r"GitRefused.*access is closed today"):
            await resolve(f"{url}/x", "main", None, http)


async def test_a_server_that_tells_back_what_it_was_sent_is_not_quoted_with_it(http: GuardedHttp) -> None:
    async def says(request: web.Request) -> web.Response:
        told = f"ERR {'x' * 230} with {request.headers['Authorization']} you may not\n"
        body = encode(told.encode(), Mark.FLUSH)
        return web.Response(body=body, content_type="application/x-git-upload-pack-advertisement")

    credentials = Credentials(token="t0ken" * 9)
    async with serve(says) as url:
        with pytest.raises(Waiting, match=r"GitRefused") as caught:
            await resolve(f"{url}/x", "main", credentials, http)
    assert "with Basic *** you may not" in caught.value.message


async def test_a_server_that_hangs_is_left_in_time(http: GuardedHttp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(git, "RESOLVE_SECONDS", 0.2)

    async def hanging(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/x-git-upload-pack-advertisement"})
        await response.prepare(request)
        await response.write(b"000")
        await asyncio.Event().wait()
        return response

    async with serve(hanging) as url, asyncio.timeout(10):
        with pytest.raises(Transient) as caught:
            await resolve(f"{url}/x?token=s3cret", "main", None, http)
    assert caught.value.reason == "TimedOut"
    assert "s3cret" not in caught.value.message


@VERSIONS
async def test_a_list_of_refs_that_is_too_long_waits_to_be_cut_down(
    repository: Repository, http: GuardedHttp, monkeypatch: pytest.MonkeyPatch, version_2: bool
) -> None:
    for number in range(20):
        repository.git("branch", f"main{number}")
    # What protocol 2 says first has its place, the branches have none.
    monkeypatch.setattr(git, "_MAX_REFS_BYTES", 400)
    async with serve(backend(repository.path.parent, version_2)) as url:
        with pytest.raises(Waiting, match="ResponseTooLarge"):
            await resolve(f"{url}/app.git", "main", None, http)


async def test_packets_survive_any_cut_of_the_stream() -> None:
    packets: list[Packet] = [b"one\n", Mark.DELIMITER, b"", b"x" * 1000, Mark.FLUSH]
    wire = encode(*packets)

    async def bytewise() -> AsyncIterator[bytes]:
        for byte in wire:
            await asyncio.sleep(0)
            yield bytes([byte])

    assert [packet async for packet in decode(bytewise())] == packets


@pytest.mark.parametrize("wire", [b"zzzz", b"0003", b"000ashort", b"00"])
async def test_a_broken_stream_of_packets_is_an_error(wire: bytes) -> None:
    async def once() -> AsyncIterator[bytes]:
        yield wire

    with pytest.raises(Transient, match="GitProtocolBroken"):
        _ = [packet async for packet in decode(once())]
