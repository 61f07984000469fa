"""How pydantic's schemas become what a CRD may hold, one feature at a time."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from keelway.api.meta import Model
from keelway.api.quantity import Quantity
from keelway.api.schema import MergeKey, Rule
from keelway.api.structural import structural


def translated(model: type[Model]) -> dict[str, Any]:
    schema = model.model_json_schema(by_alias=True)
    return structural(schema, schema.get("$defs", {}))


def field(model: type[Model], name: str) -> dict[str, Any]:
    properties: dict[str, dict[str, Any]] = translated(model)["properties"]
    return properties[name]


class Inner(Model):
    """Inner."""

    rules = (Rule("self.name != 'x'", "not x"),)

    name: Annotated[str, Field(max_length=5)]
    """The name."""


class Colour(StrEnum):
    """A colour."""

    RED = "Red"


class Sample(Model):
    """A sample."""

    one_of = ("maybe", "inner")

    maybe: Annotated[int, Field(ge=0, le=5)] | None = None
    """A number,
    or not."""
    inner: Annotated[Inner, Rule("self.name != 'y'", "not y")] | None = None
    """The inner one."""
    some_items: Annotated[tuple[Inner, ...], Field(max_length=3), MergeKey("name")] = ()
    """Several."""
    amounts: Annotated[Mapping[str, Quantity], Field(max_length=2)] = Field(default={"cpu": "1"})
    """By name."""
    colour: Colour = Colour.RED
    """Its colour."""
    fixed: Literal["a"] = "a"
    """Always a."""
    large: int = 0
    """Unbounded."""


def test_an_optional_field_is_its_plain_type_without_null_and_default() -> None:
    assert field(Sample, "maybe") == {
        "description": "A number, or not.",
        "type": "integer",
        "format": "int32",
        "minimum": 0,
        "maximum": 5,
    }


def test_a_reference_is_put_in_place_with_the_rules_of_the_type_and_of_the_field() -> None:
    inner = field(Sample, "inner")
    assert inner["description"] == "The inner one."
    assert inner["required"] == ["name"]
    assert inner["x-kubernetes-validations"] == [
        {"rule": "self.name != 'x'", "message": "not x"},
        {"rule": "self.name != 'y'", "message": "not y"},
    ]


def test_a_list_of_named_objects_is_a_map_by_its_key() -> None:
    items = field(Sample, "someItems")
    assert (items["x-kubernetes-list-type"], items["x-kubernetes-list-map-keys"]) == ("map", ["name"])
    assert items["maxItems"] == 3
    assert items["items"]["properties"]["name"]["maxLength"] == 5


def test_an_empty_default_is_left_out() -> None:
    assert "default" not in field(Sample, "someItems")


def test_quantities_may_be_numbers_or_strings() -> None:
    amounts = field(Sample, "amounts")
    assert amounts["default"] == {"cpu": "1"}
    assert amounts["additionalProperties"]["x-kubernetes-int-or-string"] is True
    assert "type" not in amounts["additionalProperties"]


def test_enums_and_constants_are_enums() -> None:
    assert field(Sample, "colour")["enum"] == ["Red"]
    assert field(Sample, "colour")["default"] == "Red"
    assert field(Sample, "fixed")["enum"] == ["a"]


def test_an_integer_without_a_small_bound_has_64_bits() -> None:
    assert field(Sample, "large")["format"] == "int64"


def test_a_union_of_members_becomes_a_rule() -> None:
    assert translated(Sample)["x-kubernetes-validations"] == [
        {
            "rule": "[has(self.maybe), has(self.inner)].exists_one(given, given)",
            "message": "exactly one of maybe, inner must be given",
        }
    ]


def test_a_union_of_types_is_refused() -> None:
    class Either(Model):
        either: int | str

    with pytest.raises(ValueError, match="no unions of types"):
        translated(Either)


def test_a_keyword_that_a_crd_does_not_know_is_refused_rather_than_lost() -> None:
    class Above(Model):
        above: Annotated[int, Field(gt=3)]

    with pytest.raises(ValueError, match="exclusiveMinimum"):
        translated(Above)
