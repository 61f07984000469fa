"""A registry's challenge (WWW-Authenticate) and what answers it: Basic, or a token of the realm named.

The protocol: distribution.github.io/distribution/spec/auth/token. Used by `client.py`.
"""

import json
import re
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

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
# A token and its life are the registry's to choose, and a registry may be a tenant's: what is kept has bounds.
_LONGEST_LIFE_SECONDS = 3600.0
_MAX_TOKEN_CHARACTERS = 16 * 1024
_MAX_KNOWN = 1000


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

    _known: OrderedDict[tuple[str, str, Login | None], tuple[str, float]] = field(default_factory=OrderedDict)

    def get(self, scope: Scope) -> str | None:
        """The header to send at once; None: ask without and see what the registry wants."""
        header, expires = self._known.get(scope.key(), (None, 0.0))
        return header if time.monotonic() < expires else None

    def put(self, scope: Scope, header: str, life: float) -> None:
        self._known.pop(scope.key(), None)
        self._known[scope.key()] = (header, time.monotonic() + min(life, _LONGEST_LIFE_SECONDS) * 0.8)
        if len(self._known) > _MAX_KNOWN:
            self._known.popitem(last=False)

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
            parameters = dict(_PARAMETER.findall(rest))
            realm = Call("GET", _realm(parameters, scope, insecure), trusted=wire.is_own(challenge.url))
            return await _token(realm, parameters, scope, wire)
    if any(header.lower().startswith("basic") for header in offered) and scope.login is not None:
        return scope.login.basic(), 3600.0
    return None


async def _token(realm: Call, parameters: Mapping[str, str], scope: Scope, wire: Wire) -> tuple[str, float]:
    query = {"scope": f"repository:{scope.reference.repository}:{scope.actions}"}
    if "service" in parameters:
        query["service"] = parameters["service"]
    call = replace(realm, url=realm.url.copy_merge_params(query))
    response = await wire.send(call, scope.login.basic() if scope.login is not None else None)
    try:
        if response.status_code != httpx.codes.OK:
            raise refused(response, scope.reference.name, scope.login)
        return _parsed(await read(response, _MAX_ANSWER_BYTES), scope)
    finally:
        await response.aclose()


def _realm(parameters: Mapping[str, str], scope: Scope, insecure: bool) -> httpx.URL:
    try:
        url = httpx.URL(parameters.get("realm", ""))
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
        if len(f"{token}".encode("ascii")) > _MAX_TOKEN_CHARACTERS:
            raise ValueError("too long")
        return f"Bearer {token}", float(document.get("expires_in") or _LIFE_SECONDS)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        message = f"{scope.reference.registry} gave no token. Check the registry's authentication."
        raise Forbidden("Unauthorized", message) from error
