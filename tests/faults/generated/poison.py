"""Apps that the schema allows and nobody would write: the largest, the longest, the oddest."""

from dataclasses import dataclass, field
from typing import Any, Final

from tests.faults.generated.bases import IMAGE
from tests.faults.generated.fields import Spec

KIB: Final = 1024
ODD: Final = "🚢 ünï 漢字 \u202e\ufeff\u2028\x00\x7f\t\n'\"`\\{{ $(A) $$"
"""Beyond the basic plane, right to left, no character at all, control characters, quotes, variables."""
_LONGEST_NAME: Final = ".".join("n" * 63 for _ in range(4))[:253]


@dataclass(frozen=True)
class Poison:
    """`reason` is what Ready says in the end, `says` words of its message; `name` is the App's."""

    spec: Spec
    reason: str = "RolledOut"
    says: tuple[str, ...] = ()
    name: str = "poison"
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def stalls(self) -> bool:
        return self.reason != "RolledOut"


def app(**spec: Any) -> Spec:
    """A spec without pods."""
    return {"image": {"name": IMAGE}, "replicas": 0, **spec}


def env(count: int, characters: int, letter: str = "x") -> list[Spec]:
    return [{"name": f"V{number}", "value": letter * characters} for number in range(count)]


_ODD_PROBE: Final = {"exec": {"command": [ODD]}}

POISONS: Final[dict[str, Poison]] = {
    "a spec of a MiB": Poison(app(env=env(200, 5 * KIB))),
    "a spec of a MiB of Chinese": Poison(app(env=env(200, 1700, "漢"))),
    "a spec of a MiB of ships": Poison(app(env=env(200, 1300, "🚢"))),
    "the most of everything": Poison(
        app(
            env=[{"name": "E" * 250 + f"{number:03}", "value": ODD} for number in range(200)],
            command=[ODD] * 100,
            args=[ODD] * 100,
            ports=[{"name": f"a-port-name-{number:03}", "port": 65504 + number} for number in range(32)],
            envFrom=[{"prefix": "P" * 253, "secretRef": {"name": _LONGEST_NAME, "optional": True}}] * 50,
            pullSecrets=[{"name": f"{_LONGEST_NAME[:-3]}{number:03}"} for number in range(16)],
            podTemplate={
                "labels": {f"example.com/{'k' * 60}{number:03}": "v" * 63 for number in range(64)},
                "annotations": {f"example.com/{'k' * 60}{number:03}": ODD for number in range(64)},
                "nodeSelector": {f"example.com/{'k' * 60}{number:03}": "v" * 63 for number in range(64)},
            },
        ),
        name="a" * 40,
    ),
    "text of no language in every string": Poison(
        app(
            command=[ODD],
            args=[ODD],
            env=[{"name": "A", "value": ODD}],
            ports=[{"name": "http", "port": 80}],
            probes={
                "readiness": {"http": {"path": "/🚢漢\u202e", "httpHeaders": [{"name": "Host", "value": ODD}]}},
                "liveness": _ODD_PROBE,
                "startup": _ODD_PROBE,
            },
            podTemplate={"annotations": {"example.com/odd": ODD}},
        )
    ),
    "annotations of 256 KiB": Poison(app(), metadata={"annotations": {"example.com/large": "x" * (256 * KIB - 17)}}),
    "pods with more annotations than Kubernetes takes": Poison(
        app(podTemplate={"annotations": {f"a{number}": "x" * 64 * KIB for number in range(5)}}),
        "InvalidDeployment",
        ("annotations", "262144", "Correct what the message names"),
    ),
    "amounts of next to nothing": Poison(
        app(resources={"requests": {"cpu": "0.000000001", "memory": "0.000000001"}, "limits": {"cpu": "0.0000000011"}})
    ),
    "amounts of next to everything": Poison(
        app(resources={"requests": {"cpu": "7Ei", "memory": "9999Ei"}, "limits": {"memory": "9" * 32}})
    ),
    "an amount of nothing": Poison(app(resources={"requests": {"cpu": 0, "memory": "0Ki"}, "limits": {"cpu": "0.0"}})),
    "names of Secrets that no Secret can have": Poison(
        app(env=[{"name": "A", "valueFrom": {"secretKeyRef": {"name": "a", "key": ".."}}}]),
        "InvalidDeployment",
        ("secretKeyRef.key", "Correct what the message names"),
    ),
    "a reference of 512 characters": Poison(
        {"image": {"reference": "a" * 512}, "replicas": 0}, "InvalidReference", ("a" * 20,)
    ),
}
