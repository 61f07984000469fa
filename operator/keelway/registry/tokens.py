"""A registry's challenge (WWW-Authenticate) and what answers it: Basic, or a token of the realm named.

The protocol: distribution.github.io/distribution/spec/auth/token. Used by `client.py`.
"""

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import httpx

from keelway.errors import Forbidden, Waiting
from keelway.registry.credentials import Login
from keelway.registry.faults import refused
from keelway.registry.reference import Reference
from keelway.registry.wire import Call, Wire, is_web, read

_PARAMETER = re.compile(r'([a-zA-Z]+)="([^"]*)"')
# The specification's default life of a token, and the least it recommends.
_LIFE_SECONDS = 60.0
_MAX_ANSWER_BYTES = 256 * 1024


@dataclass(frozen=True)
class Scope:
    """What is asked of a repository (`pull` or `pull,push`), and for whom."""

    reference: Reference
    actions: str
    login: Login | None

    def key(self) -> tuple[str, str, Login | None]:
        return self.reference.name, self.actions, self.login


@dataclass
class Tokens:
    """The Authorization headers that worked, until shortly before they expire."""

    _known: dict[tuple[str, str, Login | None], tuple[str, float]] = field(default_factory=dict)

    def get(self, scope: Scope) -> str | None:
        """The header to send at once; None: ask without and see what the registry wants."""
        header, expires = self._known.get(scope.key(), (None, 0.0))
        return header if time.monotonic() < expires else None

    def put(self, scope: Scope, header: str, life: float) -> None:
        now = time.monotonic()
        self._known = {key: known for key, known in self._known.items() if known[1] > now}
        self._known[scope.key()] = (header, now + life * 0.8)

    def drop(self, scope: Scope) -> None:
        self._known.pop(scope.key(), None)


async def answer(challenge: httpx.Response, scope: Scope, wire: Wire, insecure: bool) -> tuple[str, float] | None:
    """The Authorization header that a 401 asks for and its life in seconds; None where there is none to give.

    Raises Waiting or Transient as the realm answers. Credentials go to a plain-http realm only for a
    registry that is itself spoken to so.
    """
    offered = challenge.headers.get_list("www-authenticate")
    for header in offered:
        scheme, _, rest = header.partition(" ")
        if scheme.lower() == "bearer":
            return await _token(dict(_PARAMETER.findall(rest)), scope, wire, insecure)
    if any(header.lower().startswith("basic") for header in offered) and scope.login is not None:
        return scope.login.basic(), 3600.0
    return None


async def _token(parameters: Mapping[str, str], scope: Scope, wire: Wire, insecure: bool) -> tuple[str, float]:
    query = {"scope": f"repository:{scope.reference.repository}:{scope.actions}"}
    if "service" in parameters:
        query["service"] = parameters["service"]
    url = _realm(parameters.get("realm", ""), scope, insecure).copy_merge_params(query)
    response = await wire.send(Call("GET", url), scope.login.basic() if scope.login is not None else None)
    try:
        if response.status_code != httpx.codes.OK:
            raise refused(response, scope.reference.name, scope.login is not None)
        return _parsed(await read(response, _MAX_ANSWER_BYTES), scope)
    finally:
        await response.aclose()


def _realm(text: str, scope: Scope, insecure: bool) -> httpx.URL:
    try:
        url = httpx.URL(text)
    except (httpx.InvalidURL, ValueError):
        url = httpx.URL()
    if not is_web(url) or (url.scheme != "https" and not insecure):
        message = f"{scope.reference.registry} names no https realm for its tokens. Check the registry."
        raise Waiting("RegistryRefused", message)
    return url


def _parsed(body: bytes | None, scope: Scope) -> tuple[str, float]:
    try:
        document = json.loads(body or b"")
        token = document.get("token") or document["access_token"]
        # As a header may carry it: a token is the registry's to choose.
        f"{token}".encode("ascii")
        return f"Bearer {token}", float(document.get("expires_in") or _LIFE_SECONDS)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        message = f"{scope.reference.registry} gave no token. Check the registry's authentication."
        raise Forbidden("Unauthorized", message) from error
