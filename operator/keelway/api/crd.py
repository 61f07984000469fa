"""Writes the CustomResourceDefinitions from the models: `python -m keelway.api.crd [--check] crds/`.

The kinds' names, columns and subresources stand here, their fields in `image.py`, `build.py` and `app.py`;
`structural.py` translates the schemas. A hand-edited CRD fails `--check` and the tests.
"""

import argparse
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from keelway.api.app import App
from keelway.api.build import Build
from keelway.api.image import Image
from keelway.api.meta import KeelwayObject
from keelway.api.resources import APPS, BUILDS, IMAGES, Resource
from keelway.api.schema import RULES
from keelway.api.structural import Schema, structural

HEADER: Final = "# Generated from the models in operator/keelway/api by `make crds`. Do not edit.\n"
CATEGORY: Final = "keelway"


@dataclass(frozen=True)
class Column:
    """A column of `kubectl get`; `wide` ones are shown with `-o wide` only."""

    name: str
    path: str
    description: str
    type: str = "string"
    wide: bool = False

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "type": self.type,
            "jsonPath": self.path,
            "description": self.description,
            **({"priority": 1} if self.wide else {}),
        }


@dataclass(frozen=True)
class Definition:
    """What a CRD says beside the model's schema."""

    model: type[KeelwayObject]
    resource: Resource
    short_names: tuple[str, ...]
    columns: tuple[Column, ...]
    scale: Mapping[str, str] | None = None

    @property
    def name(self) -> str:
        return f"{self.resource.plural}.{self.resource.group}"


def _of_condition(condition: str, field: str) -> str:
    return f'.status.conditions[?(@.type=="{condition}")].{field}'


def _age() -> Column:
    return Column("Age", ".metadata.creationTimestamp", "Time since it was created.", type="date")


DEFINITIONS: Final = (
    Definition(
        model=Image,
        resource=IMAGES,
        short_names=("kimg",),
        columns=(
            Column("Ready", _of_condition("Ready", "status"), "Is the newest source built, tested and pushed?"),
            Column("Status", _of_condition("Ready", "reason"), "Why it is ready or not."),
            Column("Version", ".status.latest.version", "The version that counts: the newest good, or the pinned one."),
            Column("Build", ".status.latestBuild", "The newest Build, good or not."),
            _age(),
            Column("Tags", ".spec.tags", "The extra tags that follow the version.", wide=True),
            Column("Revision", ".status.latest.revision", "The version's source revision.", wide=True),
            Column("Reference", ".status.latest.reference", "The version's image, by digest.", wide=True),
            Column("Message", _of_condition("Ready", "message"), "The cause, and what to do.", wide=True),
        ),
    ),
    Definition(
        model=Build,
        resource=BUILDS,
        short_names=("kbuild",),
        columns=(
            Column("Image", ".spec.image", "The Image that was built."),
            Column("Cause", ".spec.reason", "Why the build ran."),
            Column("Succeeded", _of_condition("Succeeded", "status"), "Was it built, tested and pushed?"),
            Column("Status", _of_condition("Succeeded", "reason"), "The step it is at, or how it ended."),
            Column("Version", ".status.version", "The version that it made."),
            _age(),
            Column("Started", ".status.startedAt", "Time since it started.", type="date", wide=True),
            Column("Finished", ".status.finishedAt", "Time since it ended.", type="date", wide=True),
            Column("Revision", ".spec.revision", "The source revision.", wide=True),
            Column("Digest", ".status.digest", "Digest of the image.", wide=True),
            Column("Message", _of_condition("Succeeded", "message"), "The cause, and what to do.", wide=True),
        ),
    ),
    Definition(
        model=App,
        resource=APPS,
        short_names=("kapp",),
        columns=(
            Column("Ready", _of_condition("Ready", "status"), "Does what was asked for serve?"),
            Column("Status", _of_condition("Ready", "reason"), "Why it is ready or not."),
            Column("Version", ".status.version", "The Image's version that runs."),
            Column("Pods", ".status.replicas", "Number of pods.", type="integer"),
            Column("Serving", ".status.readyReplicas", "Number of pods that are ready.", type="integer"),
            Column("URL", ".status.url", "Address inside the cluster."),
            _age(),
            Column("Image", ".status.image", "The image that runs, by digest.", wide=True),
            Column("Message", _of_condition("Ready", "message"), "The cause, and what to do.", wide=True),
        ),
        scale={
            "specReplicasPath": ".spec.replicas",
            "statusReplicasPath": ".status.replicas",
            "labelSelectorPath": ".status.selector",
        },
    ),
)


