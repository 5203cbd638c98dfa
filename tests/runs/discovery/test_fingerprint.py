"""Fingerprints agree where outputs do, and only there; distances are 0 for the same cell and small for a mutation."""

import pytest
from hypothesis import assume, given
from numpy.random import default_rng

from runs.discovery.distance import distance
from runs.discovery.fingerprint import fingerprint
from runs.discovery.graph import Graph
from runs.discovery.mutation import mutate
from runs.discovery.validity import static_refusal
from tests.runs.discovery.graphs import GRU, graphs, registered
from tests.variants.test_properties import examples

GATES = "u = s(W_u x + R_u h' + b_u); n = tanh(W_n x + R_n h');"
SAME = {
    "distributed": ("u*h' + (1 - u)*n", "n + u*(h' - n)"),
    "factored": ("u*n + u*h'", "u*(n + h')"),
    "relu on both sides": ("relu(n*u) - relu(-n*u) + h'", "n*u + h'"),
    "squared": ("(1 - u)*(1 + u)*n", "n - n*u*u"),
}


@pytest.mark.parametrize(("one", "two"), SAME.values(), ids=SAME)
def test_equalities_that_the_normal_form_does_not_know_have_one_fingerprint(one, two):
    both = [Graph.read(f"{GATES} h = {new}") for new in (one, two)]
    assert both[0].key != both[1].key
    assert fingerprint(both[0]) == fingerprint(both[1])


def test_cells_that_differ_have_different_fingerprints():
    cells = {Graph.read(text).key: Graph.read(text) for text in registered().values()}
    assert len({fingerprint(graph) for graph in cells.values()}) == len(cells)


def test_a_gate_used_twice_is_not_two_gates():
    one, two = "h = tanh(W_i x + R_i h')*s({0}) + h'", ("W_i x + R_i h'", "W_j x + R_j h'")
    assert len({fingerprint(Graph.read(one.format(gate))) for gate in two}) == 2


@examples(20)
@given(graphs())
def test_a_graph_and_its_normal_form_have_one_fingerprint(graph):
    assume(static_refusal(graph) == "")
    assert fingerprint(graph) == fingerprint(graph.normal)


@pytest.mark.parametrize("name", registered())
def test_the_distance_of_a_cell_to_itself_is_0(name):
    graph = Graph.read(registered()[name])
    assert distance(graph, Graph.read(graph.equations())) == 0


@pytest.mark.parametrize(
    ("one", "two", "changes"),
    [
        ("gru", "mut2", 0),
        ("gru", "mut3", 1),  # tanh put in
        ("mut3", "gru", 1),  # tanh removed
        ("vanilla", "no_output_activation", 1),
        ("vanilla", "no_input_gate", 1),
        ("no_input_gate", "vanilla", 2),  # the gate squashed, and a product; of what there is in the cell
        ("vanilla", "coupled", 2),  # 1 - i, and two gates become one
        ("rnn", "irnn", 1),
    ],
)
def test_distances_of_known_cells(one, two, changes):
    assert distance(Graph.read(registered()[one]), Graph.read(registered()[two])) == changes


def test_only_the_same_cell_has_distance_0():
    generator, graph = default_rng(0), Graph.read(GRU)
    for _ in range(40):
        found = mutate(graph, generator)
        assert distance(graph, found) > 0
        assert distance(found, graph) > 0


def test_the_distance_does_not_depend_on_how_cells_are_written():
    again = Graph.read("d = tanh(W_d x + R_d y' + b_d); e = s(W_e x + R_e y' + b_e); c = e*c' + d; y = tanh(c)")
    other = Graph.read("e = s(W_e x + R_e y' + b_e); d = tanh(W_d x + R_d y' + b_d); c = d + c'*e; y = -tanh(-c)")
    gru = Graph.read(GRU)
    assert distance(gru, again) == distance(gru, other)
    assert distance(again, gru) == distance(other, gru)


def test_what_a_new_field_is_made_of_counts_although_the_output_does_not_hear_it_at_once():
    one = Graph.read("h = tanh(W x + R h' + b)")
    small, large = (
        Graph.read(f"c = {new}; h = tanh(W x + R h' + b)*c'")
        for new in ("s(W_c x + R_c h')", "s(W_c x + R_c h')*tanh(W_d x + R_d h')")
    )
    assert 0 < distance(one, small) < distance(one, large)
