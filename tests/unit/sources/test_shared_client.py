"""One guarded client serves all tenants: what one tenant's server does is no other tenant's trouble."""

import asyncio
from ipaddress import ip_network

from aiohttp import web

from keelway.sources.guard import Guard, GuardedHttp, Request
from tests.unit.web import serve

LOOPBACK = Guard(allowed=(ip_network("127.0.0.0/8"), ip_network("::1/128")))


async def test_servers_that_hang_keep_no_others_waiting() -> None:
    hung = 0
    all_hang = asyncio.Event()

    async def handle(request: web.Request) -> web.Response:
        nonlocal hung
        if request.path == "/hello":
            return web.Response(body=b"hello")
        hung += 1
        if hung == 30:
            all_hang.set()
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    async with serve(handle) as url, GuardedHttp(LOOPBACK) as http:
        hanging = [asyncio.create_task(http.read(Request(url), 1000)) for _ in range(30)]
        async with asyncio.timeout(10):
            await all_hang.wait()
            assert (await http.read(Request(f"{url}/hello"), 1000))[1] == b"hello"
        for task in hanging:
            task.cancel()
        await asyncio.gather(*hanging, return_exceptions=True)


async def test_no_cookies_are_kept() -> None:
    seen = []

    async def handle(request: web.Request) -> web.Response:
        seen.append(request.headers.get("cookie"))
        return web.Response(headers={"Set-Cookie": "session=of-somebody; Path=/"})

    async with serve(handle) as url, GuardedHttp(LOOPBACK) as http:
        for _ in range(2):
            await http.read(Request(url), 1000)
    assert seen == [None, None]
