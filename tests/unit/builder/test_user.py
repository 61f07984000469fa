"""Which uid an image runs as."""

import pytest

from keelway.builder.user import numeric_uid, uid_in_passwd

PASSWD = (
    "root:x:0:0:root:/root:/bin/sh\n#app:x:1:1\nbroken\nempty:x::5\nword:x:abc:5\napp:x:1000:1000::/home/app:/bin/sh\n"
)


@pytest.mark.parametrize(
    ("user", "uid"),
    [("", 0), ("0", 0), ("0:0", 0), ("1000", 1000), ("1000:app", 1000), ("app", None), ("app:1000", None), (":5", 0),
     ("4294967295", None), ("99999999999", None), ("-1", None), ("\u0661", None)],
)  # fmt: skip
def test_a_number_is_itself_nothing_is_root_and_a_name_is_not_known(user: str, uid: int | None) -> None:
    assert numeric_uid(user) == uid


@pytest.mark.parametrize(
    ("user", "uid"),
    [
        ("app", 1000),
        ("app:staff", 1000),
        ("root", 0),
        ("nobody", None),
        ("empty", None),
        ("word", None),
        ("broken", None),
    ],
)
def test_a_name_is_looked_up_in_passwd(user: str, uid: int | None) -> None:
    assert uid_in_passwd(user, PASSWD) == uid
