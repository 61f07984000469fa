"""The specs that changes begin from. Together they hold every field of an App's spec (a unit test holds them to it).

Nothing here makes a pod: 0 replicas, or a namespace whose quota allows none. So a run of hundreds costs no node.
"""

from types import MappingProxyType
from typing import Any, Final

from tests.faults.generated.fields import Spec

IMAGE: Final = "stand-in"
"""The Image that all Apps follow: suspended, its version written by hand."""
MISSING: Final = "not-there"


def _probe(**action: Any) -> Spec:
    bounds = {"initialDelaySeconds": 3, "periodSeconds": 7, "timeoutSeconds": 2, "failureThreshold": 4}
    return {**action, **bounds, "successThreshold": 1}


def _http(port: int | str) -> Spec:
    return {"path": "/up", "port": port, "scheme": "HTTP", "httpHeaders": [{"name": "Host", "value": "x"}]}


_ENV: Final = [
    {"name": "PLAIN", "value": "text"},
    {"name": "OF_PLAIN", "value": "$(PLAIN)"},
    {"name": "SECRET", "valueFrom": {"secretKeyRef": {"name": MISSING, "key": "k", "optional": True}}},
    {"name": "CONFIG", "valueFrom": {"configMapKeyRef": {"name": MISSING, "key": "k", "optional": False}}},
    {"name": "FIELD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
    {"name": "AMOUNT", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}},
]

_PODS: Final[Spec] = {
    "image": {"name": IMAGE},
    "command": ["run", "--fast"],
    "args": ["one", "two"],
    "env": _ENV,
    "envFrom": [
        {"prefix": "C_", "configMapRef": {"name": MISSING, "optional": True}},
        {"secretRef": {"name": MISSING, "optional": True}},
    ],
    "ports": [
        {"name": "http", "port": 8080, "protocol": "TCP", "servicePort": 80},
        {"name": "admin", "port": 9090, "protocol": "TCP"},
        {"name": "dns", "port": 8080, "protocol": "UDP"},
    ],
    "probes": {
        "readiness": _probe(http=_http("http")),
        "liveness": _probe(tcp={"port": 9090}),
        "startup": _probe(exec={"command": ["test", "-e", "/up"]}),
    },
    "resources": {"requests": {"cpu": "250m", "memory": "1Gi"}, "limits": {"memory": "2Gi", "cpu": 1}},
    "security": "Restricted",
    "securityContext": {
        "runAsUser": 1000,
        "runAsGroup": 1000,
        "runAsNonRoot": True,
        "readOnlyRootFilesystem": True,
        "fsGroup": 2000,
        "supplementalGroups": [3000, 3001],
    },
    "serviceAccountName": "runner",
    "pullSecrets": [{"name": "one"}, {"name": "two"}],
    "podTemplate": {
        "labels": {"tier": "web"},
        "annotations": {"example.com/note": "said"},
        "nodeSelector": {"example.com/disk": "fast"},
        "tolerations": [
            {"key": "gpu", "operator": "Equal", "value": "yes", "effect": "NoExecute", "tolerationSeconds": 60}
        ],
    },
    "suspend": False,
}

_SCALING_RULES: Final = {
    "stabilizationWindowSeconds": 60,
    "selectPolicy": "Min",
    "policies": [
        {"type": "Pods", "value": 2, "periodSeconds": 30},
        {"type": "Percent", "value": 50, "periodSeconds": 60},
    ],
}

# The other way round: what is asked by HTTP in one is asked by TCP or by a command in the other.
_PROBES_TURNED: Final = {
    "readiness": _probe(tcp={"port": "http"}),
    "liveness": _probe(exec={"command": ["true"]}),
    "startup": _probe(http=_http(9090)),
}
_PROBES_ONCE_MORE: Final = {
    "readiness": _probe(exec={"command": ["true"]}),
    "liveness": _probe(http=_http("admin")),
    "startup": _probe(tcp={}),
}

