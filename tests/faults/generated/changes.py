"""PURE: changes of an object, field by field, from the CRD's schema: seeded, bounded, each a case of its own.

A failure prints the case: two YAMLs that anybody can apply one after the other.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import yaml

from tests.faults.generated import bases
from tests.faults.generated.fields import Field, Place, Spec, fields, places, put, read, spec_schema, without
from tests.faults.generated.values import Value, allowed, refused

API_VERSION: Final = "keelway.dev/v1alpha1"
_KINDS: Final = {"apps": "App", "images": "Image"}
# A field of a kind that has dozens of values to try gets this many: the edges, which come first, and a few more.
_VALUES_A_FIELD: Final = 6
_TOGETHER: Final = 3


@dataclass(frozen=True)
class Change:
    """`before` becomes `after`; `valid` tells whether the schema, without its CEL rules, allows that."""

    plural: str
    what: str
    before: Spec
    after: Spec
    valid: bool = True

    def __str__(self) -> str:
        return f"{_KINDS[self.plural]}: {self.what}"

    def reproduction(self) -> str:
        """The change as YAML, A and B."""
        texts = [yaml.safe_dump(manifest(self.plural, "case", spec), allow_unicode=False, sort_keys=False)
                 for spec in (self.before, self.after)]  # fmt: skip
        return f"# A\n{texts[0]}---\n# B: {self.what}\n{texts[1]}"


def manifest(plural: str, name: str, spec: Spec) -> dict[str, Any]:
    """The object to apply."""
    return {"apiVersion": API_VERSION, "kind": _KINDS[plural], "metadata": {"name": name}, "spec": spec}


def field_changes(plural: str, seed: int) -> list[Change]:
    """Changes of one field each, in an order that the seed gives: a part of them is a fair sample of all."""
    rng = random.Random(seed)
    made = [
        change
        for field in fields(spec_schema(plural))
        for change in _changes_of(plural, field, _bases(plural), rng)
    ]  # fmt: skip
    rng.shuffle(made)
    return made


def base_changes(plural: str) -> list[Change]:
    """From each base to each other: most fields come or go at once."""
    known = _bases(plural)
    return [
        Change(plural, f"{one} becomes {other}", known[one], known[other])
        for one in known for other in known if one != other
    ]  # fmt: skip


def joint_changes(plural: str, seed: int, count: int) -> list[Change]:
    """`count` changes of several fields at once, of those that are valid one by one."""
    rng = random.Random(seed)
    singles = [one for one in field_changes(plural, seed) if one.valid]
    return [_joint(plural, rng, singles) for _ in range(count)]


def unreached(plural: str) -> list[Field]:
    """Fields that no base has a place for: nothing would change them."""
    known = _bases(plural).values()
    return [field for field in fields(spec_schema(plural)) if not any(places(spec, field.path) for spec in known)]


def _bases(plural: str) -> Mapping[str, Spec]:
    return bases.APPS if plural == "apps" else bases.IMAGES


def _changes_of(plural: str, field: Field, known: Mapping[str, Spec], rng: random.Random) -> Iterator[Change]:
    base, place = _best_place(field, known)
    if place is None:
        return
    before = known[base]
    now = read(before, place)
    where = f"{base}, {_shown(place)}"
    if now is not None and field.path[-1] not in ("[]", "{}"):
        yield Change(plural, f"{where} removed", before, without(before, place), valid=not field.required)
    for valid, found in ((True, allowed(field.schema, now)), (False, refused(field.schema, now))):
        for one in _some(found, rng):
            yield Change(plural, f"{where} is {one.what}", before, put(before, place, one.value), valid)


def _best_place(field: Field, known: Mapping[str, Spec]) -> tuple[str, Place | None]:
    """The first base in which the field is given; else the first that has room for it."""
    found = [(name, place) for name, spec in known.items() for place in places(spec, field.path)]
    given = (one for one in found if read(known[one[0]], one[1]) is not None)
    return next(given, found[0] if found else ("", None))


def _some(values: Sequence[Value], rng: random.Random) -> list[Value]:
    """Bounds, enums and lengths come before and after the pool of texts: half from each end, the rest by chance."""
    if len(values) <= _VALUES_A_FIELD:
        return list(values)
    ends = [*values[:2], *values[-2:]]
    return ends + rng.sample(list(values[2:-2]), _VALUES_A_FIELD - len(ends))


def _joint(plural: str, rng: random.Random, singles: Sequence[Change]) -> Change:
    """One base, changed by several of its single changes: what each changed is what it has unlike the base."""
    first = rng.choice(singles)
    same_base = [one for one in singles if one.before == first.before and one is not first]
    chosen = [first, *rng.sample(same_base, min(_TOGETHER - 1, len(same_base)))]
    after = first.before
    for one in chosen:
        # Top-level fields whole: two changes below the same one would each take the other's back.
        changed = {name for name in one.after.keys() | one.before.keys() if one.after.get(name) != one.before.get(name)}
        after = {name: value for name, value in after.items() if name not in changed or name in one.after}
        after = {**after, **{name: one.after[name] for name in changed if name in one.after}}
    return Change(plural, " + ".join(one.what for one in chosen), first.before, after)


def _shown(place: Place) -> str:
    return ".".join(str(step) for step in place)
