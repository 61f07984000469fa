"""What every kind of the API shares: the model base, metadata, conditions, references.

Models are frozen; field names are snake_case here and camelCase in Kubernetes. The text under a field is what
`kubectl explain` shows. `crd.py` turns the models into CRDs; `schema.py` and `types.py` hold their parts.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Final, Self

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, ValidationError, model_validator
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from keelway.api.resources import GROUP, VERSION
from keelway.api.schema import RULES, Rule
from keelway.api.types import ObjectName, Timestamp
from keelway.errors import Terminal

__all__ = [
    "API_VERSION",
    "GROUP",
    "NAME_RULES",
    "VERSION",
    "Condition",
    "ConditionStatus",
    "KeelwayObject",
    "LocalRef",
    "Model",
    "ObjectMeta",
]

API_VERSION: Final = f"{GROUP}/{VERSION}"

_ERRORS_SHOWN: Final = 3


class Model(BaseModel):
    """Base of all API types: frozen, unknown fields ignored (the API server prunes them anyway).

    `one_of` names the members of a union, of which exactly one must be given: checked by CEL at apply and
    here. `rules` are CEL rules over the whole object; what they guard is not checked again in Python.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        use_attribute_docstrings=True,
    )

    one_of: ClassVar[tuple[str, ...]] = ()
    rules: ClassVar[tuple[Rule, ...]] = ()

    def to_dict(self) -> dict[str, Any]:
        """As Kubernetes writes it: camelCase, plain JSON values, what is not given left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)

    @model_validator(mode="after")
    def _exactly_one_member(self) -> Self:
        given = [member for member in self.one_of if getattr(self, member) is not None]
        if self.one_of and len(given) != 1:
            raise PydanticCustomError("one_of", "{message}", {"message": _one_of_message(self.one_of)})
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = handler(core_schema)
        rules = [rule.to_dict() for rule in (*_one_of_rules(cls.one_of), *cls.rules)]
        if rules:
            handler.resolve_ref_schema(schema)[RULES] = rules
        return schema


def _one_of_message(members: tuple[str, ...]) -> str:
    return f"exactly one of {', '.join(map(to_camel, members))} must be given"


def _one_of_rules(members: tuple[str, ...]) -> tuple[Rule, ...]:
    if not members:
        return ()
    given = ", ".join(f"has(self.{to_camel(member)})" for member in members)
    return (Rule(f"[{given}].exists_one(given, given)", _one_of_message(members)),)


class LocalRef(Model):
    """A reference to an object of the same namespace."""

    name: ObjectName
    """Name of the object, in the same namespace."""


class ConditionStatus(StrEnum):
    """Whether a condition holds."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(Model):
    """One aspect of the object's state, as metav1.Condition."""

    type: Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[A-Z][A-Za-z]*$")]
    """Name of the condition, in CamelCase."""
    status: ConditionStatus
    """True, False or Unknown."""
    reason: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Z][A-Za-z0-9]*$")]
    """Why the condition has this status, as one CamelCase word."""
    message: Annotated[str, Field(max_length=8192)] = ""
    """The cause in words, then what can be done about it."""
    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """The metadata.generation that the condition speaks of. Older than the object's: it is out of date."""
    last_transition_time: Timestamp
    """When the status last changed from one value to another."""


class ObjectMeta(Model):
    """The part of metadata that Keelway reads. Its schema is Kubernetes' own."""

    name: str
    namespace: str
    uid: str = ""
    generation: int = 0
    resource_version: str = ""
    creation_timestamp: Timestamp | None = None
    deletion_timestamp: Timestamp | None = None
    labels: Mapping[str, str] = Field(default_factory=dict)
    annotations: Mapping[str, str] = Field(default_factory=dict)


# Every child's name is made from the owner's and must fit a label value (63) and a Service's name (DNS-1035).
NAME_RULES: Final = (
    Rule(
        "size(self.metadata.name) <= 40",
        "metadata.name must have at most 40 characters: the names of Pods, Services and Builds are made from it",
    ),
    Rule(
        "self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
        "metadata.name must be lower case letters, digits and '-', start with a letter and "
        "end with a letter or digit: it becomes a Service's name",
    ),
)


class KeelwayObject(Model):
    """Base of the kinds: an object with metadata, as it comes from the API server.

    `status_is_a_view`: the status can be computed anew, so what of it cannot be read is as if it were not there. It may
    have been written by hand, or under another schema.
    """

    status_is_a_view: ClassVar[bool] = False

    api_version: str = API_VERSION
    kind: str
    metadata: ObjectMeta

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> Self:
        """The typed object of a raw one. Raises Terminal `InvalidSpec` with the paths of what is wrong."""
        try:
            return cls.model_validate(raw)
        except ValidationError as error:
            if cls.status_is_a_view and all(one[:1] == ("status",) for one in _locations(error)):
                return cls.model_validate(_without_unreadable(raw, error))
            raise Terminal("InvalidSpec", _readable(error)) from error


def _locations(error: ValidationError) -> list[tuple[int | str, ...]]:
    return [one["loc"] for one in error.errors(include_url=False, include_context=False, include_input=False)]


def _without_unreadable(raw: Mapping[str, Any], error: ValidationError) -> dict[str, Any]:
    status = raw["status"] if isinstance(raw["status"], Mapping) else {}
    unreadable = {location[1] for location in _locations(error) if len(location) > 1}
    return {**raw, "status": {name: value for name, value in status.items() if name not in unreadable}}


def _readable(error: ValidationError) -> str:
    """`spec.ports[0].port: Input should be ...; 2 more. Correct the object and apply it again.`"""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    shown = [f"{_path(one['loc'])}: {one['msg']}" for one in found[:_ERRORS_SHOWN]]
    if len(found) > _ERRORS_SHOWN:
        shown.append(f"{len(found) - _ERRORS_SHOWN} more")
    return f"{'; '.join(shown)}. Correct the object and apply it again."


def _path(location: tuple[int | str, ...]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).lstrip(".")
