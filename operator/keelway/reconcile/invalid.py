"""Says of an object that its spec cannot be read: what all kinds do alike before their pass ends."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from keelway.api.resources import Resource
from keelway.cluster.client import Cluster
from keelway.cluster.events import Events
from keelway.errors import Invalid, Terminal
from keelway.status.conditions import invalid_status


async def tell_invalid(
    cluster: Cluster, events: Events, resource: Resource, raw: Mapping[str, Any], error: Terminal, now: datetime
) -> None:
    """The status says it. Where the API server refuses even that, an Event does: of an object that was stored under
    another schema it may take nothing any more, until its spec is corrected."""
    try:
        await cluster.patch_status(resource, raw, invalid_status(raw, error, now))
    except Invalid:
        await events.warning(raw, error.reason, error.message)
