"""What is no cell is refused in one sentence, and parameters without effect are taken out."""

import numpy as np
import pytest
from numpy.random import default_rng

from runs.discovery.fresh import fresh
from runs.discovery.graph import Graph, Node
from runs.discovery.mutation import mutate
from runs.discovery.numeric import SEQUENCES, SIZES, Run, weights_of
from runs.discovery.validity import pruned, refusal, static_refusal
from tests.runs.discovery.graphs import GRU, registered

TOO_LARGE = ("full_gate_recurrence", "nas")
WITH_R = {name: text for name, text in registered().items() if "R_" in text and name not in TOO_LARGE}
NINE = "; ".join(f"v{k} = s(W_v{k} x + R_v{k} h')" for k in range(9))
LONG = "; ".join(f"v{k} = tanh({f'v{k - 1}' if k else 'W x + R h_'})" for k in range(40)).replace("h_", "h'")
STATIC = {
    "no recurrent matrix": ("h = s(W_u x)*h' + tanh(W_n x)", "it has no recurrent matrix R"),
    "no memory": ("c = tanh(W x); y = c' + s(R_u c')", "the output does not depend on a field that depends on itself"),
    "no input to the memory": (
        "c = s(R_c c' + b_c); y = c*tanh(W x)",
        "the input does not reach the memory of the output",
    ),
    "gates": (f"{NINE}; h = {' + '.join(f'v{k}' for k in range(9))}", "it must have at most 8 gates, got 9"),
    "nodes": (f"{LONG}; h = v39", "it must have at most 40 nodes, got 42"),
    "fields": (
        "c = tanh(c' + W x); d = s(d' + c); e = relu(e' + d); y = tanh(e + R y')",
        "it must have at most 3 fields, got 4",
    ),
}


@pytest.mark.parametrize(("equations", "why"), STATIC.values(), ids=STATIC)
def test_what_is_no_cell_is_refused_by_its_nodes(equations, why):
    assert static_refusal(Graph.read(equations)) == why == refusal(Graph.read(equations))


@pytest.mark.parametrize("name", WITH_R)
def test_registered_cells_are_valid(name):
    assert refusal(Graph.read(WITH_R[name])) == ""


def test_a_graph_that_has_become_constant_is_refused():
    nodes = (Node("field"), Node("lin", (0,), True), Node("sub", (1, 1)), Node("sigmoid", (2,)), Node("mul", (3, 0)))
    assert static_refusal(Graph(nodes, (4,))) != ""
    nodes = (*nodes[:4], Node("add", (3, 1)))
    assert static_refusal(Graph(nodes, (4,))) == "a part of it is constant"


def test_a_graph_whose_numbers_grow_too_large_is_refused():
    nodes = [Node("lin", (), True), *(Node("add", (k, k)) for k in range(7))]
    assert static_refusal(Graph(tuple(nodes), (7,))) == "numbers in it must be at most 64, got 128"


@pytest.mark.parametrize(
    ("equations", "why"),
    [
        ("h = W x + R h' + 2*h'", "its state is 1"),
        ("h = 2 + h'*h' + tanh(W x + R h')", "steps its state is "),
        (
            f"u = s(W_u x + R_u h'); h = {'*'.join(['u'] * 20)}*h' + tanh(W x)",
            "the output does not depend on the first input",
        ),
    ],
)
def test_what_does_not_run_for_200_steps_is_refused(equations, why):
    found = refusal(Graph.read(equations))
    assert why in found
    assert found.startswith("after ")
    assert "\n" not in found


def test_the_derivative_by_the_first_input_is_right():
    graph, step = Graph.read(GRU), 1e-6
    along = default_rng(2).standard_normal((SEQUENCES, SIZES["x"]))
    inputs = default_rng(1).standard_normal((5, SEQUENCES, SIZES["x"]))

    def last(shift):
        run = Run(graph, weights_of(graph, default_rng(0)), 1)
        for number, x in enumerate(inputs):
            run.step(x + (shift * along if number == 0 else 0), along if number == 0 else None, {})
        return run.values[0], run.slopes[0][0]

    numeric = (last(step)[0] - last(-step)[0]) / (2 * step)
    np.testing.assert_allclose(last(0)[1], numeric, atol=1e-8)
    assert np.abs(numeric).max() > 1e-3


DEAD = {
    "a gate behind relu": ("u = s(W_u x); h = tanh(W x + R h' + b) + relu(u*u - u)", "h = tanh(W x + R h' + b)"),
    "R of what is 0": ("h = tanh(W x + R h' + b + R_v (relu(-s(W_u x))))", "h = tanh(W x + R h' + b)"),
    "b of a difference": (
        "a = W_a x + R_a h' + b_a; h = tanh(a - (a - R_v h')) + s(W x + b)",
        "h = tanh(R_v h') + s(W x + b)",
    ),
}


@pytest.mark.parametrize(("equations", "rest"), DEAD.values(), ids=DEAD)
def test_parameters_without_effect_are_pruned(equations, rest):
    assert pruned(Graph.read(equations)) == Graph.read(rest).normal


@pytest.mark.parametrize("name", WITH_R)
def test_registered_cells_have_nothing_to_prune(name):
    graph = Graph.read(WITH_R[name])
    assert pruned(graph) == graph.normal


def test_what_is_pruned_has_nothing_more_to_prune():
    generator = default_rng(0)
    for graph in [*(mutate(Graph.read(GRU), generator) for _ in range(15)), *(fresh(generator) for _ in range(15))]:
        assert pruned(pruned(graph)) == pruned(graph)
