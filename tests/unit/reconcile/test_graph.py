"""Images that build from Images: circles are found, whatever the graph looks like."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keelway.reconcile.graph import find_cycle, reachable

Graph = dict[str, list[str]]


def uses(graph: Graph) -> Callable[[str], Sequence[str]]:
    return lambda name: graph.get(name, [])


@pytest.mark.parametrize(
    ("graph", "cycle"),
    [
        ({}, None),
        ({"a": ["b"], "b": ["c"]}, None),
        ({"a": ["a"]}, ("a", "a")),
        ({"a": ["b"], "b": ["a"]}, ("a", "b", "a")),
        ({"a": ["x", "b"], "b": ["c"], "c": ["y", "a"]}, ("a", "b", "c", "a")),
        ({"a": ["b"], "b": ["c"], "c": ["b"]}, None),
        ({"a": ["b", "c"], "b": ["d"], "c": ["d"], "d": []}, None),
        ({"a": ["b", "c"], "b": ["d"], "d": ["a"], "c": ["a"]}, ("a", "c", "a")),
    ],
    ids=["alone", "chain", "itself", "two", "three", "below it", "diamond", "the shortest"],
)
def test_a_circle_is_the_way_from_an_image_back_to_itself(graph: Graph, cycle: tuple[str, ...] | None) -> None:
    assert find_cycle("a", uses(graph)) == cycle


_names = st.sampled_from("abcdef")
_graphs = st.dictionaries(_names, st.lists(_names, max_size=4))


@given(_graphs)
def test_an_image_is_in_a_circle_when_it_is_below_itself(graph: Graph) -> None:
    step = uses(graph)
    cycle = find_cycle("a", step)
    below = {other for name in step("a") for other in (name, *reachable(name, step))}
    assert (cycle is not None) == ("a" in below)
    if cycle is not None:
        assert cycle[0] == cycle[-1] == "a"
        assert len(set(cycle)) == len(cycle) - 1
        assert all(after in step(before) for before, after in pairwise(cycle))


def test_everything_above_is_found_once_the_near_ones_first() -> None:
    graph = {"base": ["a", "b"], "a": ["c"], "b": ["c"], "c": ["base"]}
    assert list(reachable("base", uses(graph))) == ["a", "b", "c"]
