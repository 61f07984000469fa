"""PURE: the Image that is built on the dev cluster, an App that follows it, and the pods that are put beside them."""

from collections.abc import Sequence
from typing import Any, Final

from keelway.api.meta import API_VERSION

Object = dict[str, Any]

APP: Final = "web"
CHANGED: Final = "answer"
"""The inline file that changes: what the server answers with."""
_DOCKERFILE: Final = """\
FROM python:3.11-slim
COPY server.py answer /
USER 1000
CMD ["python", "/server.py"]
"""
_SERVER: Final = '''\
"""Gives its answer."""
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ANSWER = Path("/answer").read_bytes()


class Server(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(ANSWER)))
        self.end_headers()
        self.wfile.write(ANSWER)

    def log_message(self, *args):
        pass


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
ThreadingHTTPServer(("", 8080), Server).serve_forever()
'''
# Nobody ends one whose bench was killed.
_POD_SECONDS: Final = 3600


def image(namespace: str, name: str, answer: str, **spec: Any) -> Object:
    """An Image of a small server; of two that differ in `answer`, all layers but the last are the same."""
    files = {"Dockerfile": _DOCKERFILE, "server.py": _SERVER, CHANGED: answer}
    listed = [{"name": file, "content": content} for file, content in files.items()]
    return {
        "apiVersion": API_VERSION,
        "kind": "Image",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"source": {"inline": {"files": listed}}, **spec},
    }


def app(namespace: str) -> Object:
    """An App that follows the Image of its name, with what an App has by default: one pod, a TCP probe."""
    return {
        "apiVersion": API_VERSION,
        "kind": "App",
        "metadata": {"name": APP, "namespace": namespace},
        "spec": {"image": {"name": APP}, "ports": [{"name": "http", "port": 8080, "servicePort": 80}]},
    }


def url(namespace: str) -> str:
    """Where the App's Service answers."""
    return f"http://{APP}.{namespace}.svc/"


def pod(namespace: str, name: str, image: str, command: Sequence[str]) -> Object:
    """A pod of a build Job's security and resources (keelway/children/job.py); /tmp is its to write."""
    user = 65532
    container = {
        "name": "bench",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": list(command),
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "1Gi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "containers": [container],
            "restartPolicy": "Never",
            "activeDeadlineSeconds": _POD_SECONDS,
            "terminationGracePeriodSeconds": 0,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": user,
                "runAsGroup": user,
                "fsGroup": user,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "volumes": [{"name": "tmp", "emptyDir": {}}],
        },
    }


def is_ready(pod: Object) -> bool:
    """Whether Services may send it requests."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
