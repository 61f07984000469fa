"""`make demo`: from nothing to an App that answers over HTTP, every step shown with its time."""

import re
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from devcluster.catalogue import Catalogue
from devcluster.deploy import Kubectl, deploy
from devcluster.errors import DevclusterError
from devcluster.progress import Progress
from devcluster.settings import REPOSITORY, Settings
from devcluster.up import up

_EXAMPLE: Final = REPOSITORY / "examples" / "hello"
_CALL: Final = "kubectl port-forward service/hello 8080:80 & curl http://localhost:8080/"
_NEXT: Final = """
Three things to try, after this line in your shell:

  export PATH={path}:$PATH KUBECONFIG={kubeconfig}

1. Change the greeting in examples/hello/hello.yaml, apply it, and watch the new version roll out (end with Ctrl-C):
     kubectl apply --server-side -f examples/hello && kubectl get apps -w
2. Break its Dockerfile in the same way. The old version serves on, and this says what is wrong:
     kubectl describe image/hello
3. Delete the Deployment. It is back before you can look:
     kubectl delete deployment/hello && kubectl get deployment/hello
"""


def demo(settings: Settings, progress: Progress, catalogue: Catalogue) -> None:
    """Bring up, deploy, apply the example, wait, call it, show it. Raises DevclusterError."""
    up(settings, progress, catalogue)
    deploy(settings, progress, catalogue)
    with progress.step("apply examples/hello") as step:
        kubectl = Kubectl(settings, step.log)
        kubectl("apply", "--server-side", "--force-conflicts", "-f", str(_EXAMPLE))
    with progress.step("wait until the Image is built and tested") as step:
        Kubectl(settings, step.log)("wait", "--for=condition=Ready", "image/hello", "--timeout=300s", timeout=320)
    with progress.step("wait until the App serves") as step:
        Kubectl(settings, step.log)("wait", "--for=condition=Ready", "app/hello", "--timeout=180s", timeout=200)
    with progress.step("call it over HTTP") as step:
        answer = _call(Kubectl(settings, step.log))
    table = Kubectl(settings, step.log)("get", "images,builds,apps")
    there = _NEXT.format(path=settings.bin, kubeconfig=settings.kubeconfig)
    print(f"\n$ kubectl get images,builds,apps\n{table}\n$ {_CALL}\n{answer}{there}")


def _call(kubectl: Kubectl) -> str:
    with _forwarded(kubectl) as port, urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
        body: bytes = answer.read()
    return body.decode()


@contextmanager
def _forwarded(kubectl: Kubectl) -> Iterator[int]:
    """A local port that leads to the App's Service, for as long as the block lasts."""
    command = [*kubectl.command(), "port-forward", "--address=127.0.0.1", "service/hello", ":80"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            found = re.search(r"127\.0\.0\.1:(\d+)", process.stdout.readline())
            if found is None:
                assert process.stderr is not None
                process.terminate()
                raise DevclusterError(f"kubectl port-forward did not start: {process.stderr.read().strip()}")
            yield int(found[1])
        finally:
            process.terminate()
