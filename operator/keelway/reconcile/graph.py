"""PURE: Images that build from Images: who uses whom is a graph, and in a circle nobody could ever be first."""

from collections.abc import Callable, Iterator, Sequence

Uses = Callable[[str], Sequence[str]]
"""Names of the Images that the named one builds from."""


def find_cycle(start: str, uses: Uses) -> tuple[str, ...] | None:
    """The shortest way from an Image over what it uses back to itself, (start, ..., start); None if there is none."""
    came_from: dict[str, str] = {}
    names = [start]
    for name in names:  # grows while it is walked: breadth first
        for used in uses(name):
            if used == start:
                return _way(start, name, came_from)
            if used not in came_from:
                came_from[used] = name
                names.append(used)
    return None


def reachable(start: str, step: Uses) -> Iterator[str]:
    """Every name that steps from `start` lead to, the near ones first; without `start` itself."""
    found = {start}
    names = [start]
    for name in names:
        for other in step(name):
            if other not in found:
                found.add(other)
                names.append(other)
                yield other


def _way(start: str, end: str, came_from: dict[str, str]) -> tuple[str, ...]:
    way = [start]
    name = end
    while name != start:
        way.append(name)
        name = came_from[name]
    way.append(start)
    return tuple(reversed(way))
