"""The latest version of an Image, for what follows it: Apps (`image_of.py`) and other Images (`bases.py`)."""

import contextlib
from typing import Any

from pydantic import ValidationError

from keelway.api.image import LatestImage
from keelway.api.resources import IMAGES
from keelway.cluster.cache import Cache
from keelway.errors import Waiting


def latest_version(cache: Cache, namespace: str, name: str) -> LatestImage:
    """Raises Waiting ImageNotFound or NoVersionYet."""
    raw = cache.get(IMAGES, namespace, name)
    if raw is None:
        raise Waiting(
            "ImageNotFound",
            f"There is no Image {name} in {namespace}. Create it; work goes on by itself then.",
        )
    latest = _latest(raw)
    if latest is None:
        raise Waiting(
            "NoVersionYet",
            f"Image {name} has no version yet. `kubectl describe image/{name}` shows how far it is.",
        )
    return latest


def _latest(raw: dict[str, Any]) -> LatestImage | None:
    status = raw.get("status")
    latest = status.get("latest") if isinstance(status, dict) else None
    # What cannot be read its Image's own pass writes anew.
    with contextlib.suppress(ValidationError):
        return LatestImage.model_validate(latest) if latest else None
    return None
