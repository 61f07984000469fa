"""What all tests share in the namespace `keelway-e2e`: a client, the image `web`, and a forge.

The forge serves git repositories and files. It and `web` are built and run by Keelway itself, made by whoever comes
first and kept for the next run of the tests.
"""

import hashlib
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from tarfile import TarFile, TarInfo

from devcluster.settings import Registry
from tests.e2e.client import SCRIPTS, client_pod
from tests.e2e.patience import eventually
from tests.e2e.tenant import Tenant
from tests.kubectl import Kubectl

REGISTRY = Registry().host
"""The operator's own registry, as images name it."""
NAMESPACE = "keelway-e2e"
FORGE = f"http://forge.{NAMESPACE}.svc:8080"
PASSWORD = "open-sesame"
"""What the forge's private half asks for."""
FIRST_BUILD_SECONDS = 600
"""The forge installs git from Debian once."""

SMALL = {"requests": {"cpu": "10m", "memory": "32Mi"}}
"""What a test's pod asks for, so that many fit on a small node at once."""

WEB_PY = (SCRIPTS / "web.py").read_text()

WEB = {
    "apiVersion": "keelway.dev/v1alpha1",
    "kind": "Image",
    "metadata": {"name": "web"},
    "spec": {
        "source": {
            "inline": {
                "files": [
                    {
                        "name": "Dockerfile",
                        "content": "FROM python:3.11-slim\nCOPY web.py answer /\nUSER 1000\n"
                        'CMD ["python", "/web.py"]\n',
                    },
                    {"name": "web.py", "content": WEB_PY},
                    {"name": "answer", "content": "web\n"},
                ]
            }
        }
    },
}

FORGE_IMAGE = {
    "apiVersion": "keelway.dev/v1alpha1",
    "kind": "Image",
    "metadata": {"name": "forge"},
    "spec": {
        "source": {
            "inline": {
                "files": [
                    {
                        "name": "Dockerfile",
                        "content": "FROM python:3.11-slim\n"
                        "RUN apt-get update -q && apt-get install -y -q --no-install-recommends git \\\n"
                        "    && rm -rf /var/lib/apt/lists/* && install -d -o 1000 /srv\n"
                        "ENV HOME=/srv\n"
                        "RUN git config --system user.name keelway-e2e \\\n"
                        "    && git config --system user.email keelway-e2e@localhost \\\n"
                        "    && git config --system init.defaultBranch main\n"
                        "COPY forge.py commit.sh /\nUSER 1000\n"
                        'CMD ["python", "/forge.py"]\n',
                    },
                    {"name": "forge.py", "content": (SCRIPTS / "forge.py").read_text()},
                    {"name": "commit.sh", "content": (SCRIPTS / "commit.sh").read_text()},
                ]
            }
        }
    },
}

FORGE_APP = {
    "apiVersion": "keelway.dev/v1alpha1",
    "kind": "App",
    "metadata": {"name": "forge"},
    "spec": {
        "image": {"name": "forge"},
        "env": [{"name": "PASSWORD", "value": PASSWORD}],
        "ports": [{"name": "http", "port": 8080}],
        "probes": {"readiness": {"http": {"path": "/"}, "periodSeconds": 2}},
    },
}


def apply(kubectl: Kubectl) -> None:
    """The namespace, the images and the forge, without waiting for any of it."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}})
    kubectl.apply([client_pod(), WEB, FORGE_IMAGE, FORGE_APP], NAMESPACE)


@dataclass(frozen=True)
class Web:
    """The image `web` as pods may name it: `reference` by its digest, `tagged` by its version."""

    reference: str
    tagged: str

    @property
    def repository(self) -> str:
        """Without tag or digest."""
        return self.reference.partition("@")[0]


def web(kubectl: Kubectl) -> Web:
    """The image `web`, built."""
    commons = Tenant(kubectl, NAMESPACE)
    commons.wait("image/web", seconds=FIRST_BUILD_SECONDS)
    latest = commons.get("image/web")["status"]["latest"]
    repository = latest["reference"].partition("@")[0]
    return Web(latest["reference"], f"{repository}:{latest['version']}")


@dataclass(frozen=True)
class Repository:
    """A git repository in the forge."""

    forge: "Forge"
    name: str

    @property
    def url(self) -> str:
        """For everybody."""
        return f"{FORGE}/git/{self.name}"

    @property
    def private_url(self) -> str:
        """For whoever has the password."""
        return f"{FORGE}/private/git/{self.name}"

    def commit(self, files: Mapping[str, str], tag: str = "") -> str:
        """A new commit on the branch `main` that holds exactly these files; gives its id (40 hex digits)."""
        return self.forge.run("sh", "/commit.sh", self.name, tag, input=tar(files)).strip()


@dataclass(frozen=True)
class Forge:
    """The git and file server."""

    kubectl: Kubectl

    def wait(self) -> None:
        """Until it serves."""
        Tenant(self.kubectl, NAMESPACE).wait("app/forge", seconds=FIRST_BUILD_SECONDS)

    def repository(self, name: str) -> Repository:
        """A repository of that name, empty before its first commit."""
        return Repository(self, f"{name}.git")

    def publish(self, name: str, content: bytes) -> tuple[str, str]:
        """URL and sha256 of a file in the open half; below /private/files/ it asks for the password."""
        self.run("sh", "-c", 'cat > "/srv/files/$0"', name, input=content)
        return f"{FORGE}/files/{name}", hashlib.sha256(content).hexdigest()

    def admit(self, password: str) -> None:
        """From now on the private half opens to this password, too."""
        self.run("touch", f"/srv/passwords/{hashlib.sha256(password.encode()).hexdigest()}")

    def run(self, *command: str, input: bytes = b"") -> str:
        """What a command in the forge's pod prints."""

        def attempt() -> subprocess.CompletedProcess[bytes] | None:
            done = subprocess.run(
                self.kubectl.command("exec", "-i", "-n", NAMESPACE, "deploy/forge", "--", *command),
                input=input,
                capture_output=True,
                timeout=120,
                check=False,
            )
            return done if done.returncode == 0 else None

        return eventually(f"{command} works in the forge", attempt, 60).stdout.decode()


def tar(files: Mapping[str, str]) -> bytes:
    """The files as an uncompressed tar archive."""
    buffer = BytesIO()
    with TarFile(fileobj=buffer, mode="w") as archive:
        for name, text in files.items():
            entry = TarInfo(name)
            entry.size = len(text.encode())
            archive.addfile(entry, BytesIO(text.encode()))
    return buffer.getvalue()