APPS: Final = MappingProxyType(
    {
        "full": {**_PODS, "replicas": 0},
        "scaled": {
            **_PODS,
            "probes": _PROBES_TURNED,
            "autoscale": {
                "minReplicas": 2,
                "maxReplicas": 4,
                "cpuPercent": 70,
                "memoryPercent": 60,
                "behavior": {"scaleUp": _SCALING_RULES, "scaleDown": _SCALING_RULES},
            },
        },
        "turned": {**_PODS, "probes": _PROBES_ONCE_MORE, "replicas": 0},
        "bare": {"image": {"name": IMAGE}, "replicas": 0},
        # The digest is of nothing: no registry is asked for one that is given.
        "reference": {"image": {"reference": f"127.0.0.1:1/x@sha256:{'0' * 64}"}, "replicas": 0},
    }
)

# No Image here builds: the source of each is missing, or is not looked at (suspend).
_IMAGE: Final[Spec] = {
    "source": {"configMap": {"name": MISSING}},
    "build": {
        "dockerfile": "Dockerfile",
        "target": "final",
        "args": [{"name": "A", "value": "1"}],
        "secrets": [{"id": "token", "secretRef": {"name": MISSING, "key": "k"}}],
        "images": [{"name": "below", "image": MISSING}],
        "timeoutSeconds": 600,
        "resources": {"limits": {"cpu": "1", "memory": "1Gi"}},
        "network": "None",
        "cache": {"mode": "Max"},
        "noCache": True,
        "priority": "High",
        "provenance": "Max",
        "sbom": False,
    },
    "output": {"compression": {"type": "Zstd", "level": 3}, "timestamp": "Source"},
    "tests": [
        {
            "name": "answers",
            "command": ["true"],
            "args": ["x"],
            "env": _ENV,
            "timeoutSeconds": 60,
            "security": "Restricted",
            "resources": {"requests": {"cpu": "1m"}, "limits": {"memory": "64Mi"}},
            "check": {"http": {"port": 80, "path": "/x", "scheme": "HTTP"}},
            "services": [
                {
                    "name": "db",
                    "image": "127.0.0.1:1/x:1",
                    "command": ["true"],
                    "args": ["x"],
                    "env": _ENV,
                    "ports": [80],
                    "runAsUser": 1000,
                    "resources": {"requests": {"cpu": "1m"}, "limits": {"memory": "64Mi"}},
                }
            ],
        }
    ],
    "pushSecretRef": {"name": MISSING},
    "version": {"scheme": "SemVer", "bump": "Minor"},
    "tags": ["stable", "latest"],
    "pin": "v1",
    "poll": {"intervalSeconds": 60, "baseImagesIntervalSeconds": 600},
    "history": {"limit": 3},
    "suspend": False,
}
_SUB_PATH: Final = {"subPath": "sub"}

IMAGES: Final = MappingProxyType(
    {
        "config-map": _IMAGE,
        "inline": {**_IMAGE, "source": {"inline": {"files": [{"name": "Dockerfile", "content": "FROM x"}]}},
                   "tests": [{"name": "a", "check": {"tcp": {"port": 80}}}],
                   "version": {"scheme": "CalVer", "format": "YYYY.MICRO"}, "suspend": True},
        "git": {**_IMAGE, "source": {"git": {"url": "https://127.0.0.1:1/x", "revision": "main", **_SUB_PATH,
                                             "secretRef": {"name": MISSING}}},
                "tests": [{"name": "a", "check": {"exec": {"command": ["true"]}}}],
                "version": {"scheme": "Template", "template": "x-{number}"}, "suspend": True},
        "http": {**_IMAGE, "source": {"http": {"url": "https://127.0.0.1:1/x.zip", "sha256": "0" * 64, **_SUB_PATH}},
                 "repository": "registry.example.com/team/app", "suspend": True},
    }
)  # fmt: skip
