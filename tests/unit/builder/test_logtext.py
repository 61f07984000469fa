"""Log text is made fit to show."""

import base64

import pytest

from keelway.builder.logtext import Redactor, cleaned, last_lines


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"plain\n", "plain\n"),
        (b"\x1b[1;31mred\x1b[0m", "red"),
        (b"\x1b]0;title\x07x", "x"),
        (b"\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        (b"10%\r50%\r100%\nnext", "100%\nnext"),
        (b"windows\r\nlines\r\n", "windows\nlines\n"),
        (b"tab\there", "tab\there"),
        (b"bell\x07 nul\x00 back\x08", "bell nul back"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        ("c1\x9b31m".encode(), "c131m"),
    ],
)
def test_escape_sequences_and_control_characters_go(raw: bytes, text: str) -> None:
    assert cleaned(raw) == text


def test_secrets_are_masked_whole_by_line_and_in_base64() -> None:
    secret = "first-line\nsecond-line\n"
    redact = Redactor.of([secret, "p4ssw0rd"])
    encoded = base64.b64encode(secret.strip().encode()).decode()
    assert redact(f"a p4ssw0rd b second-line c {encoded} d") == "a *** b *** c *** d"


def test_a_secret_within_another_does_not_uncover_the_rest() -> None:
    assert Redactor.of(["token", "token-long"])("token-long token") == "*** ***"


def test_values_too_short_to_be_secrets_mask_nothing() -> None:
    assert Redactor.of(["a", "", "on\n"])("a on off") == "a on off"


def test_a_redactor_does_not_show_what_it_knows() -> None:
    assert "p4ssw0rd" not in repr(Redactor.of(["p4ssw0rd"]))


def test_the_last_whole_lines_are_kept() -> None:
    assert last_lines("one\ntwo\nthree\n", 100) == "one\ntwo\nthree"
    assert last_lines("one\ntwo\nthree\n", 8) == "three"
    assert last_lines("x" * 100, 10) == "x" * 10
