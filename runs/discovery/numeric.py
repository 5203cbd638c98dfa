"""Runs a graph on random numbers in NumPy, with derivatives, to see what its nodes do not tell."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator, default_rng
from numpy.typing import NDArray

from .graph import Graph, Node

Array = NDArray[np.float64]

STEPS = 200
LARGEST = 1e3
SEQUENCES = 4
SIZES = {"x": 3, "h": 8}
"""Of the input and the state of a sequence."""
_INPUTS, _UNITS = SIZES.values()
_SEEDS = (0, 1)  # of the weights for which a parameter must be without effect to be pruned
_SHORT = 12  # steps


@dataclass(frozen=True)
class Weights:
    """Weights of each gate, by the number of its node: W [H, I], R [H, H] and b [H]; 0 where a gate has none."""

    input: Mapping[int, Array]
    recurrent: Mapping[int, Array]
    bias: Mapping[int, Array]


def weights_of(graph: Graph, generator: Generator) -> Weights:
    """Return random weights of the size that they have at the start of a training.

    Those that a gate has do not depend on which terms other gates have.
    """
    found = Weights({}, {}, {})
    for k in graph.gates:
        node = graph.nodes[k]
        w = generator.standard_normal((_UNITS, _INPUTS)) / np.sqrt(_INPUTS)
        r = generator.standard_normal((_UNITS, _UNITS)) / np.sqrt(_UNITS)
        b = 0.1 * generator.standard_normal(_UNITS)
        for weights, array, there in (
            (found.input, w, node.input),
            (found.recurrent, r, bool(node.of)),
            (found.bias, b, node.bias),
        ):
            weights[k] = array if there else np.zeros_like(array)  # type: ignore[index]
    return found


def refusal_of_run(graph: Graph) -> str:
    """Return what is wrong when a graph runs for `STEPS` steps, in one sentence, or ''.

    Its state must stay finite and below `LARGEST`, and its last output must depend on the first input: the derivative
    must be finite and not exactly 0.
    """
    generator = default_rng(_SEEDS[0])
    run = Run(graph, weights_of(graph, generator), 1)
    inputs = generator.standard_normal((STEPS, SEQUENCES, _INPUTS))
    first = generator.standard_normal((SEQUENCES, _INPUTS))
    with np.errstate(all="ignore"):
        for step, x in enumerate(inputs):
            run.step(x, first if step == 0 else None, {})
            largest = max(float(np.abs(value).max()) for value in run.values)
            if not largest < LARGEST:
                size = f"is {largest:.0f}" if np.isfinite(largest) else "is not finite"
                return f"after {step + 1} steps its state {size}; it must stay below {LARGEST:.0f}"
    slope = run.slopes[0]
    if not np.isfinite(slope).all():
        return f"after {STEPS} steps the derivative of its output by the first input is not finite"
    return "" if slope.any() else f"after {STEPS} steps the output does not depend on the first input"


@dataclass(frozen=True)
class Idle:
    """What does nothing in a graph.

    zero: numbers of nodes that are always 0.
    parameters: on which no output depends, as pairs of the number of a gate and W, R or b.
    """

    zero: Set[int]
    parameters: Set[tuple[int, str]]


def idle(graph: Graph) -> Idle:
    """Return what does nothing in a graph during `_SHORT` steps, whatever the weights and inputs that are tried.

    Parameters are changed in a random direction; those that are returned leave all outputs exactly as they are.
    """
    there = [(k, letter) for k in graph.gates for letter in _letters(graph.nodes[k])]
    moved = np.zeros(len(there), dtype=bool)
    zero = set(range(len(graph.nodes)))
    for seed in _SEEDS:
        generator = default_rng(seed)
        run = Run(graph, weights_of(graph, generator), len(there))
        along = {pair: (place, generator.standard_normal(_shape(pair[1]))) for place, pair in enumerate(there)}
        with np.errstate(all="ignore"):
            for x in 2 * generator.standard_normal((_SHORT, SEQUENCES, _INPUTS)):
                run.step(x, None, along)
                moved |= (run.slopes[0] != 0).any(axis=(1, 2))
                zero = {k for k in zero if not run.seen[k].any()}
    return Idle(zero, {pair for pair, changed in zip(there, moved, strict=True) if not changed})


def _letters(node: Node) -> str:
    return "W" * node.input + "R" * len(node.of) + "b" * node.bias


def _shape(letter: str) -> tuple[int, ...]:
    return {"W": (_UNITS, _INPUTS), "R": (_UNITS, _UNITS), "b": (_UNITS, 1)}[letter]


class Run:
    """A graph that runs from a state of zeros.

    values: of each field, [B, H]. slopes: their derivatives along D directions, [D, B, H]. seen: the values of all
    nodes in the last step.
    """

    def __init__(self, graph: Graph, weights: Weights, directions: int) -> None:
        self._graph, self._weights = graph, weights
        self.seen = list[Array]()
        self.values = [np.zeros((SEQUENCES, _UNITS)) for _ in graph.new]
        self.slopes = [np.zeros((directions, SEQUENCES, _UNITS)) for _ in graph.new]

    def step(self, x: Array, along_x: Array | None, along: Mapping[tuple[int, str], tuple[int, Array]]) -> None:
        """Make a step.

        x: the input, [B, I].
        along_x: the direction in which this input changes, likewise; None where it does not.
        along: of parameters that change, the number of the direction, and its array.
        """
        values, slopes = list[Any](), list[Any]()
        for k, node in enumerate(self._graph.nodes):
            if node.kind == "lin":
                value, slope = self._gate(k, x, along_x, along, values, slopes)
            else:
                value, slope = self._node(node, values, slopes)
            values.append(value)
            slopes.append(slope)
        self.seen, self.values = values, [values[k] for k in self._graph.new]
        self.slopes = [slopes[k] for k in self._graph.new]

    def _gate(
        self,
        k: int,
        x: Array,
        along_x: Array | None,
        along: Mapping[tuple[int, str], tuple[int, Array]],
        values: list[Any],
        slopes: list[Any],
    ) -> tuple[Array, Array]:
        weights, node = self._weights, self._graph.nodes[k]
        value = x @ weights.input[k].T + weights.bias[k]
        slope = np.zeros_like(self.slopes[0])
        if along_x is not None:
            slope = slope + along_x @ weights.input[k].T
        for of in node.of:
            value = value + values[of] @ weights.recurrent[k].T
            slope = slope + slopes[of] @ weights.recurrent[k].T
        heard = values[node.of[0]] if node.of else x
        for letter, seen in (("W", x), ("R", heard), ("b", np.ones((1, 1)))):
            if (k, letter) in along:
                place, direction = along[k, letter]
                slope[place] += seen @ direction.T
        return value, slope

    def _node(self, node: Node, values: list[Any], slopes: list[Any]) -> tuple[Array, Array]:
        v, dv = (values[node.of[0]], slopes[node.of[0]]) if node.of else (self.values[0], self.slopes[0])
        w, dw = (values[node.of[1]], slopes[node.of[1]]) if len(node.of) > 1 else (v, dv)
        match node.kind:
            case "field":
                return self.values[node.number], self.slopes[node.number]
            case "constant":
                return np.full_like(v, node.number), np.zeros_like(dv)
            case "sigmoid":
                squashed = 1 / (1 + np.exp(-v))
                return squashed, squashed * (1 - squashed) * dv
            case "tanh":
                squashed = np.tanh(v)
                return squashed, (1 - squashed * squashed) * dv
            case "relu":
                return np.maximum(v, 0), (v > 0) * dv
            case "one_minus":
                return 1 - v, -dv
            case "one_plus":
                return 1 + v, dv
            case "minus":
                return -v, -dv
            case "add":
                return v + w, dv + dw
            case "sub":
                return v - w, dv - dw
        return v * w, dv * w + v * dw
