"""The version that the next build becomes: unique, only ever higher, and one that a registry takes."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keelway.api.version import Versioning
from keelway.children.names import is_free_tag, version_tag
from keelway.errors import Terminal
from keelway.reconcile.semver import SemVer
from keelway.reconcile.version import Candidate, next_version
from tests.unit.objects import NOW

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def _next(taken: set[str], git_tag: str | None = None, now: datetime = NOW, number: int = 8, **spec: Any) -> str:
    return next_version(Versioning.model_validate(spec), frozenset(taken), Candidate(number, COMMIT, git_tag, now))


def _refused(taken: set[str], git_tag: str | None = None, **spec: Any) -> Terminal:
    with pytest.raises(Terminal) as caught:
        _next(taken, git_tag, **spec)
    return caught.value


def test_sequential_versions_are_numbers() -> None:
    assert _next({"v7", "1.2.3"}) == "v8"


class TestSemVer:
    def test_the_first_is_0_1_0(self) -> None:
        assert _next({"v7", "latest", "build-7"}, scheme="SemVer") == "0.1.0"

    def test_without_a_tag_the_highest_that_is_there_goes_up(self) -> None:
        taken = {"1.9.0", "1.10.0", "0.3.0", "1.10.0_5", "stable"}
        assert _next(taken, scheme="SemVer") == "1.10.1"
        assert _next(taken, scheme="SemVer", bump="Minor") == "1.11.0"
        assert _next(taken, scheme="SemVer", bump="Major") == "2.0.0"

    def test_a_git_tag_that_is_a_version_is_the_version(self) -> None:
        assert _next({"1.2.2"}, "v1.2.3", scheme="SemVer") == "1.2.3"
        assert _next({"1.2.2"}, "1.3.0-rc.1", scheme="SemVer") == "1.3.0-rc.1"

    def test_a_git_tag_that_is_none_is_as_no_tag(self) -> None:
        assert _next({"1.2.2"}, "nightly", scheme="SemVer") == "1.2.3"

    def test_a_second_build_of_the_same_tag_gets_its_number(self) -> None:
        assert _next({"1.2.3"}, "v1.2.3", scheme="SemVer") == "1.2.3+8"
        assert _next({"1.2.3", "1.2.3_8"}, "v1.2.3", number=9, scheme="SemVer") == "1.2.3+9"

    def test_a_tag_below_what_is_there_is_refused(self) -> None:
        told = _refused({"1.2.3", "1.10.0"}, "v1.9.9", scheme="SemVer")
        assert told.reason == "VersionNotNewer"
        assert "v1.9.9 is lower than 1.10.0" in told.message
        assert "spec.pin" in told.message

    def test_a_tag_that_no_registry_takes_is_refused(self) -> None:
        assert _refused(set(), f"1.2.3-{'a' * 130}", scheme="SemVer").reason == "InvalidVersion"


class TestCalVer:
    def test_counts_within_the_day(self) -> None:
        assert _next(set(), scheme="CalVer") == "2026.01.02.0"
        assert _next({"2026.01.02.9", "2026.01.02.10", "2025.12.31.40"}, scheme="CalVer") == "2026.01.02.11"

    @pytest.mark.parametrize(
        ("form", "version"),
        [
            ("YYYY.MM.DD.MICRO", "2026.1.2.0"),
            ("YY.0M.MICRO", "26.01.0"),
            ("YYYY0M0D-MICRO", "20260102-0"),
            ("YYYY_MM_MICRO", "2026_1_0"),
            ("YYYY.MICRO", "2026.0"),
        ],
    )
    def test_follows_its_format(self, form: str, version: str) -> None:
        assert _next({"2025.12.31.7"}, scheme="CalVer", format=form) == version
        again = _next({version}, scheme="CalVer", format=form)
        assert again == version.removesuffix("0") + "1"

    def test_goes_on_from_the_latest_day_though_the_clock_was_set_back(self) -> None:
        taken = {"2026.01.02.3"}
        assert _next(taken, now=NOW - timedelta(days=40), scheme="CalVer") == "2026.01.02.4"
        assert _next(taken, now=NOW + timedelta(days=1), scheme="CalVer") == "2026.01.03.0"

    def test_is_of_the_day_in_utc(self) -> None:
        elsewhere = datetime.fromisoformat("2026-01-03T01:00:00+05:00")
        assert _next(set(), now=elsewhere, scheme="CalVer") == "2026.01.02.0"

    @given(
        st.lists(st.datetimes(datetime(2001, 1, 1), datetime(2099, 12, 31), timezones=st.just(UTC)), max_size=20),
        st.sampled_from(["YYYY.0M.0D.MICRO", "YY.MM.DD.MICRO", "YYYYMM0D_MICRO", "YYYY0M0D.MICRO", "YY.MICRO"]),
    )
    def test_never_gives_a_version_twice_whatever_the_clock_does(self, times: list[datetime], form: str) -> None:
        taken: set[str] = set()
        for now in times:
            version = _next(taken, now=now, scheme="CalVer", format=form)
            assert version not in taken
            taken.add(version)


class TestTemplate:
    def test_fills_in_what_is_known(self) -> None:
        template = "web-{number}_{shortRevision}.{date}"
        assert _next(set(), scheme="Template", template=template) == "web-8_0123456.20260102"
        assert _next(set(), scheme="Template", template="{revision}") == COMMIT

    def test_of_a_content_has_its_digits_alone(self) -> None:
        due = Candidate(1, f"sha256:{'ab' * 32}", None, NOW)
        versioning = Versioning.model_validate({"scheme": "Template", "template": "{revision}"})
        assert next_version(versioning, frozenset(), due) == "ab" * 32

    def test_that_repeats_itself_is_refused(self) -> None:
        told = _refused({"release"}, scheme="Template", template="release")
        assert told.reason == "VersionTaken"
        assert "Add {number}" in told.message

    @pytest.mark.parametrize(
        "template", ["{revision}{revision}{revision}{revision}", "build{number}".replace("d", "d-")]
    )
    def test_whose_result_cannot_be_a_version_is_refused(self, template: str) -> None:
        assert _refused(set(), scheme="Template", template=template).reason == "InvalidVersion"


@given(
    st.sets(st.from_regex(r"[0-9]{1,2}\.[0-9]\.[0-9](-rc\.[0-9])?(_[0-9])?", fullmatch=True), max_size=8),
    st.none() | st.from_regex(r"v?[0-9]{1,2}\.[0-9]\.[0-9](-rc\.[0-9])?", fullmatch=True),
)
def test_a_semantic_version_is_free_and_never_lower_than_any_that_is_there(
    taken: set[str], git_tag: str | None
) -> None:
    others = [other for tag in taken if (other := SemVer.parse(tag)) is not None]
    tagged = SemVer.parse(git_tag) if git_tag else None
    if tagged is not None and any(other.precedence > tagged.precedence for other in others):
        assert _refused(taken, git_tag, scheme="SemVer").reason == "VersionNotNewer"
        return
    version = _next(taken, git_tag, number=99, scheme="SemVer")
    assert version_tag(version) not in taken
    assert is_free_tag(version_tag(version))
    parsed = SemVer.parse(version)
    assert parsed is not None
    assert all(other.precedence <= parsed.precedence for other in others)
