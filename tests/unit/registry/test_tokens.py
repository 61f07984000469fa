"""What is kept of a registry's tokens: the registry may be a tenant's, and chooses their number, size and life."""

import time

import pytest

from keelway.registry.reference import Reference
from keelway.registry.tokens import Scope, Tokens


def scope(name: str) -> Scope:
    return Scope(Reference("registry.example", name), "pull", None)


def test_a_token_is_used_until_shortly_before_it_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = Tokens()
    tokens.put(scope("a"), "Bearer t", 100)
    assert tokens.get(scope("a")) == "Bearer t"
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 81)
    assert tokens.get(scope("a")) is None


def test_none_is_used_for_longer_than_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = Tokens()
    tokens.put(scope("a"), "Bearer t", 1e300)
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 3600)
    assert tokens.get(scope("a")) is None


def test_the_oldest_are_forgotten_when_there_are_too_many() -> None:
    tokens = Tokens()
    for number in range(1500):
        tokens.put(scope(f"a{number}"), "Bearer t", 60)
    assert len(tokens._known) == 1000
    assert tokens.get(scope("a0")) is None
    assert tokens.get(scope("a1499")) == "Bearer t"
