"""How long two may fight over a child (contract rule 9)."""

from keelway.reconcile.healing import FREE, LONGEST, Healings


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_hand_edits_are_healed_at_once() -> None:
    healings = Healings(Clock())
    for _ in range(FREE - 1):
        healings.begin("u1", "kubectl-edit")
    assert healings.pause("u1") == 0


def test_the_pauses_of_a_fight_double_up_to_the_longest() -> None:
    clock = Clock()
    healings = Healings(clock)
    pauses = []
    for _ in range(FREE + 10):
        healings.begin("u1", "other")
        pauses.append(healings.pause("u1"))
        clock.now += pauses[-1]
    assert pauses[FREE - 1 : FREE + 3] == [1, 2, 4, 8]
    assert max(pauses) == LONGEST


def test_a_fight_of_days_is_paused_as_one_of_hours() -> None:
    healings = Healings(Clock())
    for _ in range(FREE + 2000):
        healings.begin("u1", "other")
    assert healings.pause("u1") == LONGEST


def test_a_long_peace_forgives_all() -> None:
    clock = Clock()
    healings = Healings(clock)
    for _ in range(FREE + 3):
        healings.begin("u1", "other")
    clock.now += 2 * LONGEST
    healings.begin("u1", "other")
    assert healings.pause("u1") == 0


def test_one_childs_fight_is_not_anothers() -> None:
    healings = Healings(Clock())
    for _ in range(FREE + 3):
        healings.begin("u1", "other")
    assert healings.pause("u2") == 0


def test_the_conflict_names_what_and_who_and_when() -> None:
    healings = Healings(Clock())
    for _ in range(FREE):
        healings.begin("u1", "argocd")
    problem = healings.conflict("u1", "Service web", ["spec.ports[80]"])
    assert problem.reason == "ChildConflict"
    assert "Service web" in problem.message
    assert "spec.ports[80]" in problem.message
    assert "argocd" in problem.message
    assert problem.retry_after == 1
