"""A numeric fingerprint of a graph, against equalities that the normal form does not know."""

from __future__ import annotations

import hashlib
from itertools import permutations, product
from math import factorial, prod
from typing import Any

import numpy as np
from numpy.random import default_rng
from numpy.typing import NDArray

from .graph import Graph, Node

MOST_WAYS = 4000  # in which weights are given to gates
_FEW_WAYS = 100  # with fewer there are more sequences
_STEPS, _SEQUENCES, _INPUTS, _UNITS = 5, (20, 3), 2, 2
_DIGITS = 4
_SMALLEST = 1e-9

Array = NDArray[np.float64]


def fingerprint(graph: Graph) -> str:
    """Return ten hexadecimal digits that are the same for graphs whose outputs are.

    A few sets of weights are fixed. They are given to the gates in every way, so that it does not matter which gate is
    which: gates with the same terms take the sets in every order, and each with both signs. Of all outputs of a few
    short sequences the mean size, the mean square and the mean fourth power count, to four digits. A graph for which
    there are more than `MOST_WAYS` ways, or whose outputs are not finite, has its key as its fingerprint.

    Two graphs that are equal, but for rounding, differ in it only where a mean lies on the border between two roundings
    to within the last bits: about once in 10^8 graphs.

    graph: a cell; its normal form is taken.

    >>> gates = "u = s(W_u x + R_u h'); n = tanh(W_n x + R_n h');"
    >>> both = [Graph.read(f"{gates} h = {h}") for h in ("u*h' + (1 - u)*n", "n + u*(h' - n)")]
    >>> both[0].key == both[1].key, fingerprint(both[0]) == fingerprint(both[1])
    (False, True)
    """
    found = graph.normal
    classes = _classes(found)
    ways = prod(factorial(len(gates)) * 2 ** len(gates) for gates in classes.values())
    if ways > MOST_WAYS:
        return graph.key
    means = _means(found, classes)
    if not np.isfinite(means).all():
        return graph.key
    grid = np.floor(np.log10(np.maximum(means, _SMALLEST)) * 10**_DIGITS)
    said = repr(([(terms, len(gates)) for terms, gates in sorted(classes.items())], grid.astype(int).tolist()))
    return hashlib.sha256(said.encode()).hexdigest()[:10]


def _classes(graph: Graph) -> dict[tuple[bool, bool, bool], list[int]]:
    """Return the gates of a graph by the terms that they have: W, R and b."""
    found = dict[tuple[bool, bool, bool], list[int]]()
    for k in graph.gates:
        node = graph.nodes[k]
        found.setdefault((node.input, bool(node.of), node.bias), []).append(k)
    return found


def _means(graph: Graph, classes: dict[tuple[bool, bool, bool], list[int]]) -> Array:
    """Return the means over all ways to give weights to gates, for each output of each step."""
    orders = product(*(permutations(range(len(gates))) for gates in classes.values()))
    signs = list(product((1.0, -1.0), repeat=sum(map(len, classes.values()))))
    ways = [([place for places in order for place in places], sign) for order in orders for sign in signs]
    chosen = np.array([order for order, _ in ways]).reshape(len(ways), -1)  # [A, gates]
    signed = np.array([sign for _, sign in ways]).reshape(len(ways), -1, 1, 1)  # [A, gates, 1, 1]
    generator = default_rng(0)
    sets = max(map(len, classes.values()), default=0)
    w = generator.standard_normal((sets, _INPUTS, _UNITS))
    r = generator.standard_normal((sets, _UNITS, _UNITS))
    b = generator.standard_normal((sets, 1, _UNITS))
    gates = {k: place for place, k in enumerate(k for numbers in classes.values() for k in numbers)}
    sequences = _SEQUENCES[len(ways) > _FEW_WAYS]
    state = [np.zeros((len(ways), sequences, _UNITS)) for _ in graph.new]
    found = []
    with np.errstate(all="ignore"):
        for x in generator.standard_normal((_STEPS, sequences, _INPUTS)):
            values = list[Any]()
            for k, node in enumerate(graph.nodes):
                if node.kind != "lin":
                    values.append(_value(node, values, state))
                    continue
                taken = chosen[:, gates[k]]
                value = (x @ w)[taken] * node.input + b[taken] * node.bias
                for of in node.of:
                    value = value + values[of] @ r[taken]
                values.append(value * signed[:, gates[k]])
            state = [values[k] for k in graph.new]
            found += [np.mean(power, axis=0).ravel() for power in (np.abs(state[0]), state[0] ** 2, state[0] ** 4)]
    return np.concatenate(found)


def _value(node: Node, values: list[Any], state: list[Array]) -> Any:
    """Return the value of a node that is no gate."""
    of = [values[k] for k in node.of]
    match node.kind:
        case "field":
            return state[node.number]
        case "constant":
            return np.full_like(state[0], node.number)
        case "sigmoid":
            return 1 / (1 + np.exp(-of[0]))
        case "tanh":
            return np.tanh(of[0])
        case "relu":
            return np.maximum(of[0], 0)
        case "one_minus":
            return 1 - of[0]
        case "one_plus":
            return 1 + of[0]
        case "minus":
            return -of[0]
        case "add":
            return of[0] + of[1]
        case "sub":
            return of[0] - of[1]
    return of[0] * of[1]
