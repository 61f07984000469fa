"""The YAML of docs/how-to.md, to be applied as it stands there."""

import re
from pathlib import Path

_PAGE = Path(__file__).parents[2] / "docs" / "how-to.md"


def yaml_of(heading: str) -> str:
    """The first YAML block below that heading."""
    _, _, below = _PAGE.read_text().partition(f"## {heading}\n")
    block = re.search(r"```yaml\n(.*?)```", below.partition("\n## ")[0], re.DOTALL)
    assert block is not None, f"docs/how-to.md has no YAML below {heading!r}"
    return block[1]
