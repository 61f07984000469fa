"""Registries that a tenant may name and nobody may trust: what they send is bounded, and so is the time they take."""

import asyncio
import gzip
import json
import tracemalloc
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web

from keelway.errors import Forbidden, KeelwayError, NotFound, Transient, Waiting
from keelway.registry import client as module
from keelway.registry.credentials import Keyring, Login
from tests.unit.registry.smallregistry import INDEX, MANIFEST, Connected, SmallRegistry, connect, digest_of
from tests.unit.web import Handler

MIB = 2**20
DIGEST = "sha256:" + "0" * 64
OPERATIONS: dict[str, Callable[[Connected], Awaitable[object]]] = {
    "resolve": lambda to: to.client.resolve(to.tagged("v1"), Keyring()),
    "image_config": lambda to: to.client.image_config(to.image.at(DIGEST), Keyring()),
    "tags": lambda to: to.client.tags(to.image, Keyring()),
    "tag": lambda to: to.client.tag(to.image, DIGEST, "v1", Keyring()),
}


class Endless:
    """Answers with far more than anybody should read; `ended` is whether somebody did."""

    def __init__(self, status: int, headers: dict[str, str] | None = None) -> None:
        self.status = status
        self.headers = headers
        self.ended = False

    async def handle(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=self.status, headers=self.headers)
        await response.prepare(request)
        for _ in range(64):
            await response.write(b"x" * MIB)
        self.ended = True
        return response


def saying(body: bytes, status: int = 200, **headers: str) -> Handler:
    async def handle(_: web.Request) -> web.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(status=status, body=body, headers=named)

    return handle


async def hanging(request: web.Request) -> web.StreamResponse:
    """Begins a body, and never goes on."""
    response = web.StreamResponse(headers={"Content-Type": MANIFEST})
    await response.prepare(request)
    await response.write(b"{")
    await asyncio.Event().wait()
    return response


@pytest.mark.parametrize(("status", "error"), [(404, NotFound), (401, Forbidden), (500, Transient), (418, Waiting)])
async def test_the_body_of_a_refusal_is_not_read_to_its_end(status: int, error: type[KeelwayError]) -> None:
    endless = Endless(status)
    async for connected in connect(endless.handle):
        with pytest.raises(error):
            await connected.client.tags(connected.image, Keyring())
    assert not endless.ended


@pytest.mark.parametrize("status", [200, 418])
async def test_what_is_compressed_is_not_inflated(status: int) -> None:
    bomb = gzip.compress(bytes(64 * MIB))
    async for connected in connect(saying(bomb, status, Content_Encoding="gzip")):
        tracemalloc.start()
        with pytest.raises(Waiting) as caught:
            await connected.client.tags(connected.image, Keyring())
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert caught.value.reason == ("UnexpectedEncoding" if status == 200 else "RegistryRefused")
        assert peak < 8 * MIB


async def test_every_request_asks_for_what_is_not_compressed() -> None:
    asked = []

    async def handle(request: web.Request) -> web.Response:
        asked.append(request.headers.get("accept-encoding"))
        return web.Response(status=404)

    async for connected in connect(handle):
        with pytest.raises(NotFound):
            await connected.client.tags(connected.image, Keyring())
    assert asked == ["identity"]


async def test_the_registrys_own_words_are_told_where_they_are_few() -> None:
    for padding, told in (("", True), ("x" * 5000, False)):
        body = json.dumps({"errors": [{"code": "DENIED", "message": "no room left", "detail": padding}]}).encode()
        async for connected in connect(saying(body, 405)):
            with pytest.raises(Waiting, match="RegistryRefused") as caught:
                await connected.client.tags(connected.image, Keyring())
            assert ("DENIED no room left" in caught.value.message) is told


async def test_a_registry_that_tells_back_what_it_was_sent_is_not_quoted_with_it() -> None:
    login = Login("user", "hush-hush")

    async def handle(request: web.Request) -> web.Response:
        sent = request.headers.get("Authorization", "")
        if not sent:
            return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="r"'})
        said = {"code": "DENIED", "message": f"{'x' * 150} user:hush-hush sent {sent}"}
        return web.Response(status=405, text=json.dumps({"errors": [said]}))

    async for connected in connect(handle):
        keyring = Keyring(((connected.image.registry, login),))
        with pytest.raises(Waiting, match="RegistryRefused") as caught:
            await connected.client.tags(connected.image, keyring)
        assert "user:*** sent" in caught.value.message
        # Nor the half of it that a cut would leave.
        assert login.basic()[6:12] not in caught.value.message


def realm(answer: Handler) -> Handler:
    """A registry that wants a token of a realm which answers so."""

    async def handle(request: web.Request) -> web.StreamResponse:
        if request.path == "/token":
            return await answer(request)
        return web.Response(status=401, headers={"WWW-Authenticate": f'Bearer realm="http://{request.host}/token"'})

    return handle


