"""What the API server makes of the CRDs: which objects it takes, which it refuses and in which words.

Every object is sent as a server-side dry run, so nothing is stored, but where a test says otherwise.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest

from tests.integration.conftest import NAMESPACE
from tests.kubectl import Kubectl

JsonObject = dict[str, Any]

API_VERSION = "keelway.dev/v1alpha1"
FILES = [{"name": "Dockerfile", "content": "FROM scratch\n"}]
INLINE = {"inline": {"files": FILES}}
SHA256 = "a" * 64
SHELL = ["sh", "-c", "true"]


def image(name: str = "hello", **spec: Any) -> JsonObject:
    return thing("Image", name, {"source": INLINE, **spec})


def source(**member: Any) -> JsonObject:
    return image(source=member)


def files(*names: str, content: str = "") -> JsonObject:
    return source(inline={"files": [{"name": name, "content": content} for name in names]})


def git(**fields: Any) -> JsonObject:
    return source(git={"url": "https://git.example.com/team/hello.git", **fields})


def http(**fields: Any) -> JsonObject:
    return source(http={"url": "https://example.com/hello.tar.gz", "sha256": SHA256, **fields})


def with_test(**fields: Any) -> JsonObject:
    return image(tests=[{"name": "answers", "command": SHELL, **fields}])


def calver(form: str) -> JsonObject:
    return image(version={"scheme": "CalVer", "format": form})


def template(text: str) -> JsonObject:
    return image(version={"scheme": "Template", "template": text})


def app(name: str = "hello", **spec: Any) -> JsonObject:
    return thing("App", name, {"image": {"name": "hello"}, **spec})


def ports(*given: JsonObject) -> JsonObject:
    return app(ports=[{"name": f"p{number}", "port": 8000 + number, **port} for number, port in enumerate(given)])


def readiness(**probe: Any) -> JsonObject:
    return app(ports=[{"name": "http", "port": 80}], probes={"readiness": probe})


def env(**fields: Any) -> JsonObject:
    return app(env=[{"name": "A", **fields}])


def build(**changes: Any) -> JsonObject:
    spec = {
        "image": "hello",
        "number": 7,
        "reason": "SpecChanged",
        "revision": f"sha256:{SHA256}",
        "source": INLINE,
        "repository": "registry.example.com:5000/team/hello",
    }
    return thing("Build", "hello-7", {**spec, **changes})


def thing(kind: str, name: str, spec: JsonObject) -> JsonObject:
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}


ACCEPTED = {
    # names
    "a name of one letter": app("a"),
    "a name of 40 characters": image("a" * 40),
    # sources
    "inline files in directories": files("Dockerfile", "app/main.py", ".dockerignore", "a..b/c...d"),
    "100 inline files": files(*(f"f{number}" for number in range(100))),
    "256 KiB of inline text": files("Dockerfile", content="x" * 262144),
    "a ConfigMap": source(configMap={"name": "hello-source"}),
    "git": git(),
    "git at a tag, below a directory, with credentials": git(
        revision="release/v1.2", subPath="./services/web", secretRef={"name": "git"}
    ),
    "git at a commit": git(revision="0123456789abcdef0123456789abcdef01234567"),
    "git over plain http, on a port, at an address": source(git={"url": "http://[fd00::1]:3000/a.git"}),
    "git with an @ in the path": source(git={"url": "https://example.com/@team/a.git"}),
    "http": http(subPath="hello-1.0/"),
    "http with a signed URL": http(url="https://example.com/a.zip?X-Signature=abc%20d&e=f#x"),
    # build
    "all of build": image(
        build={
            "dockerfile": "docker/Dockerfile.prod",
            "target": "run",
            "args": [{"name": "VERSION", "value": "1"}, {"name": "EMPTY"}, {"name": "MY_BUILDKIT_X"}],
            "images": [{"name": "below", "image": "base"}, {"name": "tools-2", "image": "base"}],
            "secrets": [{"id": "npmrc", "secretRef": {"name": "npm", "key": ".npmrc"}}],
            "timeoutSeconds": 86400,
            "resources": {"limits": {"cpu": 2, "memory": "4Gi"}},
            "network": "None",
            "cache": {"mode": "Max"},
            "noCache": True,
            "priority": "Low",
            "provenance": "None",
            "sbom": True,
        }
    ),
    "all of output": image(output={"compression": {"type": "Zstd", "level": 22}, "timestamp": "Source"}),
    "gzip at its highest level": image(output={"compression": {"type": "Gzip", "level": 9}}),
    "a repository with a port and a path": image(repository="registry.example.com:5000/team-a/my__app.web"),
    "poll, history and suspend at their bounds": image(
        poll={"intervalSeconds": 10}, history={"limit": 100}, suspend=True, pushSecretRef={"name": "push"}
    ),
    # versions
    "versions from git tags": image(version={"scheme": "SemVer", "bump": "Major"}),
    "versions by the calendar": image(version={"scheme": "CalVer", "format": "YYYY0M0D-MICRO"}, tags=["latest"]),
    "versions by year and number": image(version={"scheme": "CalVer", "format": "YY.MICRO"}),
    "versions by a template": image(
        version={"scheme": "Template", "template": "web_{number}-{revision}.{shortRevision}{date}"}
    ),
    "20 tags": image(tags=[f"t{number}" for number in range(20)]),
    "tags that are close to versions": image(tags=["v", "v1.2", "3.11", "1.2", "latest", "build", "build-x", "_"]),
    "a pin": image(pin="v12"),
    "a pin with build metadata": image(pin="1.2.3-rc.1+8", tags=["stable"]),
    # tests
    "a test by command": with_test(),
    "a test by args": image(tests=[{"name": "a", "args": ["--self-test"]}]),
    "all of a test": with_test(
        args=["a"],
        env=[{"name": "A", "value": ""}],
        timeoutSeconds=1,
        security="Baseline",
        resources={"limits": {"memory": "64Mi"}},
    ),
    "20 tests": image(tests=[{"name": f"t{number}", "command": SHELL} for number in range(20)]),
    # builds
    "a build": build(),
    # apps
    "an image of Keelway's": app(),
    "a short image reference": app(image={"reference": "nginx"}),
    "a full image reference": app(image={"reference": f"host-1.example:5000/a_b/c-d.e:V1.2-x@sha256:{SHA256}"}),
    "command, args, env and envFrom": app(
        command=SHELL,
        args=["--verbose"],
        env=[
            {"name": "PLAIN", "value": "1"},
            {"name": "EMPTY"},
            {"name": "SECRET", "valueFrom": {"secretKeyRef": {"name": "s", "key": "a.b", "optional": True}}},
            {"name": "CONFIG", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "K_1"}}},
            {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "TIER", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['example.com/tier']"}}},
            {"name": "LIMIT", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1m"}}},
        ],
        envFrom=[{"prefix": "DB_", "secretRef": {"name": "s"}}, {"configMapRef": {"name": "c", "optional": True}}],
    ),
    "200 variables": app(env=[{"name": f"V{number}", "value": "x"} for number in range(200)]),
    "ports at their bounds": ports({"port": 1}, {"port": 65535, "servicePort": 80}),
    "a port name of 15 characters": ports({"name": "abcdefghijklm-1"}),
    "one number for two protocols": ports({"port": 53}, {"port": 53, "protocol": "UDP"}),
    "servicePorts that change places": ports({"port": 1, "servicePort": 2}, {"port": 2, "servicePort": 1}),
    "an http probe of the first port": readiness(http={"path": "/healthz?full=1"}),
    "an http probe with everything": readiness(
        http={"port": 80, "scheme": "HTTPS", "httpHeaders": [{"name": "Host", "value": "example.com"}]},
        initialDelaySeconds=5,
        periodSeconds=1,
        timeoutSeconds=2,
        successThreshold=2,
        failureThreshold=30,
    ),
    "a tcp probe of a named port": readiness(tcp={"port": "http"}),
    "an exec probe without ports": app(probes={"liveness": {"exec": {"command": SHELL}}}),
    "a probe with its own port, without ports": app(probes={"startup": {"tcp": {"port": 5432}}}),
    "resources as numbers, fractions and of other names": app(
        resources={
            "requests": {"cpu": 1, "memory": "1.5Gi", "ephemeral-storage": "1G"},
            "limits": {"example.com/gpu": 1, "hugepages-2Mi": "4Mi", "cpu": "500m"},
        }
    ),
    "no replicas": app(replicas=0),
    "1000 replicas": app(replicas=1000),
    "autoscale by default": app(autoscale={"maxReplicas": 1}),
    "all of autoscale": app(
        autoscale={
            "minReplicas": 2,
            "maxReplicas": 1000,
            "cpuPercent": 150,
            "memoryPercent": 70,
            "behavior": {
                "scaleUp": {"stabilizationWindowSeconds": 0, "selectPolicy": "Max"},
                "scaleDown": {"policies": [{"type": "Percent", "value": 10, "periodSeconds": 1800}]},
            },
        }
    ),
    "root with Baseline": app(security="Baseline", securityContext={"runAsUser": 0, "runAsNonRoot": False}),
    "all of securityContext": app(
        securityContext={
            "runAsUser": 1000,
            "runAsGroup": 1000,
            "runAsNonRoot": True,
            "readOnlyRootFilesystem": True,
            "fsGroup": 1000,
            "supplementalGroups": [2000, 3000],
        }
    ),
    "all of podTemplate": app(
        podTemplate={
            "labels": {"team": "a", "example.com/tier": "", "sub.keelway.dev/x": "y"},
            "annotations": {"prometheus.io/scrape": "true"},
            "nodeSelector": {"kubernetes.io/arch": "amd64"},
            "tolerations": [
                {"operator": "Exists"},
                {"key": "gpu", "value": "yes", "effect": "NoSchedule"},
                {"key": "down", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60},
            ],
        }
    ),
    "serviceAccountName, pullSecrets and suspend": app(
        serviceAccountName="web", pullSecrets=[{"name": "a"}, {"name": "b"}], suspend=True
    ),
}

ONE_SOURCE = "exactly one of inline, configMap, git, http must be given"
INSIDE = "must be a relative path that stays inside the source"
A_FILE = "must name a file"
AN_URL = "must start with https://"
A_REPOSITORY = "must be a repository such as"
A_REFERENCE = "must be an image reference such as"
NO_SECRETS_IN_URLS = "must not contain credentials"
A_REVISION = "must be a branch, a tag or a full commit"
ONE_PROBE = "exactly one of http, tcp, exec must be given"
ONE_ENV_SOURCE = "exactly one of secretKeyRef, configMapKeyRef, fieldRef, resourceFieldRef must be given"
OURS = "are Keelway's own"

REFUSED = {
    # names
    "a name of 41 characters": (image("a" * 41), "metadata.name must have at most 40 characters"),
    "an app's name of 41 characters": (app("a" * 41), "metadata.name must have at most 40 characters"),
    "a name with a digit in front": (image("1a"), "metadata.name must be lower case letters, digits and '-'"),
    "an app's name with a dot": (app("a.b"), "metadata.name must be lower case letters, digits and '-'"),
    # sources
    "no source": (source(), ONE_SOURCE),
    "no source at all": (thing("Image", "hello", {}), "spec.source: Required value"),
    "no spec": ({"apiVersion": API_VERSION, "kind": "Image", "metadata": {"name": "a"}}, "spec: Required value"),
    "two sources": (source(**INLINE, configMap={"name": "a"}), ONE_SOURCE),
    "four sources": (
        source(**INLINE, configMap={"name": "a"}, git={"url": "https://a.b/c"}, http=http()["spec"]["source"]["http"]),
        ONE_SOURCE,
    ),
    "a misspelt field": (source(inlin={}), 'unknown field "spec.source.inlin"'),
    "no files": (source(inline={"files": []}), "should have at least 1 items"),
    "an absolute file": (files("/etc/passwd"), INSIDE),
    "a file in the parent directory": (files("../Dockerfile"), INSIDE),
    "a file out by the middle": (files("a/../../b"), INSIDE),
    "a file that ends in ..": (files("a/.."), INSIDE),
    "a file called ..": (files(".."), INSIDE),
    "a backslash in a file name": (files("a\\b"), INSIDE),
    "a NUL in a file name": (files("a\0b"), INSIDE),
    "a line break in a file name": (files("a\nb"), INSIDE),
    "a directory for a file": (files("a/"), A_FILE),
    "a file called .": (files("."), A_FILE),
    "an empty segment in a file name": (files("a//b"), A_FILE),
    "a . segment in a file name": (files("./Dockerfile"), A_FILE),
    "an empty file name": (files(""), "should be at least 1 chars long"),
    "a file name of 256 characters": (files("a" * 256), "Too long"),
    "the same file twice": (files("Dockerfile", "Dockerfile"), "Duplicate value"),
    "101 files": (files(*(f"f{number}" for number in range(101))), "Too many"),
    "more than 256 KiB in one file": (files("Dockerfile", content="x" * 262145), "Too long"),
    "more than 256 KiB in all": (
        files("a", "b", content="x" * 131073),
        "the files may have at most 262144 characters in all",
    ),
    "a ConfigMap's name in upper case": (source(configMap={"name": "Source"}), "configMap.name"),
    "git over ssh": (git(url="ssh://git@example.com/a.git"), AN_URL),
    "git in scp's form": (git(url="git@example.com:a.git"), AN_URL),
    "a file as git URL": (git(url="file:///etc"), AN_URL),
    "a git URL without a host": (git(url="https:///a.git"), AN_URL),
    "credentials in the git URL": (git(url="https://user:secret@example.com/a.git"), NO_SECRETS_IN_URLS),
    "a user in the git URL": (git(url="https://user@example.com/a.git"), NO_SECRETS_IN_URLS),
    "a space in the git URL": (git(url="https://example.com/a b.git"), "must not contain spaces"),
    "a line break in the git URL": (git(url="https://example.com/a\n.git"), "must not contain spaces"),
    "a backslash in the git URL": (git(url="https://example.com\\@evil.com/"), "must not contain spaces"),
    "a revision in the git URL": (git(url="https://example.com/a.git#main"), "give it in revision"),
    "a git URL past its bound": (git(url="https://example.com/" + "a" * 2048), "Too long"),
    "a revision with a space": (git(revision="my branch"), A_REVISION),
    "a revision that looks like an option": (git(revision="--upload-pack=x"), A_REVISION),
    "a range of revisions": (git(revision="a..b"), A_REVISION),
    "a revision relative to another": (git(revision="HEAD~1"), A_REVISION),
    "a revision past its bound": (git(revision="a" * 256), "Too long"),
    "a git subPath out of the tree": (git(subPath="a/../../b"), INSIDE),
    "an absolute subPath of an archive": (http(subPath="/a"), INSIDE),
    "http without sha256": (source(http={"url": "https://example.com/a.zip"}), "sha256: Required value"),
    "a sha256 of 63 digits": (http(sha256="a" * 63), "sha256"),
    "a sha256 that is none": (http(sha256="z" * 64), "should match '^[a-f0-9]{64}$'"),
    "ftp": (http(url="ftp://example.com/a.zip"), AN_URL),
    "credentials in the archive's URL": (http(url="https://a:b@example.com/a.zip"), NO_SECRETS_IN_URLS),
    # build
    "a Dockerfile out of the source": (image(build={"dockerfile": "../Dockerfile"}), INSIDE),
    "a build argument of the build service": (
        image(build={"args": [{"name": "BUILDKIT_CACHE_MOUNT_NS", "value": "x"}]}),
        "names that begin with BUILDKIT_ are reserved",
    ),
    "a build argument that is no name": (image(build={"args": [{"name": "A-B"}]}), "should match"),
    "the same build argument twice": (image(build={"args": [{"name": "A"}, {"name": "A"}]}), "Duplicate value"),
    "101 build arguments": (image(build={"args": [{"name": f"A{n}"} for n in range(101)]}), "Too many"),
    "the same secret twice": (
        image(build={"secrets": [{"id": "a", "secretRef": {"name": "x"}}] * 2}),
        "Duplicate value",
    ),
    "a secret id that is a path": (
        image(build={"secrets": [{"id": "../a", "secretRef": {"name": "x"}}]}),
        "should match",
    ),
    "a level that gzip has not": (
        image(output={"compression": {"type": "Gzip", "level": 10}}),
        "level must be 0 to 9 for Gzip",
    ),
    "a compression without its type": (image(output={"compression": {"level": 3}}), "type: Required value"),
    "a network of the daemon's": (image(build={"network": "Host"}), "Unsupported value"),
    "a value that YAML takes for a boolean": (image(build={"provenance": False}), "must be of type string"),
    "an Image that is used under a name of BuildKit's": (
        image(build={"images": [{"name": "scratch", "image": "base"}]}),
        "mean something else to BuildKit already",
    ),
    "an Image that is used under the number of a stage": (
        image(build={"images": [{"name": "0", "image": "base"}]}),
        "should match",
    ),
    "two Images of one name": (image(build={"images": [{"name": "a", "image": "b"}] * 2}), "Duplicate value"),
    "a look at base images each second": (
        image(poll={"baseImagesIntervalSeconds": 1}),
        "must be 0 (never look) or at least 60",
    ),
    "a build timeout of nothing": (image(build={"timeoutSeconds": 9}), "greater than or equal to 10"),
    "a build timeout past a day": (image(build={"timeoutSeconds": 86401}), "less than or equal to 86400"),
    "a build timeout that is a float": (image(build={"timeoutSeconds": 10.5}), "must be of type integer"),
    "memory that is no quantity": (image(build={"resources": {"limits": {"memory": "2 GB"}}}), "should match"),
    "a repository with a scheme": (image(repository="https://example.com/a"), A_REPOSITORY),
    "a repository with a tag": (image(repository="example.com/a:v1"), A_REPOSITORY),
    "a repository with a digest": (image(repository=f"example.com/a@sha256:{SHA256}"), A_REPOSITORY),
    "a repository in upper case": (image(repository="example.com/Team/a"), A_REPOSITORY),
    "a repository with ..": (image(repository="example.com/team/../b"), A_REPOSITORY),
    "a repository past its bound": (image(repository="example.com/" + "a" * 250), "Too long"),
    "a poll every 9 seconds": (image(poll={"intervalSeconds": 9}), "must be 0 (look only when asked) or at least 10"),
    "a history of nothing": (image(history={"limit": 0}), "greater than or equal to 1"),
    "a history of 101": (image(history={"limit": 101}), "less than or equal to 100"),
    # versions
    "a scheme of one's own": (image(version={"scheme": "Zodiac"}), "Unsupported value"),
    "a bump without SemVer": (image(version={"bump": "Major"}), "bump is for scheme SemVer alone"),
    "a format without CalVer": (image(version={"format": "YYYY.MICRO"}), "format is for scheme CalVer alone"),
    "a template without Template": (
        image(version={"template": "{number}"}),
        "template must be given with scheme Templ",
    ),
    "Template without a template": (image(version={"scheme": "Template"}), "template must be given with scheme Templ"),
    "a format without MICRO": (calver("YYYY.0M.0D"), "then MICRO"),
    "a format whose day comes first": (calver("0D.0M.YYYY.MICRO"), "then MICRO"),
    "a format that could be read in two ways": (calver("YYYYMMDD.MICRO"), "then MICRO"),
    "a template with a part that is not known": (template("{colour}-{number}"), "and {number}, {revision}"),
    "a template with a plus": (template("1+{number}"), "and {number}, {revision}"),
    "a template in the operator's own words": (template("build-{number}"), "must not begin with"),
    "a template with a dot in front": (template(".{number}"), "must not begin with"),
    "a tag that looks like a version": (image(tags=["v7"]), "must not look like a version"),
    "a tag that looks like a semantic version": (image(tags=["1.2.3_4"]), "must not look like a version"),
    "a technical tag": (image(tags=["build-7"]), "must not look like a version"),
    "a tag with a slash": (image(tags=["a/b"]), "should match"),
    "a tag of 129 characters": (image(tags=["a" * 129]), "Too long"),
    "the same tag twice": (image(tags=["a", "a"]), "Duplicate value"),
    "21 tags": (image(tags=[f"t{n}" for n in range(21)]), "Too many"),
    "a tag that may be a version by the calendar": (
        image(version={"scheme": "CalVer"}, tags=["2026.1"]),
        "with scheme CalVer tags must not begin with a digit",
    ),
    "a pin to a technical tag": (image(pin="build-7"), "must be a version"),
    "a pin to a tag that moves": (image(pin="stable", tags=["stable"]), "pin names one of tags"),
    # tests
    "a test with nothing to run": (image(tests=[{"name": "a"}]), "a test needs command or args"),
    "a test with two checks": (
        image(tests=[{"name": "a", "check": {"tcp": {"port": 1}, "http": {"port": 1}}}]),
        "exactly one of http, tcp, exec must be given",
    ),
    "a test with a check of no port": (
        image(tests=[{"name": "a", "check": {"tcp": {"port": 0}}}]),
        "greater than or equal",
    ),
    "two services of a test on one port": (
        image(
            tests=[
                {
                    "name": "a",
                    "command": ["true"],
                    "services": [{"name": "one", "ports": [80, 81]}, {"name": "two", "ports": [81]}],
                }
            ]
        ),
        "give each port to one of them only",
    ),
    "two services of one name": (
        image(tests=[{"name": "a", "command": ["true"], "services": [{"name": "one"}, {"name": "one"}]}]),
        "Duplicate value",
    ),
    "a test with an empty command": (image(tests=[{"name": "a", "command": []}]), "a test needs command or args"),
    "a test in capitals": (with_test(name="Answers"), "should match"),
    "a test's name of 41 characters": (with_test(name="a" * 41), "Too long"),
    "two tests of one name": (image(tests=[{"name": "a", "command": SHELL}] * 2), "Duplicate value"),
    "21 tests": (image(tests=[{"name": f"t{n}", "command": SHELL} for n in range(21)]), "Too many"),
    "a privileged test": (with_test(security="Privileged"), 'supported values: "Restricted", "Baseline"'),
    "a test without time": (with_test(timeoutSeconds=0), "greater than or equal to 1"),
    # builds
    "a build's reason of one's own": (build(reason="Because"), "Unsupported value"),
    "build number 0": (build(number=0), "greater than or equal to 1"),
    # images of apps
    "no image": (app(image={}), "exactly one of name, reference must be given"),
    "two images": (
        app(image={"name": "a", "reference": "nginx"}),
        "exactly one of name, reference must be given",
    ),
    "a reference with a scheme": (app(image={"reference": "docker://nginx"}), A_REFERENCE),
    "a reference with a space": (app(image={"reference": "nginx 1.27"}), A_REFERENCE),
    "a reference in upper case": (app(image={"reference": "example.com/Nginx"}), A_REFERENCE),
    "a reference with half a digest": (app(image={"reference": "nginx@sha256:abc"}), A_REFERENCE),
    # environment
    "value and valueFrom": (
        env(value="1", valueFrom={"secretKeyRef": {"name": "s", "key": "k"}}),
        "give either value or valueFrom, not both",
    ),
    "an empty valueFrom": (env(valueFrom={}), ONE_ENV_SOURCE),
    "two sources of a value": (
        env(
            valueFrom={
                "secretKeyRef": {"name": "s", "key": "k"},
                "configMapKeyRef": {"name": "s", "key": "k"},
            }
        ),
        ONE_ENV_SOURCE,
    ),
    "a field that pods do not have": (
        env(valueFrom={"fieldRef": {"fieldPath": "spec.containers"}}),
        "must be metadata.name, metadata.namespace",
    ),
    "a resource that containers do not have": (
        env(valueFrom={"resourceFieldRef": {"resource": "cpu"}}),
        "Unsupported value",
    ),
    "a variable whose name has a =": (app(env=[{"name": "A=B"}]), "should match"),
    "a variable that is a number": (env(value=1), "must be of type string"),
    "the same variable twice": (app(env=[{"name": "A"}, {"name": "A"}]), "Duplicate value"),
    "201 variables": (app(env=[{"name": f"V{n}"} for n in range(201)]), "Too many"),
    "a value past its bound": (env(value="x" * 32769), "Too long"),
    "envFrom from nowhere": (app(envFrom=[{}]), "exactly one of configMapRef, secretRef must be given"),
    "envFrom from two places": (
        app(envFrom=[{"configMapRef": {"name": "a"}, "secretRef": {"name": "a"}}]),
        "exactly one of configMapRef, secretRef must be given",
    ),
    # ports
    "port 0": (ports({"port": 0}), "greater than or equal to 1"),
    "port 65536": (ports({"port": 65536}), "less than or equal to 65535"),
    "a port that is a string": (ports({"port": "http"}), "must be of type integer"),
    "servicePort 0": (ports({"servicePort": 0}), "greater than or equal to 1"),
    "a port name of 16 characters": (ports({"name": "a" * 16}), "Too long"),
    "a port name of digits": (ports({"name": "80"}), "IANA service name"),
    "a port name in capitals": (ports({"name": "HTTP"}), "IANA service name"),
    "a port name with two hyphens": (ports({"name": "a--b"}), "IANA service name"),
    "an unknown protocol": (ports({"protocol": "HTTP"}), 'supported values: "TCP", "UDP", "SCTP"'),
    "two ports of one name": (ports({"name": "http"}, {"name": "http"}), "Duplicate value"),
    "two ports of one number": (
        ports({"port": 80}, {"port": 80, "servicePort": 81}),
        "two ports have the same port and protocol",
    ),
    "two ports of one servicePort": (
        ports({"port": 80}, {"port": 8080, "servicePort": 80}),
        "two ports have the same servicePort",
    ),
    "33 ports": (ports(*({} for _ in range(33))), "Too many"),
    # probes
    "an empty probe": (readiness(), ONE_PROBE),
    "a probe of two kinds": (readiness(http={}, tcp={}), ONE_PROBE),
    "a probe path without a /": (readiness(http={"path": "healthz"}), "should match"),
    "probe port 0": (readiness(tcp={"port": 0}), "greater than or equal to 1"),
    "probe port 65536": (readiness(http={"port": 65536}), "less than or equal to 65535"),
    "a probe port that is no name": (readiness(http={"port": "no name"}), "should match"),
    "an empty probe command": (readiness(exec={"command": []}), "should have at least 1 items"),
    "a probe without a port, without ports": (
        app(probes={"startup": {"tcp": {}}}),
        "a probe without port needs an entry in ports",
    ),
    "a liveness probe that must succeed twice": (
        app(probes={"liveness": {"exec": {"command": SHELL}, "successThreshold": 2}}),
        "liveness.successThreshold must be 1",
    ),
    "a startup probe that must succeed twice": (
        app(probes={"startup": {"exec": {"command": SHELL}, "successThreshold": 2}}),
        "startup.successThreshold must be 1",
    ),
    "a probe without a pause": (readiness(tcp={}, periodSeconds=0), "greater than or equal to 1"),
    # resources
    "an unknown resource": (app(resources={"limits": {"ram": "1Gi"}}), "resource names are cpu, memory"),
    "a negative request": (app(resources={"requests": {"cpu": "-1"}}), "should match"),
    "a negative whole request": (app(resources={"requests": {"cpu": -1}}), "greater than or equal to 0"),
    "a request that is a float": (app(resources={"requests": {"cpu": 0.5}}), "must be of type integer,string"),
    # scale
    "replicas and autoscale": (
        app(replicas=1, autoscale={"maxReplicas": 2}),
        "give either replicas or autoscale, not both",
    ),
    "minus one replica": (app(replicas=-1), "greater than or equal to 0"),
    "1001 replicas": (app(replicas=1001), "less than or equal to 1000"),
    "min above max": (
        app(autoscale={"minReplicas": 3, "maxReplicas": 2}),
        "minReplicas must not be more than maxReplicas",
    ),
    "autoscale without max": (app(autoscale={}), "maxReplicas: Required value"),
    "autoscale to nothing": (app(autoscale={"minReplicas": 0, "maxReplicas": 2}), "greater than or equal to 1"),
    "a target of 0 percent": (app(autoscale={"maxReplicas": 2, "cpuPercent": 0}), "greater than or equal to 1"),
    "a behavior without policies": (
        app(autoscale={"maxReplicas": 2, "behavior": {"scaleUp": {"policies": []}}}),
        "should have at least 1 items",
    ),
    "a stabilization past an hour": (
        app(autoscale={"maxReplicas": 2, "behavior": {"scaleDown": {"stabilizationWindowSeconds": 3601}}}),
        "less than or equal to 3600",
    ),
    # security
    "privileged": (app(security="Privileged"), 'supported values: "Restricted", "Baseline"'),
    "root with Restricted": (app(securityContext={"runAsUser": 0}), "does not allow runAsUser 0 (root)"),
    "perhaps root with Restricted": (
        app(securityContext={"runAsNonRoot": False}),
        "does not allow runAsNonRoot: false",
    ),
    "a user past its bound": (app(securityContext={"runAsUser": 2147483648}), "less than or equal to 2147483647"),
    # pod template
    "a standard label": (app(podTemplate={"labels": {"app.kubernetes.io/name": "x"}}), OURS),
    "a label of Keelway's": (app(podTemplate={"labels": {"keelway.dev/app": "x"}}), OURS),
    "an annotation of Keelway's": (app(podTemplate={"annotations": {"keelway.dev/wanted-hash": "x"}}), OURS),
    "a label key with a space": (app(podTemplate={"labels": {"a b": "x"}}), "keys must be of the form"),
    "a label value with a space": (app(podTemplate={"labels": {"a": "b c"}}), "should match"),
    "a label value of 64 characters": (app(podTemplate={"labels": {"a": "b" * 64}}), "Too long"),
    "a toleration of nothing": (
        app(podTemplate={"tolerations": [{"value": "a"}]}),
        "without key the operator must be Exists",
    ),
    "a toleration with a value too many": (
        app(podTemplate={"tolerations": [{"key": "a", "operator": "Exists", "value": "b"}]}),
        "with operator Exists no value may be given",
    ),
    "tolerationSeconds without NoExecute": (
        app(podTemplate={"tolerations": [{"key": "a", "operator": "Exists", "tolerationSeconds": 1}]}),
        "tolerationSeconds needs effect NoExecute",
    ),
    "the same pull secret twice": (app(pullSecrets=[{"name": "a"}, {"name": "a"}]), "Duplicate value"),
    "a ServiceAccount in capitals": (app(serviceAccountName="Web"), "should match"),
}


def dry_run(kubectl: Kubectl, wanted: JsonObject) -> JsonObject:
    """The object as the API server would store it."""
    stored: JsonObject = json.loads(
        kubectl.run(
            "create", "--dry-run=server", f"-n={NAMESPACE}", "-o", "json", "-f", "-", input=json.dumps(wanted)
        ).stdout
    )
    return stored


def conditions(ready: str, reason: str, message: str) -> list[JsonObject]:
    return [
        {
            "type": "Ready",
            "status": ready,
            "reason": reason,
            "message": message,
            "lastTransitionTime": "2026-01-02T03:04:05Z",
        }
    ]


@pytest.mark.parametrize("wanted", ACCEPTED.values(), ids=ACCEPTED)
def test_takes(crds: Kubectl, wanted: JsonObject) -> None:
    assert dry_run(crds, wanted)["metadata"]["name"] == wanted["metadata"]["name"]


@pytest.mark.parametrize(("wanted", "words"), REFUSED.values(), ids=REFUSED)
def test_refuses(crds: Kubectl, wanted: JsonObject, words: str) -> None:
    refused = crds.run(
        "create", "--dry-run=server", f"-n={NAMESPACE}", "-f", "-", input=json.dumps(wanted), check=False
    )
    assert refused.returncode != 0, refused.stdout
    assert words in refused.stderr


class TestDefaults:
    def test_of_an_image(self, crds: Kubectl) -> None:
        assert dry_run(crds, git())["spec"] == {
            "source": {"git": {"url": "https://git.example.com/team/hello.git", "revision": "HEAD"}},
            "build": {
                "dockerfile": "Dockerfile",
                "timeoutSeconds": 1800,
                "network": "Default",
                "cache": {"mode": "None"},
                "noCache": False,
                "priority": "Normal",
                "provenance": "Min",
                "sbom": False,
            },
            "output": {"timestamp": "Build"},
            "poll": {"intervalSeconds": 60, "baseImagesIntervalSeconds": 3600},
            "history": {"limit": 10},
            "suspend": False,
            "version": {"scheme": "Sequential"},
        }

    def test_of_a_test(self, crds: Kubectl) -> None:
        (one,) = dry_run(crds, with_test())["spec"]["tests"]
        assert (one["timeoutSeconds"], one["security"]) == (300, "Restricted")
        assert one["resources"]["requests"] == {"cpu": "100m", "memory": "128Mi"}

    def test_of_an_app(self, crds: Kubectl) -> None:
        assert dry_run(crds, app(ports=[{"name": "http", "port": 80}]))["spec"] == {
            "image": {"name": "hello"},
            "ports": [{"name": "http", "port": 80, "protocol": "TCP"}],
            "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}},
            "security": "Restricted",
            "suspend": False,
        }

    def test_limits_alone_keep_the_default_requests(self, crds: Kubectl) -> None:
        stored = dry_run(crds, app(resources={"limits": {"memory": "1Gi"}}))
        assert stored["spec"]["resources"]["requests"] == {"cpu": "100m", "memory": "128Mi"}

    def test_a_new_build_is_in_progress_without_a_write_of_its_status(self, crds: Kubectl, namespace: str) -> None:
        crds.apply(build(), namespace)
        (succeeded,) = crds.json("get", "build", "hello-7", "-n", namespace)["status"]["conditions"]
        assert (succeeded["type"], succeeded["status"]) == ("Succeeded", "Unknown")


class TestBuild:
    def test_the_spec_cannot_be_changed(self, crds: Kubectl, namespace: str) -> None:
        crds.apply(build(), namespace)
        changed = patch(crds, namespace, "build/hello-7", {"spec": {"reason": "Requested"}})
        assert changed.returncode != 0
        assert "a Build is a record: its spec cannot be changed" in changed.stderr

    def test_its_labels_and_status_can_be_changed(self, crds: Kubectl, namespace: str) -> None:
        crds.apply(build(), namespace)
        labelled = patch(crds, namespace, "build/hello-7", {"metadata": {"labels": {"a": "b"}}})
        assert labelled.returncode == 0, labelled.stderr
        status = {"status": {"version": "v7", "startedAt": "2026-01-02T03:04:05Z"}}
        written = patch(crds, namespace, "build/hello-7", status, "--subresource=status")
        assert written.returncode == 0, written.stderr
        assert crds.json("get", "build", "hello-7", "-n", namespace)["status"]["version"] == "v7"

    def test_a_spec_as_large_as_an_image_may_be_is_compared_within_the_cost_limit(
        self, crds: Kubectl, namespace: str
    ) -> None:
        large = {"inline": {"files": [{"name": f"f{n}", "content": "x" * 2600} for n in range(100)]}}
        variables = [{"name": f"V{n}", "value": "y" * 100} for n in range(200)]
        tests = [{"name": f"t{n}", "command": SHELL, "env": variables} for n in range(20)]
        crds.apply(build(source=large, tests=tests), namespace)
        labelled = patch(crds, namespace, "build/hello-7", {"metadata": {"labels": {"a": "b"}}})
        assert labelled.returncode == 0, labelled.stderr


class TestScale:
    def test_kubectl_scale_sets_replicas_also_where_none_were_given(self, crds: Kubectl, namespace: str) -> None:
        crds.apply(app(), namespace)
        crds.run("scale", "app/hello", "--replicas=3", "-n", namespace)
        assert crds.json("get", "app", "hello", "-n", namespace)["spec"]["replicas"] == 3

    def test_an_autoscaler_reads_replicas_and_selector_from_the_status(self, crds: Kubectl, namespace: str) -> None:
        crds.apply(app(replicas=2), namespace)
        status = {"status": {"replicas": 1, "selector": "keelway.dev/app=hello"}}
        assert patch(crds, namespace, "app/hello", status, "--subresource=status").returncode == 0
        scale = crds.json("get", "app", "hello", "-n", namespace, "--subresource=scale")
        assert scale["spec"] == {"replicas": 2}
        assert scale["status"] == {"replicas": 1, "selector": "keelway.dev/app=hello"}

    def test_kubectl_scale_of_an_autoscaled_app_says_why_not(self, crds: Kubectl, namespace: str) -> None:
        crds.apply(app(autoscale={"maxReplicas": 3}), namespace)
        refused = crds.run("scale", "app/hello", "--replicas=3", "-n", namespace, check=False)
        assert refused.returncode != 0
        assert "give either replicas or autoscale, not both" in refused.stderr


class TestMerging:
    def test_two_appliers_each_own_their_entry_of_a_named_list(self, crds: Kubectl, namespace: str) -> None:
        crds.apply(app(env=[{"name": "A", "value": "1"}]), namespace)
        other = app(env=[{"name": "B", "value": "2"}])
        crds.run("apply", "--server-side", "--field-manager=other", "-n", namespace, "-f", "-", input=json.dumps(other))
        merged = crds.json("get", "app", "hello", "-n", namespace)["spec"]["env"]
        assert merged == [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]


class TestTables:
    def test_an_image(self, crds: Kubectl, namespace: str) -> None:
        crds.apply(image(), namespace)
        latest = {
            "version": "v6",
            "reference": f"registry:5000/team/hello@sha256:{SHA256}",
            "revision": "1234567",
            "builtAt": "2026-01-02T03:04:05Z",
        }
        status = {
            "conditions": conditions("False", "TestFailed", "test answers failed"),
            "latest": latest,
            "latestBuild": "hello-7",
        }
        assert table(crds, namespace, "image/hello", status) == {
            "NAME": "hello",
            "READY": "False",
            "STATUS": "TestFailed",
            "VERSION": "v6",
            "BUILD": "hello-7",
        }

    def test_a_build(self, crds: Kubectl, namespace: str) -> None:
        crds.apply(build(), namespace)
        succeeded = [{**conditions("True", "Succeeded", "")[0], "type": "Succeeded"}]
        assert table(crds, namespace, "build/hello-7", {"conditions": succeeded, "version": "v7"}) == {
            "NAME": "hello-7",
            "IMAGE": "hello",
            "CAUSE": "SpecChanged",
            "SUCCEEDED": "True",
            "STATUS": "Succeeded",
            "VERSION": "v7",
        }

    def test_an_app(self, crds: Kubectl, namespace: str) -> None:
        crds.apply(app(), namespace)
        status = {
            "conditions": conditions("True", "Running", ""),
            "version": "v7",
            "replicas": 3,
            "readyReplicas": 2,
            "url": "http://hello.team-a.svc:8080",
        }
        assert table(crds, namespace, "app/hello", status) == {
            "NAME": "hello",
            "READY": "True",
            "STATUS": "Running",
            "VERSION": "v7",
            "PODS": "3",
            "SERVING": "2",
            "URL": "http://hello.team-a.svc:8080",
        }

    @pytest.mark.parametrize("name", ["kimg", "kbuild", "kapp", "images,builds,apps", "keelway"])
    def test_short_names_and_the_category_are_known(self, crds: Kubectl, namespace: str, name: str) -> None:
        assert "No resources found" in crds.run("get", name, "-n", namespace).stderr


@pytest.mark.parametrize("kind", ["images", "builds", "apps"])
def test_kubectl_explain_has_a_text_for_every_field(crds: Kubectl, kind: str) -> None:
    described = explained(crds, kind)
    assert {path.split(".")[0] for path in described} == {"spec", "status"}
    assert [path for path, text in described.items() if not text] == []


def explained(kubectl: Kubectl, kind: str) -> dict[str, str]:
    """Path of each field of the served API to its text, from the document that `kubectl explain` reads."""
    document = json.loads(kubectl.run("get", "--raw", f"/openapi/v3/apis/{API_VERSION}").stdout)
    schemas = document["components"]["schemas"]
    (schema,) = (
        one
        for one in schemas.values()
        for known in one.get("x-kubernetes-group-version-kind", [])
        if known["kind"].lower() + "s" == kind
    )
    return {
        path: text for part in ("spec", "status") for path, text in fields(schema["properties"][part], part).items()
    }


def fields(schema: Mapping[str, Any], path: str) -> dict[str, str]:
    found = {} if path.endswith("[]") else {path: schema.get("description", "")}
    for name, child in schema.get("properties", {}).items():
        found |= fields(child, f"{path}.{name}")
    for keyword in ("items", "additionalProperties"):
        if isinstance(schema.get(keyword), dict):
            found |= fields(schema[keyword], f"{path}[]")
    return found


def patch(kubectl: Kubectl, namespace: str, target: str, change: JsonObject, *more: str) -> Any:
    return kubectl.run("patch", target, "-n", namespace, "--type=merge", "-p", json.dumps(change), *more, check=False)


def table(kubectl: Kubectl, namespace: str, target: str, status: JsonObject) -> dict[str, str]:
    """The row of `kubectl get`, without its age, once the object has this status."""
    # An object that is going away is nothing that an operator in this cluster would write a status of its own to.
    patch(kubectl, namespace, target, {"metadata": {"finalizers": ["keelway.dev/test"]}})
    kubectl.run("delete", target, "-n", namespace, "--wait=false")
    try:
        written = patch(kubectl, namespace, target, {"status": status}, "--subresource=status")
        assert written.returncode == 0, written.stderr
        header, row = kubectl.run("get", target, "-n", namespace).stdout.splitlines()
    finally:
        patch(kubectl, namespace, target, {"metadata": {"finalizers": None}})
    starts = [word.start() for word in re.finditer(r"\S+", header)]
    ends = [*starts[1:], None]
    cells = {header[a:b].strip(): row[a:b].strip() for a, b in zip(starts, ends, strict=True)}
    cells.pop("AGE")
    return cells
