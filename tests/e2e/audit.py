"""What the operator asked of the API server, as the API server's audit log tells it (devcluster/control_plane.py).

`compare` is pure: the uses of a log against the grants of `keelway.rbac`.
"""

import json
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from keelway.rbac import Grant
from tests.e2e import node

# The log and what it was rotated to, oldest first.
_READ = "cd /var/log/kubernetes && cat $(ls audit*.log | grep -v '^audit.log$') audit.log"


@dataclass(frozen=True)
class Use:
    """One request, without what makes two of a kind differ: `resource` as a rule names it (`images/status`).

    `missing`: the API server's words where it was refused for want of a permission.
    """

    verb: str
    group: str
    resource: str
    namespace: str
    name: str
    missing: str = ""

    def __str__(self) -> str:
        where = f" in {self.namespace}" if self.namespace else ""
        return f"{self.verb} {self.resource}{f'.{self.group}' if self.group else ''}{where}"


@dataclass(frozen=True)
class Permission:
    """One verb on one resource, out of a Grant."""

    grant: Grant
    verb: str
    resource: str

    def is_used_by(self, use: Use) -> bool:
        """Whether that request needed it."""
        grant = self.grant
        return (
            (use.verb, use.group, use.resource) == (self.verb, grant.group, self.resource)
            and grant.namespace in (None, use.namespace)
            and (not grant.names or use.name in grant.names)
        )

    def __str__(self) -> str:
        where = f" in {self.grant.namespace}" if self.grant.namespace else ""
        which = f" {' '.join(self.grant.names)}" if self.grant.names else ""
        return f"{self.verb} {self.resource}{f'.{self.grant.group}' if self.grant.group else ''}{which}{where}"


def permissions(grants: Iterable[Grant]) -> list[Permission]:
    """Each verb on each resource by itself."""
    return [Permission(grant, verb, resource) for grant in grants for resource in grant.plurals for verb in grant.verbs]


def unused(grants: Iterable[Grant], uses: Iterable[Use]) -> list[Permission]:
    """What is granted, is not rare, and was never needed."""
    seen = set(uses)
    return [
        permission
        for permission in permissions(grants)
        if not permission.grant.rare and not any(permission.is_used_by(use) for use in seen)
    ]


def ungranted(grants: Iterable[Grant], uses: Iterable[Use]) -> list[Use]:
    """What was refused and is not granted. (Just started, the API server refuses what it has yet to read of.)"""
    known = permissions(grants)
    return [use for use in set(uses) if use.missing and not any(one.is_used_by(use) for one in known)]


def uses_of(line: str) -> Sequence[Use]:
    """What one line of the log shows to be needed: an apply that made its object needed `create`, too."""
    event = json.loads(line)
    about = event.get("objectRef")
    if event["stage"] != "ResponseComplete" or not about:
        return ()
    resource = "/".join(part for part in (about["resource"], about.get("subresource")) if part)
    answer = event.get("responseStatus") or {}
    use = Use(
        verb=event["verb"],
        group=about.get("apiGroup", ""),
        resource=resource,
        # A namespace's own is its name.
        namespace="" if about["resource"] == "namespaces" else about.get("namespace", ""),
        name=about.get("name", ""),
        missing=_missing(event, answer),
    )
    if use.verb == "patch" and answer.get("code") == 201:
        return (use, Use("create", use.group, use.resource, use.namespace, use.name))
    return (use,)


def _missing(event: dict[str, object], answer: dict[str, object]) -> str:
    """Of all that answers 403 (Pod Security, a quota, a namespace that is going away): what a permission would cure."""
    message = str(answer.get("message", ""))
    if answer.get("code") != 403 or 'User "system:serviceaccount:' not in message or " cannot " not in message:
        return ""
    return f"{event['requestReceivedTimestamp']}: {message}"


def read() -> Iterator[str]:
    """The log's lines."""
    command = ["docker", "exec", node.CONTAINER, "sh", "-c", _READ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield from process.stdout
    assert process.returncode == 0, "the audit log cannot be read: was the cluster made by `make cluster`?"


def received_at(line: str) -> datetime:
    """When the API server got the request."""
    return datetime.fromisoformat(json.loads(line)["requestReceivedTimestamp"])
