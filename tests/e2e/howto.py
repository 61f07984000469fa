"""The YAML of docs/how-to.md, which the tests apply as a reader would: one block a heading."""

import re
from typing import Any

import yaml

from tests.conftest import ROOT

_PAGE = (ROOT / "docs" / "how-to.md").read_text()


def spec(heading: str) -> dict[str, Any]:
    """The `spec` of the one YAML block below a heading of any level."""
    section = re.search(rf"^#+ {re.escape(heading)}$(.*?)(?=^#+ |\Z)", _PAGE, re.MULTILINE | re.DOTALL)
    assert section is not None, f"docs/how-to.md has no heading {heading!r}"
    (block,) = re.findall(r"^```yaml$(.*?)^```$", section[1], re.MULTILINE | re.DOTALL)
    found: dict[str, Any] = yaml.safe_load(block)["spec"]
    return found
