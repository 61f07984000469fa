"""The API server as the tests see it, past the proxy and as an administrator: reads of raw objects, cheap and often."""

import base64
import http.client
import json
import os
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
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
        where = urlsplit(self.url)
        connection = http.client.HTTPSConnection(where.netloc, timeout=_SECONDS, context=self.tls)
        try:
            connection.request("GET", f"{path}?{urlencode(query or {})}")
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise ApiAway(str(error)) from error
        finally:
            connection.close()
        if answer.status == 404:
            return None
        if answer.status >= 400:
            raise ApiAway(f"{path}: {answer.status} {text[:200]!r}")
        found: JsonObject = json.loads(text)
        return found

    def list(self, resource: Resource, namespace: str | None = None, selector: str = "") -> list[JsonObject]:
        """The objects; none where the kind is not served."""
        found = self.get(resource.path(namespace), {"labelSelector": selector} if selector else None) or {"items": []}
        kind = {"apiVersion": resource.api_version, "kind": resource.kind}
        return [{**kind, **item} for item in found["items"]]


def _trusting(cluster: Mapping[str, Any]) -> ssl.SSLContext:
    """What trusts the API server of a kubeconfig's cluster, and no other."""
    authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
    return ssl.create_default_context(cadata=authority)
