"""Kubernetes' own additions to JSON schema, as pydantic metadata for `Annotated[...]`.

The models carry their CEL rules and merge keys with these; `crd.py` only copies them into the CRDs. What a
CRD's schema may hold: the "structural schema" rules of apiextensions.k8s.io/v1.
"""

from dataclasses import dataclass

from pydantic import GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

RULES = "x-kubernetes-validations"
LIST_TYPE = "x-kubernetes-list-type"
LIST_MAP_KEYS = "x-kubernetes-list-map-keys"
INT_OR_STRING = "x-kubernetes-int-or-string"


@dataclass(frozen=True)
class Rule:
    """A CEL rule that the API server checks at apply: `expression` sees the value as `self`.

    `message` is shown after the field's path, so it says only what is wrong and what to do.
    """

    expression: str
    message: str

    def to_dict(self) -> dict[str, str]:
        return {"rule": self.expression, "message": self.message}

    def __get_pydantic_json_schema__(self, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = dict(handler(core_schema))
        schema[RULES] = [*schema.get(RULES, []), self.to_dict()]
        return schema


@dataclass(frozen=True)
class MergeKey:
    """The items of a list are told apart by this field: server-side apply merges them, duplicates are
    refused."""

    key: str = "name"

    def __get_pydantic_json_schema__(self, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {**handler(core_schema), LIST_TYPE: "map", LIST_MAP_KEYS: [self.key]}


@dataclass(frozen=True)
class Unique:
    """Each item of the list stands there once."""

    def __get_pydantic_json_schema__(self, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {**handler(core_schema), LIST_TYPE: "set"}
