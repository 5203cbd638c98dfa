"""Graphs for tests: those of registered cells, random ones, and what they compute, said once more in plain NumPy."""

from functools import cache

import numpy as np
from hypothesis import strategies as st

from runs.discovery.graph import BINARY, UNARY, Builder, Graph
from variants import Cell
from variants.formula.following import CannotWrite
from variants.formula.from_cell import equations_of

BATCH, INPUTS, UNITS = 4, 2, 3
GRU = """\
r = s(W_r x + R_r h' + b_r)
u = s(W_u x + R_u h' + b_u)
n = tanh(W_n x + R_n (r*h') + b_n)
h = u*h' + (1 - u)*n"""


@cache
def registered():
    """The equations of every registered cell that equations can say and a graph can hold, by name."""
    found = {}
    for name, cls in Cell.registry.items():
        try:
            text = equations_of(cls())
            Graph.read(text)
        except (CannotWrite, ValueError):
            continue
        found[name] = text
    return found


@st.composite
def graphs(draw, gates=3, operations=9, fields=3):
    """Random graphs, valid cells or not."""
    builder = Builder()
    there = [builder.add("field", number=k) for k in range(draw(st.integers(1, fields)))]
    many = len(there)
    for kind in draw(st.lists(st.sampled_from(["lin", *UNARY, *BINARY]), min_size=3, max_size=operations)):
        one, two = (there[draw(st.integers(0, len(there) - 1))] for _ in range(2))
        if kind == "lin" and sum(node.kind == "lin" for node in builder.nodes) < gates:
            of = (one,) if draw(st.booleans()) else ()
            there.append(builder.gate(of, draw(st.booleans()) or not of, draw(st.booleans())))
        elif kind in UNARY:
            there.append(builder.add(kind, one))
        elif kind in BINARY:
            there.append(builder.add(kind, one, two))
    return builder.graph([there[draw(st.integers(0, len(there) - 1))] for _ in range(many)])


def weights(graph, seed=0):
    """W [H, I], R [H, H] and b [H] of each gate, by its number; 0 where it has none."""
    generator = np.random.default_rng(seed)
    found = {}
    for k in graph.gates:
        w, r, b = (generator.standard_normal(shape) for shape in ((UNITS, INPUTS), (UNITS, UNITS), (UNITS,)))
        node = graph.nodes[k]
        found[k] = w * node.input, r * bool(node.of) / 2, b * node.bias
    return found


FUNCTIONS = {
    "sigmoid": lambda v: 1 / (1 + np.exp(-v)),
    "tanh": np.tanh,
    "relu": lambda v: np.maximum(v, 0),
    "one_minus": lambda v: 1 - v,
    "one_plus": lambda v: 1 + v,
    "minus": lambda v: -v,
    "add": lambda v, w: v + w,
    "sub": lambda v, w: v - w,
    "mul": lambda v, w: v * w,
}


def outputs(graph, weights, x):
    """The outputs [T, B, H] of a graph for inputs [T, B, I], from a state of zeros."""
    state, found = [np.zeros((x.shape[1], UNITS)) for _ in graph.new], []
    with np.errstate(all="ignore"):
        for row in x:
            values = []
            for k, node in enumerate(graph.nodes):
                of = [values[j] for j in node.of]
                if node.kind == "field":
                    values.append(state[node.number])
                elif node.kind == "constant":
                    values.append(np.full((x.shape[1], UNITS), float(node.number)))
                elif node.kind == "lin":
                    w, r, b = weights[k]
                    values.append(row @ w.T + b + (of[0] @ r.T if of else 0))
                else:
                    values.append(FUNCTIONS[node.kind](*of))
            state = [values[k] for k in graph.new]
            found.append(state[0])
    return np.stack(found)


def inputs(steps, seed=1):
    return np.random.default_rng(seed).standard_normal((steps, BATCH, INPUTS))
