"""The generator of `make faults`: it reaches every field, at its edges, and the same seed makes the same cases."""

import re

import pytest
import yaml

from keelway.api.app import App
from keelway.errors import Terminal
from tests.faults.generated import bases, changes
from tests.faults.generated.changes import Change
from tests.faults.generated.fields import fields, places, put, read, spec_schema, without
from tests.faults.generated.state import Seen, difference
from tests.faults.generated.values import allowed, allows, refused

PLURALS = ["apps", "images"]
NAME = {"type": "string", "minLength": 1, "maxLength": 5, "pattern": "^[a-z0-9]+$"}
AMOUNT = {"x-kubernetes-int-or-string": True, "minimum": 0, "maxLength": 32, "pattern": "^[0-9]+m?$"}
NAMED = {
    "type": "array",
    "maxItems": 2,
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["name"],
    "items": {"type": "object", "required": ["name"], "properties": {"name": NAME}},
}


@pytest.mark.parametrize("plural", PLURALS)
def test_every_field_has_a_place_in_some_base(plural: str) -> None:
    assert changes.unreached(plural) == []


@pytest.mark.parametrize("plural", PLURALS)
def test_every_base_is_allowed_by_the_schema(plural: str) -> None:
    known = bases.APPS if plural == "apps" else bases.IMAGES
    assert all(allows(spec_schema(plural), spec) for spec in known.values())


@pytest.mark.parametrize("plural", PLURALS)
def test_every_field_is_changed_to_what_is_valid_and_to_what_is_not(plural: str) -> None:
    made = changes.field_changes(plural, seed=1)
    told = [(one.what.partition(", ")[2], one.valid) for one in made]
    for field in fields(spec_schema(plural)):
        pattern = re.escape(str(field)).replace(r"\[\]", r"\.\d+").replace(r"\{\}", r"\..+")
        found = {valid for what, valid in told if re.match(rf"{pattern} (is|removed)", what)}
        # An object is changed by its members.
        assert found == {True, False} or ("properties" in field.schema and False in found), f"{field}: {found}"


def test_the_same_seed_makes_the_same_cases_and_another_makes_others() -> None:
    assert changes.field_changes("apps", 1) == changes.field_changes("apps", 1)
    assert changes.field_changes("apps", 1) != changes.field_changes("apps", 2)
    assert changes.joint_changes("apps", 1, 5) == changes.joint_changes("apps", 1, 5)


@pytest.mark.parametrize("plural", PLURALS)
def test_what_is_called_valid_is_allowed_by_the_schema_and_the_rest_is_not(plural: str) -> None:
    schema = spec_schema(plural)
    for one in changes.field_changes(plural, seed=1):
        assert allows(schema, one.after) == one.valid, one


def test_a_change_of_many_fields_changes_many() -> None:
    for one in changes.joint_changes("apps", 1, 20):
        assert one.after != one.before
        assert allows(spec_schema("apps"), one.after)


def test_a_case_is_told_as_two_objects_to_apply() -> None:
    before = {"image": {"name": "a"}}
    text = Change("apps", "env is 🚢", before, {**before, "env": [{"name": "A", "value": "🚢"}]}).reproduction()
    one, other = yaml.safe_load_all(text)
    assert one["spec"] == before
    assert other["spec"]["env"][0]["value"] == "🚢"


def test_the_operator_reads_every_base() -> None:
    for spec in bases.APPS.values():
        try:
            App.parse({"metadata": {"name": "web", "namespace": "team"}, "spec": spec})
        except Terminal as error:
            pytest.fail(str(error))


def test_strings_are_tried_at_their_bounds() -> None:
    assert {"a", "aaaaa"} <= {one.value for one in allowed(NAME)}
    assert {"", "aaaaaa", "Z", 7} <= {one.value for one in refused(NAME) if not isinstance(one.value, list | dict)}


def test_numbers_are_tried_at_their_bounds() -> None:
    port = {"type": "integer", "minimum": 1, "maximum": 9}
    assert {1, 9} <= {one.value for one in allowed(port)}
    assert [one.value for one in refused(port)][:2] == [0, 10]


def test_an_amount_may_be_a_number_or_text() -> None:
    assert allows(AMOUNT, 1)
    assert allows(AMOUNT, "1m")
    assert not allows(AMOUNT, -1)
    assert not allows(AMOUNT, "1e-9")
    assert not allows(AMOUNT, True)


def test_a_pattern_ends_where_the_text_ends() -> None:
    assert not allows(NAME, "a\n")


def test_lists_are_tried_empty_full_too_full_and_with_doubles() -> None:
    now = [{"name": "a"}]
    good, bad = ([one.what for one in found] for found in (allowed(NAMED, now), refused(NAMED, now)))
    assert {"empty list", "maxItems"} <= set(good)
    assert {"over maxItems", "last item twice"} <= set(bad)


def test_a_field_is_found_in_every_item_and_given_ones_come_first() -> None:
    spec = {"env": [{"name": "a"}, {"name": "b", "value": "x"}]}
    assert places(spec, ("env", "[]", "value")) == [("env", 1, "value"), ("env", 0, "value")]
    assert read(spec, ("env", 1, "value")) == "x"
    assert put(spec, ("env", 0, "value"), "y")["env"][0] == {"name": "a", "value": "y"}
    assert without(spec, ("env", 1, "value"))["env"][1] == {"name": "b"}
    assert "value" in spec["env"][1], "the spec itself stays as it is"


def _seen(name: str, uid: str, version: str, replicas: int = 1) -> Seen:
    metadata = {"name": name, "uid": uid, "generation": int(version), "resourceVersion": version}
    ready = {"type": "Ready", "status": "True", "reason": "RolledOut", "message": f"{name} runs.",
             "lastTransitionTime": version}  # fmt: skip
    child = {"metadata": {"name": name, "uid": f"{uid}-d", "annotations": {"keelway.dev/wanted-hash": uid}},
             "spec": {"replicas": replicas}}  # fmt: skip
    status = {"observedGeneration": int(version), "conditions": [ready]}
    return Seen({"metadata": metadata, "spec": {}, "status": status}, {"deployment": child})


def test_two_apps_in_the_same_state_read_the_same_whatever_their_names_and_times() -> None:
    assert difference(_seen("one", "u1", "1").text(), _seen("other", "u2", "7").text()) == ""


def test_two_apps_in_different_states_do_not() -> None:
    assert "replicas: 2" in difference(_seen("one", "u1", "1").text(), _seen("other", "u2", "7", replicas=2).text())
