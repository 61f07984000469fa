"""An image that the kubelet would refuse to run as non-root is told of before its pods crash."""

import pytest

from keelway.api.pod import Security, SecurityContext
from keelway.errors import Terminal
from keelway.status.user import check_user, must_be_non_root

ANY = SecurityContext()


@pytest.mark.parametrize("user", ["1000", "1000:1000", "65532:0"])
def test_a_numeric_user_runs(user: str) -> None:
    check_user(Security.RESTRICTED, ANY, user, None)


def test_a_name_whose_number_is_known_runs() -> None:
    check_user(Security.RESTRICTED, ANY, "www-data:www-data", 33)


@pytest.mark.parametrize(
    ("user", "uid"),
    [(None, None), ("", None), ("0", None), ("00", None), ("0:1000", 0), ("root", None), ("root:root", 0), ("toor", 0)],
)
def test_root_under_any_name_is_refused_with_both_remedies(user: str | None, uid: int | None) -> None:
    with pytest.raises(Terminal) as refused:
        check_user(Security.RESTRICTED, ANY, user, uid)
    assert refused.value.reason == "ImageRunsAsRoot"
    assert "USER 1000" in refused.value.message
    assert "security: Baseline" in refused.value.message


def test_a_name_whose_number_is_not_known_may_be_root() -> None:
    with pytest.raises(Terminal) as refused:
        check_user(Security.RESTRICTED, ANY, "nginx", None)
    assert refused.value.reason == "ImageUserUnknown"
    assert "'nginx'" in refused.value.message


def test_the_apps_own_user_replaces_the_images() -> None:
    check_user(Security.RESTRICTED, SecurityContext(run_as_user=1000), "root", 0)


def test_baseline_runs_as_the_image_wants() -> None:
    check_user(Security.BASELINE, ANY, "root", 0)


def test_baseline_that_asks_for_non_root_is_held_to_it() -> None:
    asked = SecurityContext(run_as_non_root=True)
    assert must_be_non_root(Security.BASELINE, asked)
    with pytest.raises(Terminal):
        check_user(Security.BASELINE, asked, "", None)
