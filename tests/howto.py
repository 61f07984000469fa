"""The YAML of docs/how-to.md, so that tests apply what stands there."""

import re
from collections.abc import Mapping
from typing import Any

import yaml

from tests.conftest import ROOT

HOW_TO = ROOT / "docs" / "how-to.md"

Fragment = dict[str, Any]


def fragments(section: str) -> list[Fragment]:
    """The YAML documents of a section, in order."""
    text = HOW_TO.read_text().partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"^```yaml\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    found = [document for block in blocks for document in yaml.safe_load_all(block)]
    assert found, f"docs/how-to.md has no YAML under {section!r}"
    return found


def spec(heading: str) -> Fragment:
    """The `spec` of the one YAML block below a heading of any level."""
    section = re.search(rf"^#+ {re.escape(heading)}$(.*?)(?=^#+ |\Z)", HOW_TO.read_text(), re.MULTILINE | re.DOTALL)
    assert section is not None, f"docs/how-to.md has no heading {heading!r}"
    (block,) = re.findall(r"^```yaml\n(.*?)^```", section[1], re.DOTALL | re.MULTILINE)
    found: Fragment = yaml.safe_load(block)["spec"]
    return found


def laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> Fragment:
    """An object with a fragment laid over it."""
    both = {name: laid_over(below[name], value) for name, value in above.items() if isinstance(below.get(name), dict)}
    return {**below, **above, **both}
