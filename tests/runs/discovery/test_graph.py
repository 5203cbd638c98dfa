"""Graphs are read from equations, printed as equations, and have keys that do not depend on the process."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from runs.discovery.graph import Graph, Node
from runs.discovery.printing import text_of
from tests.runs.discovery.graphs import BATCH, GRU, INPUTS, UNITS, inputs, outputs, registered, weights
from variants import build
from variants.formula.cell import Formula
from variants.formula.expressions import appearing
from variants.formula.reading import read

NAMES = list(registered())


def test_the_cells_that_the_search_is_compared_with_can_be_read():
    assert {"gru", "vanilla", "mut1", "mut2", "mut3", "rnn", "coupled", "gru_reset_after", "nas"} <= set(NAMES)


def _of_formula(text, given, x):
    """The outputs of the formula cell, with weights by the place of a gate in the order of their appearance."""
    cell = Formula(equations=text)
    program = cell.program
    names = list(dict.fromkeys(appearing(program.lines, {gate.name: gate for gate in program.gates})))
    module = build(cell, INPUTS, UNITS, engine="eager").double()
    parameters = {name.rpartition(".")[2]: parameter for name, parameter in module.named_parameters()}
    with torch.no_grad():
        for name, (w, r, b) in zip(names, given, strict=True):
            for letter, value in (("W", w), ("R", r), ("b", b)):
                if f"{letter}_{name}" in parameters:
                    parameters[f"{letter}_{name}"].copy_(torch.from_numpy(value))
        return module(torch.from_numpy(x))[0].numpy()


# Gates that hear several sources become several gates.
ONE_SOURCE = [name for name, text in registered().items() if all(len(gate.hears) < 2 for gate in read(text).gates)]


@pytest.mark.parametrize("name", ONE_SOURCE)
def test_a_graph_computes_what_its_cell_does(name):
    graph = Graph.read(registered()[name])
    given = weights(graph)
    there = outputs(graph, given, inputs(7))
    assert there.shape == (7, BATCH, UNITS)
    np.testing.assert_allclose(_of_formula(registered()[name], given.values(), inputs(7)), there, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_the_equations_of_a_graph_run_as_the_formula_cell(name):
    graph = Graph.read(registered()[name]).normal
    again = Graph.read(graph.equations())  # its gates are in the order in which the equations mention them
    given = weights(again)
    there = outputs(again, given, inputs(7))
    np.testing.assert_allclose(_of_formula(graph.equations(), given.values(), inputs(7)), there, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_equations_read_as_the_graph_that_was_printed(name):
    graph = Graph.read(registered()[name])
    assert Graph.read(text_of(graph)).normal == Graph.read(graph.equations()).normal == graph.normal


def test_cells_that_are_the_same_model_have_one_key_and_others_do_not():
    keys = {}
    for name, text in registered().items():
        keys.setdefault(Graph.read(text).key, set()).add(name)
    assert [names for names in keys.values() if len(names) > 1] == [
        {"vanilla", "modular_lstm", "formula"},
        {"gru", "mut2"},
    ]


def test_equations_are_printed_as_a_reader_expects():
    assert Graph.read(GRU).equations().splitlines() == [
        "u = s(W_u x + R_u h' + b_u)",
        "r = s(W_r x + R_r h' + b_r)",
        "n = tanh(W_n x + R_n (r*h') + b_n)",
        "h = u*n + (1 - u)*h'",
    ]


def test_a_value_does_not_begin_with_a_minus_where_its_sign_can_be_chosen():
    assert Graph.read("h = -s(W x + R h')").equations() == "h = s(W_h x + R_h h')"
    assert Graph.read("h = -(s(W x + R h') + relu(h'))").equations() == "u = s(W_u x + R_u h')\nh = u + relu(-h')"


def test_an_output_that_other_parts_use_is_printed_once():
    graph = Graph.read("a = W_a x + R_a c' + b_a; c = relu(a) + y'; y = a")
    assert len(graph.gates) == 1
    assert Graph.read(graph.equations()).normal == Graph.read(text_of(graph)).normal == graph.normal


@pytest.mark.parametrize(
    "body",
    ["2 - u", "u - 2", "3 + u", "-u", "2*u", "u*u*u - u", "-(u*h')", "relu(-u*h')", "max(u - 1, 0)", "1 + u*h'*2"],
)
def test_numbers_and_signs_are_read_as_they_are_printed(body):
    graph = Graph.read(f"u = s(W_u x + R_u h' + b_u); h = {body}")
    again = Graph.read(text_of(graph))
    expected = _of_formula(f"u = s(W_u x + R_u h' + b_u); h = {body}", weights(graph).values(), inputs(5))
    np.testing.assert_allclose(outputs(again, weights(again), inputs(5)), expected, atol=1e-12)
    assert again.normal == graph.normal


@pytest.mark.parametrize(
    ("equations", "what"),
    [
        ("h = tanh(W x + R h' + p_i*h')", "learned vector p_i"),
        ("h = tanh(W x + R h')/(1 + h')", "'/'"),
        ("h = exp(W x + R h')", "'exp'"),
        ("h = tanh(W x + R h') + 0.5*h'", "the number 0.5; numbers must be whole and at most 9"),
        ("h = tanh(W x + R h') + 10", "the number 10; "),
        ("h = tanh(W x + R h') + 0*h'", "a product with 0"),
        ("h = tanh(W x + R h') + max(h', 1)", "'max'"),
    ],
)
def test_what_a_graph_cannot_hold_is_told_in_one_line(equations, what):
    with pytest.raises(ValueError, match=r"^graph: .*, got ") as error:
        Graph.read(equations)
    assert what in str(error.value)
    assert "\n" not in str(error.value)


def test_equations_that_do_not_parse_are_told_with_their_place():
    with pytest.raises(ValueError, match=r"^formula: .*; line 1, column"):
        Graph.read("h = tanh(W x + ")


@pytest.mark.parametrize(
    ("nodes", "new"),
    [
        ([Node("tanh", (0,))], [0]),
        ([Node("field", number=1)], [0]),
        ([Node("field")], [1]),
        ([Node("field")], []),
    ],
)
def test_a_graph_whose_nodes_do_not_fit_is_refused(nodes, new):
    with pytest.raises(ValueError, match=r"^graph: "):
        Graph(tuple(nodes), tuple(new))


def test_everything_is_the_same_in_another_process():
    code = (
        "import numpy, sys\n"
        "from runs.discovery.mutation import mutate\n"
        "from runs.discovery.fresh import fresh\n"
        "from runs.discovery.fingerprint import fingerprint\n"
        "from runs.discovery.validity import pruned, refusal\n"
        "rng = numpy.random.default_rng(3)\n"
        "made = [fresh(rng) for _ in range(5)]\n"
        "made += [mutate(graph, rng) for graph in made]\n"
        "print([(g.key, fingerprint(g), refusal(g), pruned(g).equations()) for g in made])\n"
    )
    said = [
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": "."},
        ).stdout
        for seed in ("1", "2")
    ]
    assert said[0] == said[1] != ""


def test_what_draws_graphs_does_not_load_torch():
    code = (
        "import sys, runs.discovery.mutation, runs.discovery.fresh, runs.discovery.validity, runs.discovery.distance\n"
        "import runs.discovery.fingerprint\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
