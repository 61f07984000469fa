"""Registry credentials: whose are used for what (tenancy.md "Registry").

The operator's own are for its own registry and for nothing else; a user's Secret never overrides them there. The file
is read at every use, so that a rotated Secret counts at once.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keelway.cluster.client import Cluster
from keelway.reconcile.secrets import docker_config
from keelway.registry.credentials import Keyring
from keelway.registry.reference import Reference
from keelway.settings import Settings


@dataclass(frozen=True)
class Credentials:
    """The operator's registry credentials, alone or beside a user's.

    The operator's answer for its whole registry, so they are used for a namespace's own repositories only: there, no
    Secret of a user's overrides them; for anybody else's repository its own Secret must do.
    """

    cluster: Cluster
    settings: Settings

    async def docker_config(self, namespace: str, secrets: tuple[str, ...]) -> bytes:
        """One dockerconfigjson of the operator's credentials and the named Secrets'. Raises Waiting."""
        own = self._own()
        users = await self._users(namespace, secrets)
        others = {key: login for key, login in users.items() if not own or _host(key) != self.settings.registry_host}
        return json.dumps({"auths": others | own}).encode()

    async def keyring(self, namespace: str, secrets: tuple[str, ...]) -> Keyring:
        """The same, to look logins up in. Raises Waiting."""
        return Keyring.parse(await self.docker_config(namespace, secrets))

    async def keyring_for(self, reference: Reference, namespace: str, secrets: tuple[str, ...]) -> Keyring:
        """What may read an image for a namespace: the operator's credentials only where it is the namespace's own."""
        if reference.name.startswith(f"{self.settings.registry}/{namespace}/"):
            return await self.keyring(namespace, secrets)
        return Keyring.parse(json.dumps({"auths": await self._users(namespace, secrets)}))

    def own_keyring(self) -> Keyring:
        """The operator's credentials alone, for what the administrator has named: mirrors."""
        return Keyring.parse(json.dumps({"auths": self._own()}))

    async def _users(self, namespace: str, secrets: tuple[str, ...]) -> dict[str, Any]:
        auths: dict[str, Any] = {}
        for name in secrets:
            auths |= json.loads(await docker_config(self.cluster, namespace, name))["auths"]
        return auths

    def _own(self) -> dict[str, Any]:
        path = Path(self.settings.registry_config)
        if not path.exists():
            return {}
        auths: dict[str, Any] = json.loads(path.read_text()).get("auths", {})
        host = self.settings.registry_host
        return {key: login for key, login in auths.items() if _host(key) == host}


def _host(key: str) -> str:
    return key.removeprefix("https://").removeprefix("http://").partition("/")[0]
