"""Tests of the parts of a cell: their names and equations."""

import pytest
import torch

from analysis.diagram.operations import ROOTS
from analysis.walk.parts import equations_of, parts
from variants import Cell
from variants.cells.gru import HiddenState
from variants.engine.fused import derivation

OWN = [name for name, cls in Cell.registry.items() if not cls.control]


def parts_of(name):
    here = Cell.registry[name]().for_layer(1)
    return parts(here, derivation(here, lowest=not here.above))


@pytest.mark.parametrize("name", OWN)
def test_every_node_of_the_graph_is_one_part(name):
    here = Cell.registry[name]().for_layer(1)
    traced = derivation(here, lowest=not here.above)
    live = traced.reach([*traced.step.outputs.values(), *traced.operands.values()])
    nodes = [part.node for part in parts_of(name)]
    assert nodes == sorted(n for n in live if traced.graph.nodes[n][0] not in ROOTS)


@pytest.mark.parametrize("name", OWN)
def test_every_field_of_the_state_has_an_equation(name):
    names = [equation.partition(" = ")[0] for equation in equations_of(parts_of(name))]
    as_they_are = {"y"} if name in ("lru", "lstmp") else set()  # a field that is a pre-activation and nothing else
    assert set(Cell.registry[name].State._fields) - as_they_are <= set(names)


@pytest.mark.parametrize("name", OWN)
def test_every_part_is_explained(name):
    assert [part for part in parts_of(name) if not (part.words and part.equation)] == []


@pytest.mark.parametrize(
    ("name", "equations"),
    [
        ("gru", ["u = s(W_u x + R_u h' + b_u)", "n = tanh(W_n x + R_n (r * h') + b_n)", "h = u * h' + (1 - u) * n"]),
        ("peephole", ["o = s(W_o x + R_o y' + b_o + p_o * c)", "y = o * tanh(c)"]),
        ("clockwork", ["h = tanh(W_h x + R_h h' + b_h) if wait' <= 0.5 else h'"]),
        ("no_forget_gate", ["c = c' + i * z"]),
    ],
)
def test_equations_are_those_of_the_cell(name, equations):
    assert set(equations) <= set(equations_of(parts_of(name)))


class Nested(Cell):
    """A cell with a difference and a quotient whose right side is one of its kind."""

    State = HiddenState
    gates = ("n", "m")

    def step(self, a, s, p):
        return HiddenState(h=s.h - (torch.tanh(a.n) - s.h / (torch.exp(a.m) / s.h)))


def test_what_stands_right_of_a_minus_or_a_division_keeps_its_brackets():
    here = Nested().for_layer(1)
    found = equations_of(parts(here, derivation(here, lowest=True)))
    assert found[-1] == "h = h' - (n - h' / (m / h'))"
