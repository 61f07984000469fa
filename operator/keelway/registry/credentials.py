"""Registry credentials out of a dockerconfigjson Secret, found as the kubelet finds them: pure.

So that a Secret which lets pods pull lets Keelway read, and the other way round. The rules:
kubernetes.io/docs/concepts/containers/images, "Interpretation of config.json".
"""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Self

from keelway.errors import Waiting
from keelway.registry.reference import DOCKER_HUB, Reference


@dataclass(frozen=True)
class Login:
    """One registry's username and password; never shown by repr()."""

    username: str
    password: str = field(repr=False)

    def basic(self) -> str:
        """The value of an `Authorization` header."""
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()

    def redacted(self, text: str) -> str:
        """A registry's words without what it was sent."""
        return text.replace(self.basic().removeprefix("Basic "), "***").replace(self.password, "***")


@dataclass(frozen=True)
class Keyring:
    """The logins of a dockerconfigjson by their keys (`host`, `host:port/path`, `*.host`), backwards by the alphabet.

    That is the kubelet's order (pkg/credentialprovider/keyring.go). Of the keys that cover an image it puts the longer
    path first, and a host's name before a pattern with `*`. The kubelet goes on to the next key where a registry
    refuses one; Keelway takes the first.
    """

    logins: tuple[tuple[str, Login], ...] = ()

    @classmethod
    def parse(cls, text: str | bytes) -> Self:
        """Raises Waiting InvalidSecret where it is no dockerconfigjson; leaves out entries without login."""
        try:
            auths = json.loads(text)["auths"]
            logins = {_key(key): _login(entry) for key, entry in auths.items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Waiting(
                "InvalidSecret",
                "The registry Secret holds no valid dockerconfigjson. "
                "Make it with `kubectl create secret docker-registry`.",
            ) from error
        known = [(key, login) for key, login in logins.items() if login is not None]
        return cls(tuple(sorted(known, key=lambda item: item[0], reverse=True)))

    def login(self, reference: Reference) -> Login | None:
        """The login of the first key that covers the reference's repository; None: anonymous."""
        for key, login in self.logins:
            if _covers(key, reference):
                return login
        return None


def _key(key: str) -> str:
    host, slash, path = key.removeprefix("https://").removeprefix("http://").partition("/")
    path = slash + path
    # The versions of the registry API stand for the host: Docker's own key for its hub is https://index.docker.io/v1/.
    if path.startswith(("/v1/", "/v2/")):
        path = path[3:]
    hub = host in ("index.docker.io", "registry-1.docker.io")
    return f"{DOCKER_HUB if hub else host}{'' if path == '/' else path}"


def _login(entry: Mapping[str, Any]) -> Login | None:
    username, password = entry.get("username"), entry.get("password")
    if entry.get("auth"):
        try:
            decoded = base64.b64decode(entry["auth"], validate=True).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise ValueError("auth is no base64") from error
        username, _, password = decoded.partition(":")
    return Login(username, password) if username and password else None


def _covers(key: str, reference: Reference) -> bool:
    host, slash, path = key.partition("/")
    (pattern, port), (name, asked_port) = _split(host), _split(reference.registry)
    patterns, labels = pattern.split("."), name.split(".")
    if port != asked_port or len(patterns) != len(labels) or not all(map(fnmatchcase, labels, patterns)):
        return False
    return f"/{reference.repository}".startswith(slash + path)


def _split(host: str) -> tuple[str, str]:
    """Name and port; a pattern in the name says nothing of the port."""
    name, colon, port = host.rpartition(":")
    return (name, port) if colon and port.isdecimal() else (host, "")