@pytest.mark.parametrize("status", [200, 403])
async def test_the_answer_of_a_token_realm_is_not_read_to_its_end(status: int) -> None:
    endless = Endless(status)
    async for connected in connect(realm(endless.handle)):
        with pytest.raises(Forbidden, match="Unauthorized"):
            await connected.client.tags(connected.image, Keyring())
    assert not endless.ended


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"[" * 100_000, b'{"token": "\xc3\xbc"}', b'{"token": "t", "expires_in": 1%s}' % (b"0" * 400)]
)
async def test_what_is_no_token_is_told(body: bytes) -> None:
    async for connected in connect(realm(saying(body))):
        with pytest.raises(Forbidden, match="gave no token"):
            await connected.client.tags(connected.image, Keyring())


async def test_a_list_of_tags_ends_somewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_TAGS_BYTES", 1000)
    pages = []

    async def handle(request: web.Request) -> web.Response:
        pages.append(request.path_qs)
        next_page = {"Link": f'</v2/team/app/tags/list?last={len(pages)}>; rel="next"'}
        return web.json_response({"tags": ["x" * 80]}, headers=next_page)

    async for connected in connect(handle):
        with pytest.raises(Waiting, match="TooManyTags"):
            await connected.client.tags(connected.image, Keyring())
    assert len(pages) < 20


async def test_the_next_page_of_tags_is_asked_of_the_same_registry() -> None:
    async def handle(request: web.Request) -> web.Response:
        if "last" in request.query:
            return web.json_response({"tags": ["v2"]})
        link = '<http://192.0.2.1/v2/team/app/tags/list?last=v1>; rel="next"'
        return web.json_response({"tags": ["v1"]}, headers={"Link": link})

    async for connected in connect(handle):
        assert await connected.client.tags(connected.image, Keyring()) == ["v1", "v2"]


@pytest.mark.parametrize("body", [b"[" * 100_000, b"[]", b"no json"])
async def test_a_document_that_is_no_json_object_is_told(body: bytes) -> None:
    async for connected in connect(saying(body)):
        with pytest.raises(Waiting, match="UnreadableImage"):
            await connected.client.tags(connected.image, Keyring())


@pytest.mark.parametrize("body", [b'{"tags": 1}', b'{"tags": [1, null]}', b"{}"])
async def test_tags_of_the_wrong_shape_are_none(body: bytes) -> None:
    async for connected in connect(saying(body)):
        assert await connected.client.tags(connected.image, Keyring()) == []


@pytest.mark.parametrize(
    ("document", "media_type"),
    [
        ({"manifests": 1}, INDEX),
        ({"manifests": [1, {"platform": 1}]}, INDEX),
        ({"config": 1}, MANIFEST),
        ({"config": {"digest": "../../../other/blobs/sha256:0"}}, MANIFEST),
        ({"config": {"digest": "a\nb"}}, MANIFEST),
    ],
)
async def test_a_manifest_of_the_wrong_shape_is_told(document: object, media_type: str) -> None:
    small = SmallRegistry()
    digest = small.add(document, media_type)
    async for connected in connect(small.handle):
        with pytest.raises(Waiting, match="UnreadableImage"):
            await connected.client.image_config(connected.image.at(digest), Keyring())
    assert len(small.calls) == 1


async def test_a_digest_that_is_none_is_not_taken_from_the_header() -> None:
    body = b'{"config": {}}'
    async for connected in connect(saying(body, Content_Type=MANIFEST, Docker_Content_Digest="v1; rm -rf")):
        assert await connected.client.resolve(connected.tagged("v1"), Keyring()) == digest_of(body)


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_every_operation_ends_within_its_time(operation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "OPERATION_SECONDS", 0.2)
    async for connected in connect(hanging):
        async with asyncio.timeout(10):
            with pytest.raises(Transient) as caught:
                await OPERATIONS[operation](connected)
        assert caught.value.reason == "TimedOut"
        assert connected.host in caught.value.message


async def test_a_realm_that_hangs_is_left_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "OPERATION_SECONDS", 0.2)
    async for connected in connect(realm(hanging)):
        async with asyncio.timeout(10):
            with pytest.raises(Transient, match="TimedOut"):
                await connected.client.tags(connected.image, Keyring())


async def test_no_cookies_are_kept() -> None:
    seen = []

    async def handle(request: web.Request) -> web.Response:
        seen.append(request.headers.get("cookie"))
        return web.json_response({"tags": []}, headers={"Set-Cookie": "session=of-somebody; Path=/"})

    async for connected in connect(handle):
        for _ in range(2):
            await connected.client.tags(connected.image, Keyring())
    assert seen == [None, None]
