"""Writes the status of an Image or App; where the API server refuses even that, an Event tells what it would have said.

It refuses where the object has no room left in etcd (1.5 MiB), and where it was stored under another schema: it checks
the whole object again.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from keelway.api.resources import Resource
from keelway.cluster.client import Cluster
from keelway.cluster.events import Events
from keelway.errors import Invalid, Terminal
from keelway.status.conditions import invalid_status


async def write_status(
    cluster: Cluster, events: Events, resource: Resource, raw: Mapping[str, Any], status: Mapping[str, Any]
) -> None:
    """Make that the status. Raises Terminal `StatusRefused` where only a change of the object can cure it."""
    try:
        await cluster.patch_status(resource, raw, status)
    except Invalid as error:
        refused = Terminal("StatusRefused", f"The status cannot be written. {error.message}")
        await events.warning(raw, refused.reason, refused.message)
        raise refused from error


async def write_invalid(
    cluster: Cluster, events: Events, resource: Resource, raw: Mapping[str, Any], error: Terminal, now: datetime
) -> None:
    """Say of an object that its spec cannot be read, and why."""
    try:
        await cluster.patch_status(resource, raw, invalid_status(raw, error, now))
    except Invalid:
        await events.warning(raw, error.reason, error.message)
