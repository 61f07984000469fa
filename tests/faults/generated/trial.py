"""Acto's oracles over many changes at once: A that becomes B is as a fresh B, and back at A it is as a fresh A.

Every change has two objects of its own, one that is changed and one that is B from the start; bases have one fresh
object each. All live side by side, so a run takes as long as its slowest phase and not the sum of its cases.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.faults.generated.changes import Change
from tests.faults.generated.crowd import Crowd
from tests.faults.generated.fields import Spec
from tests.faults.generated.state import Seen, difference


@dataclass
class Verdict:
    """What came of a trial. `failures` are ready to be printed, each with its case to reproduce."""

    tried: int = 0
    refused: int = 0
    """Valid by the schema, but not by its CEL rules: refused, and the object as it was."""
    failures: list[str] = field(default_factory=list)
    reasons: dict[str, int] = field(default_factory=dict)
    """How many Apps ended with each reason of Ready."""

    def add(self, change: Change, what: str) -> None:
        self.failures.append(f"{change}\n{what}\n{change.reproduction()}")

    def report(self, shown: int = 10) -> str:
        more = len(self.failures) - shown
        tail = [f"... and {more} more"] if more > 0 else []
        return "\n\n".join([f"{len(self.failures)} of {self.tried} changes", *self.failures[:shown], *tail])


async def differential(place: Crowd, plural: str, changes: Sequence[Change], seconds: float) -> Verdict:
    """A -> B against a fresh B, then B -> A against a fresh A. `seconds` is for each of the three phases."""
    trial = _Trial(place, plural, {f"case-c{number:04d}": change for number, change in enumerate(changes)}, seconds)
    return await trial.run()


async def refusals(place: Crowd, plural: str, changes: Sequence[Change]) -> Verdict:
    """What the schema forbids is refused, and the object stays as it is: its generation tells."""
    verdict = Verdict(tried=len(changes))
    names: dict[str, str] = {}
    for change in changes:
        names.setdefault(repr(change.before), f"case-r{len(names):04d}")
    await place.each(
        place.create(plural, names[repr(spec)], spec) for spec in _distinct([one.before for one in changes])
    )
    await place.settled(plural, names.values(), 60)
    before = await place.seen(plural)

    async def attempt(change: Change) -> None:
        if await place.replace(plural, names[repr(change.before)], change.after) is not None:
            verdict.add(change, "was taken, although the schema forbids it")

    await place.each(attempt(one) for one in changes)
    after = await place.seen(plural)
    verdict.refused = len(changes) - len(verdict.failures)
    moved = [name for name in names.values() if _generation(before, name) != _generation(after, name)]
    if moved and not verdict.failures:
        verdict.failures.append(f"refused, and changed all the same: {moved}")
    return verdict


class _Trial:
    def __init__(self, place: Crowd, plural: str, cases: Mapping[str, Change], seconds: float) -> None:
        self._place = place
        self._plural = plural
        self._cases = cases
        self._seconds = seconds
        self._bases = {f"case-a{n:04d}": spec for n, spec in enumerate(_distinct([c.before for c in cases.values()]))}
        self._verdict = Verdict(tried=len(cases))

    async def run(self) -> Verdict:
        taken = await self._begin()
        first = await self._place.settled(self._plural, [*self._cases, *self._bases], self._seconds)
        await self._place.each(self._become(name, change, taken) for name, change in self._cases.items())
        second = await self._place.settled(self._plural, [*taken, *map(_twin, taken)], self._seconds)
        for name in taken:
            self._compare(name, "A -> B is not as a fresh B", second.get(name), second.get(_twin(name)))
        for name in self._cases.keys() - taken:
            if _generation(first, name) != _generation(second, name):
                self._verdict.add(self._cases[name], "was refused, and changed all the same")
        await self._place.each(self._place.replace(self._plural, name, self._cases[name].before) for name in taken)
        third = await self._place.settled(self._plural, taken, self._seconds)
        for name in taken:
            base = next(base for base, spec in self._bases.items() if spec == self._cases[name].before)
            self._compare(name, "A -> B -> A is not as A", third.get(name), third.get(base))
        return self._verdict

    async def _begin(self) -> set[str]:
        """All As and fresh Bs; gives the names of those whose B the API server takes."""
        place, plural = self._place, self._plural
        await place.each(place.create(plural, name, spec) for name, spec in self._bases.items())
        await place.each(place.create(plural, name, change.before) for name, change in self._cases.items())
        fresh = await place.each(place.create(plural, _twin(name), one.after) for name, one in self._cases.items())
        taken = {name for name, made in zip(self._cases, fresh, strict=True) if made is not None}
        self._verdict.refused = len(self._cases) - len(taken)
        return taken

    async def _become(self, name: str, change: Change, taken: set[str]) -> None:
        answer = await self._place.replace(self._plural, name, change.after)
        if (answer is not None) != (name in taken):
            self._verdict.add(change, f"refused when new: {name not in taken}; refused when changed: {answer is None}")

    def _compare(self, name: str, claim: str, changed: Seen | None, fresh: Seen | None) -> None:
        change = self._cases[name]
        if changed is None or fresh is None:
            self._verdict.add(change, f"{claim}: one of the two is not there")
            return
        unsettled = [one.name for one in (changed, fresh) if not one.settled]
        if unsettled:
            self._verdict.add(change, f"{' and '.join(unsettled)} never settled\n{changed.verdict()}")
            return
        self._verdict.reasons[changed.reason] = self._verdict.reasons.get(changed.reason, 0) + 1
        if fresh.reason == "Suspended":
            return  # it stays as it was, which a fresh one never was
        whole = fresh.runs or self._plural == "images"
        told = difference(changed.text(), fresh.text()) if whole else difference(changed.verdict(), fresh.verdict())
        if told:
            self._verdict.add(change, f"{claim}:\n{told}")


def _twin(name: str) -> str:
    return name.replace("case-c", "case-f")


def _distinct(specs: Sequence[Spec]) -> list[Spec]:
    return list({repr(spec): spec for spec in specs}.values())


def _generation(found: Mapping[str, Seen], name: str) -> int | None:
    return found[name].owner["metadata"]["generation"] if name in found else None