def custom_resource_definition(definition: Definition) -> dict[str, Any]:
    """The whole CRD as Kubernetes takes it."""
    resource = definition.resource
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": definition.name},
        "spec": {
            "group": resource.group,
            "names": {
                "kind": resource.kind,
                "listKind": f"{resource.kind}List",
                "plural": resource.plural,
                "singular": resource.kind.lower(),
                "shortNames": list(definition.short_names),
                "categories": [CATEGORY],
            },
            "scope": "Namespaced",
            "versions": [_version(definition)],
        },
    }


def _version(definition: Definition) -> dict[str, Any]:
    subresources: dict[str, Any] = {"status": {}}
    if definition.scale:
        subresources["scale"] = dict(definition.scale)
    return {
        "name": definition.resource.version,
        "served": True,
        "storage": True,
        "additionalPrinterColumns": [column.to_dict() for column in definition.columns],
        "subresources": subresources,
        "schema": {"openAPIV3Schema": _root(definition.model)},
    }


def _root(model: type[KeelwayObject]) -> Schema:
    """The API server validates apiVersion, kind and metadata itself: only spec and status come from the
    model."""
    pydantic_schema = model.model_json_schema(by_alias=True)
    fields = pydantic_schema["properties"]
    translated = structural(
        {
            **pydantic_schema,
            "properties": {name: fields[name] for name in ("spec", "status")},
            "required": ["spec"],
        },
        pydantic_schema["$defs"],
    )
    translated["properties"] = {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"type": "object"},
        **translated["properties"],
    }
    if RULES in translated:
        # Names end at 253 anyway; said here, it bounds the cost of the rules over metadata.name.
        translated["properties"]["metadata"]["properties"] = {"name": {"type": "string", "maxLength": 253}}
    return translated


class _PlainDumper(yaml.SafeDumper):
    """YAML without anchors: every definition stands where it is used."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def manifests() -> dict[str, str]:
    """File name to YAML text of each CRD, the same at every call."""
    return {
        f"{definition.resource.group}_{definition.resource.plural}.yaml": HEADER
        + yaml.dump(custom_resource_definition(definition), Dumper=_PlainDumper, sort_keys=False, width=110)
        for definition in DEFINITIONS
    }


def stale(directory: Path) -> list[str]:
    """Names of the files in `directory` that are not as the models say: different, missing, or left over."""
    wanted = manifests()
    present = {path.name: path.read_text() for path in directory.glob("*.yaml")}
    return sorted(name for name in wanted.keys() | present.keys() if wanted.get(name) != present.get(name))


def write(directory: Path) -> None:
    """Writes all CRDs and removes what is left over from kinds that are no more."""
    directory.mkdir(parents=True, exist_ok=True)
    wanted = manifests()
    for path in directory.glob("*.yaml"):
        if path.name not in wanted:
            path.unlink()
    for name, text in wanted.items():
        (directory / name).write_text(text)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m keelway.api.crd", description="Write the CRDs from the models.")
    parser.add_argument("directory", type=Path, help="where the CRDs are, e.g. crds/")
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a file differs")
    arguments = parser.parse_args()
    if not arguments.check:
        write(arguments.directory)
        return 0
    different = stale(arguments.directory)
    if different:
        print(f"not as the models say: {', '.join(different)}. Run `make crds`.", file=sys.stderr)
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
