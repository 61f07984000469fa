"""Kubernetes quantities (`100m`, `1.5Gi`, `2`): what the API accepts, and their value for comparing.

Grammar and suffixes: k8s.io/apimachinery/pkg/api/resource. `cluster/drift.py` compares by this value as well.
"""

import re
from decimal import ROUND_CEILING, Decimal
from types import MappingProxyType
from typing import Annotated, Final

from pydantic import BeforeValidator, Field, WithJsonSchema

from keelway.api.schema import INT_OR_STRING

# What users may write: not negative, and without the exponents and nano/micro units that Kubernetes also
# reads.
PATTERN: Final = r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$"

_FORM: Final = re.compile(r"^([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d+)|(n|u|m|k|[MGTPE]i?|Ki))?$")
_SCALE: Final = MappingProxyType(
    {"n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"), "k": Decimal(1000)}
    | {unit: Decimal(1000) ** power for power, unit in enumerate("MGTPE", start=2)}
    | {f"{unit}i": Decimal(1024) ** power for power, unit in enumerate("KMGTPE", start=1)}
)

_MOST: Final = Decimal(2**63 - 1)


def value(quantity: str | int) -> Decimal:
    """The quantity in its base unit (cores, bytes, pieces), exactly. Raises ValueError where it is none."""
    match = _FORM.match(str(quantity))
    if match is None:
        raise ValueError(f"{quantity!r} is no quantity")
    number, exponent, unit = match.groups()
    return Decimal(f"{number}{exponent or ''}") * (_SCALE[unit] if unit else 1)


def kept(quantity: str | int) -> Decimal:
    """The value that the API server makes of an amount of a resource in a pod: up to the next thousandth, and no more
    than fits 64 bits (core/v1 SetDefaults_ResourceList; resource.ParseQuantity)."""
    thousandths = min(value(quantity), _MOST) * 1000
    return thousandths.to_integral_value(ROUND_CEILING) / 1000


def _written(given: object) -> object:
    return str(given) if isinstance(given, int) and not isinstance(given, bool) else given


Quantity = Annotated[
    str,
    BeforeValidator(_written),
    Field(pattern=PATTERN, max_length=32),
    WithJsonSchema({INT_OR_STRING: True, "pattern": PATTERN, "minimum": 0, "maxLength": 32}),
]
