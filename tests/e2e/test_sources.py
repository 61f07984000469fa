"""Sources of every kind become images: git followed by polling, archives over HTTP; and build options count."""

import pytest

from tests.e2e import archives
from tests.e2e.client import Client
from tests.e2e.commons import Forge
from tests.e2e.patience import eventually
from tests.e2e.tenant import Tenant

# printf three-eggs-and-a-secret | sha256sum
SHA256_OF_RECIPE = "c7eaec62c991befb04cc59a7931e1d8e1a39302b8ca6cbc1b4b8abcbeaf7d469"

FLASK_APP = """
from flask import Flask, jsonify

app = Flask(__name__)


@app.get("/")
def greet():
    return jsonify(greeting="{greeting}")
"""

FLASK_FILES = {
    "README.md": "Built from app/ alone.\n",
    "app/Dockerfile": """
FROM python:3.11-slim
COPY requirements.txt /
RUN pip install --no-cache-dir -r /requirements.txt
COPY app.py /
USER 1000
CMD ["flask", "--app", "/app", "run", "--host", "0.0.0.0", "--port", "8080"]
""",
    "app/requirements.txt": "flask==3.1.2\n",
}


@pytest.mark.long
def test_a_flask_app_follows_its_branch(tenant: Tenant, client: Client, forge: Forge) -> None:
    repository = forge.repository(tenant.namespace)
    first = repository.commit({**FLASK_FILES, "app/app.py": FLASK_APP.format(greeting="hello")})
    tenant.apply(
        {
            "apiVersion": "keelway.dev/v1alpha1",
            "kind": "Image",
            "metadata": {"name": "flask"},
            "spec": {
                "source": {"git": {"url": repository.url, "revision": "main", "subPath": "app"}},
                "poll": {"intervalSeconds": 10},
                "tests": [
                    {"name": "imports", "command": ["python", "-c", "import sys; sys.path.append('/'); import app"]}
                ],
            },
        },
        {
            "apiVersion": "keelway.dev/v1alpha1",
            "kind": "App",
            "metadata": {"name": "flask"},
            "spec": {
                "image": {"name": "flask"},
                "ports": [{"name": "http", "port": 8080, "servicePort": 80}],
                "probes": {"readiness": {"http": {"path": "/"}, "periodSeconds": 2}},
            },
        },
    )
    tenant.wait("app/flask")
    assert client.get("http://flask/").json() == {"greeting": "hello"}
    status = tenant.get("image/flask")["status"]
    assert status["latest"]["revision"] == first
    builds = len(tenant.builds("flask"))

    polled = status["nextCheckTime"]
    eventually("it polls", lambda: tenant.get("image/flask")["status"]["nextCheckTime"] > polled, 60)
    assert len(tenant.builds("flask")) == builds, "nothing new, nothing built"

    second = repository.commit({**FLASK_FILES, "app/app.py": FLASK_APP.format(greeting="hello again")})
    tenant.wait_for_app("flask", tenant.wait_for_version_after("flask", status["latest"]["version"]))
    client.must_hear("http://flask/", '{"greeting":"hello again"}')
    assert tenant.get("image/flask")["status"]["latest"]["revision"] == second
    build = tenant.builds("flask")[-1]["spec"]
    assert (build["reason"], build["revision"]) == ("SourceChanged", second)


@pytest.mark.parametrize("kind", ["tar.gz", "tar.zst", "zip"])
def test_an_archive_is_built_when_its_checksum_fits(kind: str, tenant: Tenant, forge: Forge) -> None:
    files = {
        "app-1.0/Dockerfile": "FROM python:3.11-slim\nCOPY answer /\nUSER 1000\n",
        "app-1.0/answer": f"packed as {kind}",
    }
    pack = {"tar.gz": archives.tar_gz, "tar.zst": archives.tar_zst, "zip": archives.zipped}[kind]
    url, sha256 = forge.publish(f"{tenant.namespace}.{kind}", pack(files))
    tenant.apply(
        {
            "apiVersion": "keelway.dev/v1alpha1",
            "kind": "Image",
            "metadata": {"name": "packed"},
            "spec": {
                "source": {"http": {"url": url, "sha256": sha256, "subPath": "app-1.0"}},
                "tests": [{"name": "holds-it", "command": ["grep", "-q", f"^packed as {kind}$", "/answer"]}],
            },
        }
    )
    tenant.wait("image/packed")
    assert tenant.get("image/packed")["status"]["latest"]["revision"] == f"sha256:{sha256}"


def test_build_options_count_and_secrets_stay_out_of_the_image(tenant: Tenant) -> None:
    dockerfile = (
        f"{tenant.dockerfile(base='python:3.11-slim AS first')}ARG FLAVOUR=plain\n"
        "RUN --mount=type=secret,id=recipe sha256sum /run/secrets/recipe > /seen && echo $FLAVOUR > /flavour\n"
        "USER 1000\n"
        "FROM first AS second\nRUN exit 1\n"
    )
    tenant.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "recipes"},
            "stringData": {"cake": "three-eggs-and-a-secret"},
        },
        {
            "apiVersion": "keelway.dev/v1alpha1",
            "kind": "Image",
            "metadata": {"name": "cake"},
            "spec": {
                "source": {"inline": {"files": [{"name": "docker/Cakefile", "content": dockerfile}]}},
                "build": {
                    "dockerfile": "docker/Cakefile",
                    "target": "first",
                    "args": [{"name": "FLAVOUR", "value": "lemon"}],
                    "secrets": [{"id": "recipe", "secretRef": {"name": "recipes", "key": "cake"}}],
                    "resources": {"limits": {"cpu": "1", "memory": "512Mi"}},
                },
                "tests": [
                    {"name": "flavour", "command": ["grep", "-qx", "lemon", "/flavour"]},
                    {"name": "saw-the-secret", "command": ["grep", "-q", SHA256_OF_RECIPE, "/seen"]},
                    {
                        "name": "without-secret",
                        "command": [
                            "sh",
                            "-c",
                            "! grep -rqs three.eggs.and /bin /etc /home /opt /root /run /srv /tmp /usr /var",
                        ],
                    },
                ],
            },
        },
    )
    tenant.wait("image/cake")
    build = tenant.builds("cake")[-1]
    assert "three-eggs" not in tenant.run("get", f"build/{build['metadata']['name']}", "-o", "yaml")
