"""What the builder's tests share."""

import time
from pathlib import Path

import pytest

from keelway.builder.tree import Tree, TreeCaps


@pytest.fixture
def caps() -> TreeCaps:
    """Caps that no honest archive of the tests reaches."""
    return TreeCaps(bytes=1_000_000, entries=100, deadline=time.monotonic() + 60)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "tree"


@pytest.fixture
def tree(root: Path, caps: TreeCaps) -> Tree:
    return Tree(root, caps)
