"""The normal form computes the same as the graph, is stable, and is the same for all that are the same."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from runs.discovery.graph import Graph, Node
from runs.discovery.normal import carried, normal
from runs.discovery.printing import text_of
from tests.runs.discovery.graphs import graphs, inputs, outputs, registered, weights
from tests.variants.test_properties import examples

GATES = "u = s(W_u x + R_u h' + b_u); n = tanh(W_n x + R_n h'); r = relu(W_r x + b_r);"
SAME = {
    "order": ("u*h' + n*r", "r*n + h'*u"),
    "brackets": ("u + (n + h')", "(u + n) + h'"),
    "brackets of products": ("u*(n*h')", "(u*n)*h'"),
    "one minus twice": ("1 - (1 - n*h')", "n*h'"),
    "sign of a gate": ("n*h' - n*u", "n*h'*(-1) + n*u"),
    "the gate that keeps": ("u*h' + (1 - u)*n", "(1 - u)*h' + u*n"),
    "a logistic function of minus": ("s(-n)*h' + u", "(1 - s(n))*h' + u"),
    "a hyperbolic tangent of minus": ("tanh(-u*h') + r", "r - tanh(u*h')"),
    "relu twice": ("relu(relu(n*h')) + u", "u + relu(n*h')"),
    "relu of what is positive": ("relu(u*(1 - s(n)))*h'", "u*(1 - s(n))*h'"),
    "nothing": ("n*h' + u - u", "h'*n"),
    "numbers": ("1 + (1 - n*h') - 2", "-n*h'"),
    "equal parts": ("tanh(u*h') + s(u*h')", "tanh(h'*u) + s(h'*u)"),
    "sign of the output": ("-(r*n + u*u)", "r*n + u*u"),
}
DIFFERENT = {
    "operation": ("u*h' + n", "u*n + h'"),
    "squashed": ("u*tanh(h') + n", "u*h' + n"),
    "a gate twice and two gates": ("n*n + h'", "n*tanh(W_m x + R_m h') + h'"),
    "sign that matters": ("relu(u*h') + n", "relu(-u*h') + n"),
    "sign of a product with a number": ("h'*n + h'", "u*n + h'"),
    "minus the old value": ("n + r*h'", "n - (1 + r)*h'"),
    "a number": ("1 + u*n*h'", "2 + u*n*h'"),
}


def _used(new):
    """A graph whose gates are all read, as equations demand."""
    gates = "; ".join(
        gate
        for gate in GATES.rstrip(";").split("; ")
        if f"{gate.split()[0]}" in new.replace("relu", "").replace("tanh", "")
    )
    return Graph.read(f"{gates}; h = {new}")


@pytest.mark.parametrize(("one", "two"), SAME.values(), ids=SAME)
def test_the_same_has_one_key(one, two):
    assert _used(one).key == _used(two).key


@pytest.mark.parametrize(("one", "two"), DIFFERENT.values(), ids=DIFFERENT)
def test_what_differs_has_two_keys(one, two):
    assert _used(one).key != _used(two).key


@examples(120)
@given(graphs())
def test_the_normal_form_computes_the_same(graph):
    found = carried(graph)
    given = weights(graph)
    new = {}
    for k, origin in found.origins.items():
        w, r, b = given[origin.gate]
        node, old = found.graph.nodes[k], graph.nodes[origin.gate]
        assume(bool(node.of) == bool(old.of))  # R times a number has become a bias
        new[k] = origin.sign * w, origin.recurrent * r, origin.sign * b
    expected = outputs(graph, given, inputs(5))
    assume(np.isfinite(expected).all() and np.abs(expected).max() < 1e6)
    there = found.sign * outputs(found.graph, new, inputs(5))
    np.testing.assert_allclose(there, expected, rtol=1e-7, atol=1e-9)


@examples(120)
@given(graphs())
def test_the_normal_form_of_a_normal_form_is_itself(graph):
    assert normal(normal(graph)) == normal(graph)


@examples(80)
@given(graphs(), st.data())
def test_the_order_of_nodes_and_fields_does_not_matter(graph, data):
    fields = [0, *data.draw(st.permutations(range(1, len(graph.new))))]
    order, left = [], list(range(len(graph.nodes)))
    while left:
        ready = [k for k in left if set(graph.nodes[k].of) <= set(order)]
        order.append(data.draw(st.sampled_from(ready)))
        left.remove(order[-1])
    place = {k: number for number, k in enumerate(order)}
    nodes = []
    for k in order:
        node = graph.nodes[k]
        number = fields.index(node.number) if node.kind == "field" else node.number
        of = [place[j] for j in node.of]
        if node.kind in ("add", "mul") and data.draw(st.booleans()):
            of.reverse()
        nodes.append(node._replace(of=tuple(of), number=number))
    assert Graph(tuple(nodes), tuple(place[graph.new[f]] for f in fields)).normal == graph.normal


@examples(80)
@given(graphs(), st.data())
def test_the_sign_of_gates_does_not_matter(graph, data):
    nodes, numbers = [], {}
    for k, node in enumerate(graph.nodes):
        nodes.append(node._replace(of=tuple(numbers[j] for j in node.of)))
        numbers[k] = len(nodes) - 1
        if node.kind == "lin" and data.draw(st.booleans()):
            nodes.append(Node("minus", (numbers[k],)))
            numbers[k] = len(nodes) - 1
    assert Graph(tuple(nodes), tuple(numbers[k] for k in graph.new)).normal == graph.normal


@examples(80)
@given(graphs())
def test_the_sign_of_the_fields_does_not_matter(graph):
    nodes, numbers = [], {}
    for k, node in enumerate(graph.nodes):
        nodes.append(node._replace(of=tuple(numbers[j] for j in node.of)))
        numbers[k] = len(nodes) - 1
        if node.kind == "field":
            nodes.append(Node("minus", (numbers[k],)))
            numbers[k] = len(nodes) - 1
    ends = []
    for k in graph.new:
        nodes.append(Node("minus", (numbers[k],)))
        ends.append(len(nodes) - 1)
    assert Graph(tuple(nodes), tuple(ends)).normal == graph.normal


@examples(40)
@given(graphs())
def test_what_is_printed_reads_as_the_same(graph):
    found = graph.normal
    assume(not any(n.kind == "constant" or (n.kind == "lin" and not n.of and not n.input) for n in found.nodes))
    try:
        again = Graph.read(text_of(found))
    except ValueError as error:
        assume("does not depend on" not in str(error) and "nothing depends on x" not in str(error))
        raise
    assert again.normal == found


def test_fields_that_stay_zero_or_equal_another_are_gone():
    kept = Graph.read("c = s(W_c x + R_c y')*c' + tanh(W_n x + R_n y'); y = tanh(c)")
    more = Graph.read(
        "f = s(W_c x + R_c y'); z = tanh(W_n x + R_n y'); e = f*e'*z; c = f*c' + z + e; d = f*d' + z;"
        " y = tanh(c) + c' - d' + R_e e"
    )
    assert more.key == kept.key


def test_fields_that_are_equal_once_their_signs_are_chosen_are_one():
    graph = Graph.read("a = W_a x + R_a (s(c')); c = c' - a; y = y' + a")
    assert graph.key == Graph.read("h = W_h x + R_h (s(h')) + h'").key
    assert normal(graph.normal) == graph.normal


def test_two_gates_are_never_one():
    graph = Graph.read("h = s(W_i x + R_i h') + s(W_j x + R_j h')")
    assert len(graph.normal.gates) == 2


def test_numbers_that_grow_without_end_are_refused():
    nodes = [Node("lin", (), True), *(Node("add", (k, k)) for k in range(20))]
    with pytest.raises(ValueError, match=r"^graph: numbers in it must be at most 64, got 128"):
        normal(Graph(tuple(nodes), (20,)))


def test_the_normal_form_is_not_longer_than_the_cell():
    longer = {
        name: len(Graph.read(text).normal.nodes) - len(Graph.read(text).nodes) for name, text in registered().items()
    }
    assert max(longer.values()) <= 0
