"""Which numeric uid an image runs as: from its config's User, and for a name from its /etc/passwd.

Kubernetes' runAsNonRoot only understands numbers, so the name is looked up here, once, while building.
"""

import os
from pathlib import Path

from keelway.api.buildrequest import BuildRequest
from keelway.builder import buildkit
from keelway.builder.buildkit import Paths, Solve
from keelway.builder.progress import Progress

_MAX_UID = 2**32 - 2
_MAX_PASSWD_BYTES = 1024 * 1024
_SECONDS_AT_MOST = 120


def numeric_uid(user: str) -> int | None:
    """The uid of a User string (`uid`, `uid:gid`, `name`, `name:group`); None for a name. Pure."""
    name = user.partition(":")[0]
    if not name:
        return 0
    return int(name) if name.isascii() and name.isdecimal() and int(name) <= _MAX_UID else None


def uid_in_passwd(user: str, passwd: str) -> int | None:
    """The uid of a named user in the text of /etc/passwd (name:password:uid:...); None if it has none. Pure."""
    name = user.partition(":")[0]
    for line in passwd.splitlines():
        fields = line.split(":")
        if fields[0] == name and len(fields) > 2:
            return numeric_uid(fields[2]) if fields[2] else None
    return None


async def run_as_user(user: str, image: str, request: BuildRequest, paths: Paths) -> int | None:
    """The uid of `user` in the image `repo@digest`; None where the image does not say."""
    uid = numeric_uid(user)
    if uid is not None:
        return uid
    passwd = await _passwd(image, request, paths)
    return uid_in_passwd(user, passwd) if passwd is not None else None


async def _passwd(image: str, request: BuildRequest, paths: Paths) -> str | None:
    """The image's /etc/passwd, by a second solve that copies it out of the image just pushed."""
    context, output = paths.scratch / "passwd-context", paths.scratch / "passwd-output"
    context.mkdir(exist_ok=True)
    (context / "Dockerfile").write_text(f"FROM scratch\nCOPY --from={image} /etc/passwd /passwd\n")
    solve = Solve(context, (), f"type=local,dest={output}")
    if await buildkit.run(solve, request, paths, Progress(echo=lambda _: None)) != 0:
        return None
    return _read(output / "passwd")


def _read(path: Path) -> str | None:
    # The image may hold anything under that name: a link is not followed, a directory not read.
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            return file.read(_MAX_PASSWD_BYTES).decode(errors="replace")
    except OSError:
        return None
