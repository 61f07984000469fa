"""The write gate (contract, "Leadership")."""

import pytest

from keelway.cluster.gate import WriteGate
from keelway.errors import NotLeader


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_it_is_shut_at_first() -> None:
    with pytest.raises(NotLeader):
        WriteGate().enter()


def test_it_is_open_until_the_deadline_and_shuts_by_itself() -> None:
    clock = Clock()
    gate = WriteGate(clock)
    gate.open_until(1010, 1015)
    assert gate.enter() == 15
    clock.now = 1009.9
    assert gate.is_open
    clock.now = 1010
    with pytest.raises(NotLeader):
        gate.enter()


def test_it_can_be_shut_before() -> None:
    gate = WriteGate(Clock())
    gate.open_until(1010, 1015)
    gate.shut()
    assert not gate.is_open
