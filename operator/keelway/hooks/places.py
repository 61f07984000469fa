"""PURE: where a git repository is, however its address is written, so that a spec and a payload can be compared."""

import re
from typing import Final
from urllib.parse import urlsplit

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_SCP: Final = re.compile(r"(?:[^@/]+@)?([^:/@]+):(?!//)(.+)")


def place(address: str) -> str | None:
    """`host[:port]/path` of https://host/path.git, ssh://git@host:2222/path or git@host:path; None where it is none.

    Of ssh the port says nothing of where the same repository is over https, so it is left out. Some hosts tell upper
    from lower case in paths and some do not: taking two for one costs a look.
    """
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if not host:
        # git@host:owner/name, as scp writes it
        found = _SCP.fullmatch(address)
        return _joined(found[1], found[2]) if found is not None else None
    if parts.scheme in _DEFAULT_PORTS and port not in (None, _DEFAULT_PORTS[parts.scheme]):
        host = f"{host}:{port}"
    return _joined(host, parts.path)


def _joined(host: str, path: str) -> str | None:
    path = path.strip("/").removesuffix(".git").rstrip("/")
    return f"{host}/{path}".casefold() if path else None
