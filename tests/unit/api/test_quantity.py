"""Quantities: what they are worth, and which the API accepts."""

from decimal import Decimal

import pytest
from pydantic import TypeAdapter, ValidationError

from keelway.api.quantity import Quantity, kept, value

ACCEPTED = TypeAdapter(Quantity)


@pytest.mark.parametrize(
    ("quantity", "worth"),
    [
        ("0", "0"),
        ("100m", "0.1"),
        ("1.5", "1.5"),
        (".5", "0.5"),
        (2, "2"),
        ("1k", "1000"),
        ("1E", "1000000000000000000"),
        ("1e3", "1000"),
        ("1E3", "1000"),
        ("128Mi", "134217728"),
        ("1Gi", "1073741824"),
        ("0.5Ki", "512"),
        ("1500000n", "0.0015"),
        ("-1", "-1"),
    ],
)
def test_a_quantity_is_worth_what_kubernetes_says(quantity: str | int, worth: str) -> None:
    assert value(quantity) == Decimal(worth)


@pytest.mark.parametrize("quantity", ["", "Mi", "1 Gi", "1KI", "1gi", "ten", "1m1", "0x10"])
def test_what_is_no_quantity_has_no_value(quantity: str) -> None:
    with pytest.raises(ValueError, match="is no quantity"):
        value(quantity)


def test_equal_amounts_are_equal_however_they_are_written() -> None:
    assert value("1024Mi") == value("1Gi")
    assert value("1000m") == value(1)


@pytest.mark.parametrize(
    ("quantity", "live"),
    [
        ("0.000000001", "1m"),
        ("1.5m", "2m"),
        ("1.0005", "1001m"),
        ("0.1", "100m"),
        ("1.1Ki", "1126400m"),
        ("7.99999999999Ei", "9223372036843246592954m"),
        ("9999Ei", "9223372036854775807"),
        ("8Ei", "9223372036854775807"),
        ("9" * 32, "9" * 32),
        ("0." + "0" * 29 + "1", "1m"),
    ],
)
def test_an_amount_in_a_pod_is_kept_as_kubernetes_rounds_it(quantity: str, live: str) -> None:
    """As Kubernetes 1.37 answered an apply of it."""
    assert kept(quantity) == kept(live)


def test_amounts_that_a_pod_tells_apart_are_kept_apart() -> None:
    assert len({kept(one) for one in ("1m", "2m", "1", "1Ki", "1.001Ki", "7Ei")}) == 6


def test_a_whole_number_is_read_as_the_string_that_kubernetes_makes_of_it() -> None:
    assert ACCEPTED.validate_python(2) == "2"


@pytest.mark.parametrize("quantity", ["-1", "1e3", "1n", "1 Gi", True, 0.5])
def test_users_may_not_write_negative_exponential_nano_or_float_quantities(quantity: object) -> None:
    with pytest.raises(ValidationError):
        ACCEPTED.validate_python(quantity)
