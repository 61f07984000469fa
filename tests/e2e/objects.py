"""Objects that several tests apply."""

from typing import Any

from tests.kubectl import JsonObject

# What it is made of does not matter, so it needs no base image and no RUN.
EMPTY = "FROM scratch\nCOPY Dockerfile /\n"


def empty_image(dockerfile: str = EMPTY, name: str = "empty", **spec: Any) -> JsonObject:
    """An Image of nothing but its Dockerfile."""
    return {
        "apiVersion": "keelway.dev/v1alpha1",
        "kind": "Image",
        "metadata": {"name": name},
        "spec": {"source": {"inline": {"files": [{"name": "Dockerfile", "content": dockerfile}]}}, **spec},
    }
