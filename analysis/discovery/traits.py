"""Traits of cells, such as a tanh or a gate that does not see the input, and how many cells of a pool have them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

import pandas as pd

from runs.discovery.graph import Graph
from runs.discovery.plan import MUTATION

from .search import Search

MOST = 4_000
"""New cells whose equations are read at most; of more cells every second, third, ... one is read."""


def _has(kind: str) -> Callable[[Graph], bool]:
    return lambda graph: any(node.kind == kind for node in graph.nodes)


def _mixes(graph: Graph) -> bool:
    """Return whether a graph has u*v + (1 - u)*w."""
    nodes = graph.nodes
    for node in nodes:
        if node.kind == "add" and all(nodes[of].kind == "mul" for of in node.of):
            one, other = (nodes[of].of for of in node.of)
            pairs = [(a, b) for left, right in ((one, other), (other, one)) for a in left for b in right]
            if any(nodes[b].kind == "one_minus" and nodes[b].of == (a,) for a, b in pairs):
                return True
    return False


def _resets(graph: Graph) -> bool:
    """Return whether R is multiplied with a product, as in the GRU."""
    return any(graph.nodes[of].kind == "mul" for gate in graph.gates for of in graph.nodes[gate].of)


TRAITS: dict[str, Callable[[Graph], bool]] = {
    "u·v + (1 − u)·w": _mixes,
    "R (r·h′)": _resets,
    "gate without W x": lambda graph: any(not graph.nodes[gate].input for gate in graph.gates),
    "gate without R": lambda graph: any(not graph.nodes[gate].of for gate in graph.gates),
    "two states or more": lambda graph: len(graph.new) > 1,
    "σ": _has("sigmoid"),
    "tanh": _has("tanh"),
    "relu": _has("relu"),
    "1 − v": _has("one_minus"),
    "1 + v": _has("one_plus"),
    "v − w": _has("sub"),
    "v · w": _has("mul"),
}
"""By name, whether the normal form of a graph has it."""


@lru_cache(maxsize=50_000)
def traits_of(equations: str) -> tuple[bool, ...]:
    """Return which of `TRAITS` a cell has.

    >>> [name for name, has in zip(TRAITS, traits_of("h = tanh(W_h x + R_h h')"), strict=True) if has]
    ['tanh']
    """
    graph = Graph.read(equations).normal
    return tuple(has(graph) for has in TRAITS.values())


def survival(search: Search) -> pd.DataFrame:
    """Return the share of cells that have each trait, generation by generation.

    Columns: `generation`, `trait`; `pool`, the share among the best `plan.pool` cells after the generation, with those
    that the search was given; `new`, the share among the new mutants of the generation, NaN where there are none.
    """
    new = search.new(MUTATION)
    new = new.iloc[:: -(-len(new) // MOST) or 1]
    by_generation: dict[Any, Any] = {number: own["equations"] for number, own in new.groupby("generation")}
    rows = []
    for generation, standing in enumerate(search.mutants):
        if generation:
            pool = _shares(each.equations for each in standing[: search.plan.pool])
            drawn = _shares(by_generation.get(generation, ()))
            rows += [(generation, *each) for each in zip(TRAITS, pool, drawn, strict=True)]
    return pd.DataFrame(rows, columns=["generation", "trait", "pool", "new"])


def _shares(cells: Iterable[str]) -> list[float]:
    found = [traits_of(str(equations)) for equations in cells]
    return [sum(own) / len(found) for own in zip(*found, strict=True)] if found else [float("nan")] * len(TRAITS)


def size(equations: str, units: int, inputs: int = 2) -> int:
    """Return how many parameters a cell has at a width, without the network around it.

    Candidates are trained with as many parameters each; at one width they tell how large a cell is.

    >>> size("h = tanh(W_h x + R_h h' + b_h)", units=3)
    18
    """
    graph = Graph.read(equations).normal
    gates = [graph.nodes[gate] for gate in graph.gates]
    return sum(units * (inputs * gate.input + units * len(gate.of) + gate.bias) for gate in gates)
