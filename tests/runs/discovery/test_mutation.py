"""Mutations and fresh graphs are valid, in normal form, and functions of their generator."""

from collections import Counter

import pytest
from numpy.random import default_rng

from runs.discovery import mutation
from runs.discovery.fresh import fresh
from runs.discovery.graph import Graph
from runs.discovery.mutation import mutant, mutate
from runs.discovery.validity import static_refusal
from tests.runs.discovery.graphs import GRU, registered

OPERATIONS = {"activation", "elementwise", "insert", "remove", "ancestor", "combine", "input"}


def _line(steps, seed=0, start=GRU):
    """Mutants, each of the one before."""
    generator, graph, found = default_rng(seed), Graph.read(start), []
    for _ in range(steps):
        graph = mutate(graph, generator)
        found.append(graph)
    return found


def test_a_mutant_is_a_function_of_the_graph_and_the_generator():
    assert _line(20) == _line(20)
    assert _line(20) != _line(20, seed=1)


@pytest.mark.parametrize("name", ["gru", "vanilla", "mut1", "nas"])
def test_a_mutant_is_valid_in_normal_form_and_another_cell(name):
    generator, graph = default_rng(0), Graph.read(registered()[name])
    for _ in range(40):
        found = mutate(graph, generator)
        assert (static_refusal(found), found.normal) == ("", found)
        assert found.key != graph.key


def test_a_mutant_does_not_depend_on_how_its_parent_is_written():
    again = Graph.read(
        "n = s(W_n x + R_n h' + b_n); u = s(W_u x + R_u h' + b_u); "
        "z = tanh(W_z x + R_z (h'*n) + b_z); h = z*u + h'*(1 - u)"
    )
    assert mutate(again, default_rng(5)) == mutate(Graph.read(GRU), default_rng(5))


def test_all_operations_occur_and_many_or_few_nodes_change():
    generator, graph = default_rng(0), Graph.read(GRU)
    done = [mutant(graph, generator).operations for _ in range(300)]
    assert {operation for operations in done for operation in operations} == OPERATIONS
    assert min(map(len, done)) == 1
    assert max(map(len, done)) >= 10  # of 11 nodes that are no field


ONE = {
    "activation": ("h = tanh(W x + R h' + b)", "h = s(W x + R h' + b)"),
    "elementwise": ("h = tanh(W x + R h' + b) + h'", "h = tanh(W x + R h' + b) - h'"),
    "insert": ("h = tanh(W x + R h' + b)", "h = tanh(relu(W x + R h' + b))"),
    "remove": ("h = tanh(W x + R h' + b)", "h = W x + R h' + b"),
    "ancestor": ("h = tanh(W x + R h' + b) + h'", "h = W x + R h' + b"),
    "combine": ("h = tanh(W x + R h' + b)", "h = W x + R h' + b - h'"),
    "input": ("h = s(W_u x + R_u h')*tanh(W_n x + R_n h')", "h = s(R_u h')*tanh(W_n x + R_n h')"),
}


@pytest.mark.parametrize(("operation", "equations"), ONE.items(), ids=ONE)
def test_an_operation_alone_does_what_it_says(operation, equations):
    generator, (before, after) = default_rng(0), map(Graph.read, equations)
    alone = {found.graph.key for _ in range(800) if (found := mutant(before, generator)).operations == (operation,)}
    assert after.key in alone


def test_where_no_mutant_is_valid_the_graph_itself_is_returned(monkeypatch):
    monkeypatch.setattr(mutation, "static_refusal", lambda graph: "no")
    found = mutant(Graph.read(GRU), default_rng(0))
    assert (found.graph, found.operations) == (Graph.read(GRU).normal, ())


def test_fresh_graphs_are_valid_and_differ():
    generator = default_rng(0)
    found = [fresh(generator) for _ in range(60)]
    assert all(static_refusal(graph) == "" and graph.normal == graph for graph in found)
    assert len({graph.key for graph in found}) >= 58


def test_fresh_graphs_are_of_the_size_of_known_cells():
    generator = default_rng(1)
    found = [fresh(generator) for _ in range(100)]
    nodes, fields = sorted(len(graph.nodes) for graph in found), Counter(len(graph.new) for graph in found)
    assert 10 <= nodes[50] <= 22
    assert set(fields) == {1, 2}
