"""The field reference says of every field what the CRD says of it."""

from keelway.api.crd import DEFINITIONS, custom_resource_definition
from keelway.api.reference import reference, rows
from tests.conftest import ROOT


def test_every_field_of_every_kind_has_a_row_with_its_description() -> None:
    written = reference()
    for definition in DEFINITIONS:
        version = custom_resource_definition(definition)["spec"]["versions"][0]
        properties = version["schema"]["openAPIV3Schema"]["properties"]
        found = [*rows(properties["spec"], "spec"), *rows(properties["status"], "status")]
        assert len(found) > 20
        for row in found:
            assert f"| `{row.path}`" in written
            assert row.schema.get("description"), row.path


def test_a_row_gives_bounds_default_and_rules() -> None:
    lines = {line.split("`")[1]: line for line in reference().splitlines() if line.startswith("| `")}
    assert "integer, 10 to 86400, default `1800`" in lines["spec.build.timeoutSeconds"]
    assert "Rule: exactly one of" in lines["spec.source"]
    assert "(required)" in lines["spec.tests[].name"]
    assert "list of object, at most 20 items" in lines["spec.tests"]
    assert "&lt;owner's" not in lines["spec.tests"]


def test_the_one_in_docs_is_up_to_date() -> None:
    assert (ROOT / "docs/reference.md").read_text() == reference()
