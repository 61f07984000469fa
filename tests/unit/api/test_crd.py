"""The generated CRDs: the same as on disk, structural, bounded, and explained to the last field."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from keelway.api import crd

ROOT = Path(__file__).resolve().parents[3]
CRDS = {text["metadata"]["name"]: text for text in map(yaml.safe_load, crd.manifests().values())}
# A date-time has a bound of its own, an enum is one.
BOUNDED_BY_FORM = ("enum", "format")

Node = dict[str, Any]


def version(name: str) -> Node:
    only: Node = CRDS[name]["spec"]["versions"][0]
    return only


def nodes(schema: Node, path: str = "") -> Iterator[tuple[str, Node]]:
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    for keyword in ("items", "additionalProperties"):
        if keyword in schema:
            yield from nodes(schema[keyword], f"{path}[]")


def ours() -> list[tuple[str, Node]]:
    """Every node below spec and status of every kind."""
    found = []
    for name in CRDS:
        properties = version(name)["schema"]["openAPIV3Schema"]["properties"]
        for part in ("spec", "status"):
            found += list(nodes(properties[part], f"{name}:{part}"))
    return found


NODES = ours()


def test_the_files_in_crds_are_what_the_models_say() -> None:
    assert crd.stale(ROOT / "crds") == [], "run `make crds`"


def test_generating_twice_gives_the_same_text() -> None:
    assert crd.manifests() == crd.manifests()


def test_a_hand_edited_a_missing_and_a_left_over_file_are_all_found(tmp_path: Path) -> None:
    crd.write(tmp_path)
    (tmp_path / "keelway.dev_apps.yaml").write_text("edited")
    (tmp_path / "keelway.dev_builds.yaml").unlink()
    (tmp_path / "keelway.dev_olds.yaml").touch()
    assert crd.stale(tmp_path) == ["keelway.dev_apps.yaml", "keelway.dev_builds.yaml", "keelway.dev_olds.yaml"]

    crd.write(tmp_path)
    assert crd.stale(tmp_path) == []


def test_every_node_has_one_type_or_is_int_or_string() -> None:
    wrong = [path for path, node in NODES if ("type" in node) == ("x-kubernetes-int-or-string" in node)]
    assert wrong == []


@pytest.mark.parametrize("keyword", ["$ref", "anyOf", "oneOf", "title", "nullable", "propertyNames", "const"])
def test_no_node_has_what_a_structural_schema_does_not_know(keyword: str) -> None:
    assert [path for path, node in NODES if keyword in node] == []


def test_no_number_is_a_float() -> None:
    assert [path for path, node in NODES if node.get("type") == "number"] == []


def test_every_field_has_a_text_for_kubectl_explain() -> None:
    undescribed = [path for path, node in NODES if not path.endswith("[]") and not node.get("description")]
    assert undescribed == []


def test_every_text_is_a_sentence_on_one_line() -> None:
    texts = {path: node["description"] for path, node in NODES if "description" in node}
    assert [path for path, text in texts.items() if "\n" in text or text[-1] not in ".?"] == []


def test_every_default_is_named_in_the_text_of_its_field() -> None:
    """`kubectl explain` shows no defaults of its own."""
    scalars = {path: node for path, node in NODES if isinstance(node.get("default"), str | int)}
    unnamed = [path for path, node in scalars.items() if "Default:" not in node["description"]]
    assert scalars
    assert unnamed == []


def test_every_field_in_seconds_says_so() -> None:
    seconds = [node for path, node in NODES if path.endswith("Seconds")]
    assert seconds
    assert [node for node in seconds if node["type"] != "integer" or "econds" not in node["description"]] == []


def test_every_string_list_and_map_has_a_bound() -> None:
    unbounded = [
        path
        for path, node in NODES
        if (node.get("type") == "string" and not {"maxLength", *BOUNDED_BY_FORM} & node.keys())
        or (node.get("type") == "array" and "maxItems" not in node)
        or ("additionalProperties" in node and "maxProperties" not in node)
    ]
    assert unbounded == []


def test_lists_of_named_objects_merge_by_name() -> None:
    keyed = {path: node["x-kubernetes-list-map-keys"] for path, node in NODES if "x-kubernetes-list-map-keys" in node}
    assert keyed["images.keelway.dev:spec.source.inline.files"] == ["name"]
    assert keyed["images.keelway.dev:spec.build.args"] == ["name"]
    assert keyed["images.keelway.dev:spec.build.secrets"] == ["id"]
    assert keyed["images.keelway.dev:spec.tests"] == ["name"]
    assert keyed["apps.keelway.dev:spec.env"] == ["name"]
    assert keyed["apps.keelway.dev:spec.ports"] == ["name"]
    assert keyed["apps.keelway.dev:status.conditions"] == ["type"]


def test_every_rule_has_a_message() -> None:
    rules = [(path, rule) for path, node in NODES for rule in node.get("x-kubernetes-validations", [])]
    assert rules
    assert [path for path, rule in rules if not rule["message"]] == []


def test_requests_have_their_defaults_in_the_schema() -> None:
    requests = dict(NODES)["apps.keelway.dev:spec.resources.requests"]
    assert requests["default"] == {"cpu": "100m", "memory": "128Mi"}


def test_replicas_has_no_default_or_autoscale_could_never_be_given() -> None:
    assert "default" not in dict(NODES)["apps.keelway.dev:spec.replicas"]


@pytest.mark.parametrize("name", CRDS)
def test_all_kinds_have_a_status_subresource_a_category_and_an_age_column(name: str) -> None:
    assert version(name)["subresources"]["status"] == {}
    assert CRDS[name]["spec"]["names"]["categories"] == ["keelway"]
    assert "Age" in [column["name"] for column in version(name)["additionalPrinterColumns"]]


def test_an_app_can_be_scaled() -> None:
    assert version("apps.keelway.dev")["subresources"]["scale"] == {
        "specReplicasPath": ".spec.replicas",
        "statusReplicasPath": ".status.replicas",
        "labelSelectorPath": ".status.selector",
    }


def test_what_a_table_shows_exists_in_the_schema() -> None:
    known = {path for path, _ in NODES}
    for name in CRDS:
        for column in version(name)["additionalPrinterColumns"]:
            part, _, rest = column["jsonPath"].removeprefix(".").partition(".")
            if part == "metadata" or "[?(" in rest:
                continue
            assert f"{name}:{part}.{rest}" in known, column["name"]
