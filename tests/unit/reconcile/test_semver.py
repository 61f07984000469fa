"""Semantic versions are read, compared and bumped as semver.org says."""

from itertools import pairwise

import pytest

from keelway.api.version import Bump
from keelway.reconcile.semver import SemVer


def _parsed(text: str) -> SemVer:
    found = SemVer.parse(text)
    assert found is not None, text
    return found


@pytest.mark.parametrize("text", ["1.2.3", "0.0.0", "1.2.3-rc.1", "1.2.3+8", "1.2.3-x-y.7.z+a.01", "10.20.30"])
def test_a_semantic_version_is_written_as_it_was_read(text: str) -> None:
    assert str(_parsed(text)) == text


def test_a_git_tag_may_have_a_v_and_a_registrys_tag_an_underscore() -> None:
    assert str(_parsed("v1.2.3")) == "1.2.3"
    assert str(_parsed("1.2.3_8")) == "1.2.3+8"


@pytest.mark.parametrize(
    "text",
    ["v7", "1.2", "1.2.3.4", "01.2.3", "1.2.3-", "1.2.3-01", "1.2.3-a..b", "1.2.x", "release-1.2.3", "", "1.2.3\n"],
)
def test_anything_else_is_none(text: str) -> None:
    assert SemVer.parse(text) is None


def test_precedence_is_that_of_the_specifications_example() -> None:
    order = ["1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11"]
    order += ["1.0.0-rc.1", "1.0.0", "1.0.1", "1.2.0", "1.10.0", "2.0.0"]
    for lower, higher in pairwise(order):
        assert _parsed(lower).precedence < _parsed(higher).precedence
    assert _parsed("1.0.0+1").precedence == _parsed("1.0.0+2").precedence


@pytest.mark.parametrize(
    ("before", "bump", "after"),
    [
        ("1.2.3", Bump.PATCH, "1.2.4"),
        ("1.2.3", Bump.MINOR, "1.3.0"),
        ("1.2.3", Bump.MAJOR, "2.0.0"),
        ("1.2.3+8", Bump.PATCH, "1.2.4"),
        ("1.2.3-rc.1", Bump.PATCH, "1.2.3"),
        ("1.2.3-rc.1", Bump.MINOR, "1.3.0"),
        ("1.3.0-rc.1", Bump.MINOR, "1.3.0"),
        ("2.0.0-rc.1", Bump.MAJOR, "2.0.0"),
        ("2.1.0-rc.1", Bump.MAJOR, "3.0.0"),
    ],
)
def test_bumping(before: str, bump: Bump, after: str) -> None:
    assert str(_parsed(before).bumped(bump)) == after
