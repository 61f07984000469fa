"""Objects that several tests apply."""

from typing import Any

from tests.kubectl import JsonObject, Kubectl

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


def kubelet_and_api_server(kubectl: Kubectl) -> tuple[str, str]:
    """host:port of either on the node's own address, which is no address of a pod or Service."""
    node = kubectl.json("get", "nodes")["items"][0]["status"]["addresses"][0]["address"]
    return f"{node}:10250", f"{node}:6443"
