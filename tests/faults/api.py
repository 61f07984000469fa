"""The API server as the tests see it, past the proxy and as an administrator: reads of raw objects, cheap and often."""

import base64
import http.client
import json
import os
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from keelway.api.resources import Resource
from tests.kubectl import JsonObject, Kubectl

_SECONDS = 10.0


class ApiAway(Exception):
    """The API server does not answer, or not well."""


@dataclass(frozen=True)
class Api:
    """Get and list. Raises ApiAway."""

    url: str
    tls: ssl.SSLContext
    tls_as_anybody: ssl.SSLContext
    """Trusts the API server too, but shows no certificate of an administrator."""
    _kept: list[http.client.HTTPSConnection] = field(default_factory=list)

    @classmethod
    def of(cls, kubectl: Kubectl) -> "Api":
        """With the credentials of that kubectl."""
        shown = json.loads(kubectl.run("config", "view", "--raw", "--minify", "-o", "json").stdout)
        cluster, user = shown["clusters"][0]["cluster"], shown["users"][0]["user"]
        tls = _trusting(cluster)
        with tempfile.TemporaryDirectory() as private:
            # ssl takes these from files only.
            names = []
            for name in ("client-certificate-data", "client-key-data"):
                path = Path(private) / name
                path.touch(0o600)
                path.write_bytes(base64.b64decode(user[name]))
                names.append(os.fspath(path))
            tls.load_cert_chain(*names)
        return cls(cluster["server"], tls, _trusting(cluster))

    def get(self, path: str, query: Mapping[str, str] | None = None) -> JsonObject | None:
        """The answer; None where there is no such thing."""
        target = f"{path}?{urlencode(query or {})}"
        try:
            try:
                status, text = self._ask(target)
            except (OSError, http.client.HTTPException):
                status, text = self._ask(target)  # the kept connection may have ended long ago
        except (OSError, http.client.HTTPException) as error:
            raise ApiAway(str(error)) from error
        if status == 404:
            return None
        if status >= 400:
            raise ApiAway(f"{path}: {status} {text[:200]!r}")
        found: JsonObject = json.loads(text)
        return found

    def _ask(self, target: str) -> tuple[int, bytes]:
        """One connection for all, for a handshake costs more than an answer; a new one where it has broken off."""
        if not self._kept:
            where = urlsplit(self.url)
            self._kept.append(http.client.HTTPSConnection(where.netloc, timeout=_SECONDS, context=self.tls))
        connection = self._kept[0]
        try:
            connection.request("GET", target)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except BaseException:
            self._kept.clear()
            connection.close()
            raise

    def accepts(self, token: str) -> bool:
        """Whether the API server knows who has that token. Raises OSError."""
        where = urlsplit(self.url)
        connection = http.client.HTTPSConnection(where.netloc, timeout=_SECONDS, context=self.tls_as_anybody)
        try:
            connection.request("GET", "/apis", headers={"Authorization": f"Bearer {token}"})
            return connection.getresponse().status != 401
        finally:
            connection.close()

    def list(self, resource: Resource, namespace: str | None = None, selector: str = "") -> list[JsonObject]:
        """The objects; none where the kind is not served."""
        found = self.get(resource.path(namespace), {"labelSelector": selector} if selector else None) or {"items": []}
        kind = {"apiVersion": resource.api_version, "kind": resource.kind}
        return [{**kind, **item} for item in found["items"]]


def _trusting(cluster: Mapping[str, Any]) -> ssl.SSLContext:
    """What trusts the API server of a kubeconfig's cluster, and no other."""
    authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
    return ssl.create_default_context(cadata=authority)
