"""Says why a graph cannot be a cell of the search, before a kernel is made for it."""

from __future__ import annotations

from .graph import Graph, Node
from .numeric import Idle, idle, refusal_of_run

MOST_GATES, MOST_NODES, MOST_FIELDS = 8, 40, 3


def refusal(graph: Graph) -> str:
    """Return why a graph is not valid, in one sentence, or '' for one that is.

    First `static_refusal` says what can be seen from its nodes; then it is run for 200 steps, with random weights.

    >>> refusal(Graph.read("h = tanh(W x + R h' + b)"))
    ''
    >>> refusal(Graph.read("h = tanh(W x + R h') + 2*h'"))
    'after 11 steps its state is 1730; it must stay below 1000'
    """
    return static_refusal(graph) or refusal_of_run(graph.normal)


def static_refusal(graph: Graph) -> str:
    """Return why a graph is not valid as far as its nodes say, in one sentence, or ''.

    It must have at most `MOST_GATES` gates, `MOST_NODES` nodes and `MOST_FIELDS` fields, and at least one R. The
    output must depend on a field that depends on its own old value, and the input must reach that field.

    >>> static_refusal(Graph.read("c = s(R c' + b)*c' + s(R_u h'); h = tanh(W x)*c"))
    ''
    >>> static_refusal(Graph.read("c = s(W_u x)*c'; h = c + tanh(W x)"))
    'it has no recurrent matrix R'
    """
    try:
        found = graph.normal
    except ValueError as error:
        return str(error).removeprefix("graph: ")
    if _constant(found):
        return "a part of it is constant"
    sizes = ((len(found.gates), MOST_GATES, "gates"), (len(found.nodes), MOST_NODES, "nodes"))
    for number, most, name in (*sizes, (len(found.new), MOST_FIELDS, "fields")):
        if number > most:
            return f"it must have at most {most} {name}, got {number}"
    if not any(found.nodes[k].of for k in found.gates):
        return "it has no recurrent matrix R"
    return _cycle(found)


def _cycle(graph: Graph) -> str:
    """Return what is wrong with the fields on which the output depends."""
    within = [graph.reached([k]) for k in graph.new]
    heard = [{graph.nodes[k].number for k in nodes if graph.nodes[k].kind == "field"} for nodes in within]
    sees = [any(graph.nodes[k].input for k in nodes) for nodes in within]
    reached = list[set[int]]()  # the fields on whose old values each field depends, by any number of steps
    for field in range(len(graph.new)):
        found, stack = set[int](), list(heard[field])
        while stack:
            other = stack.pop()
            if other not in found:
                found.add(other)
                stack.extend(heard[other])
        reached.append(found)
    cycles = [field for field in sorted({0} | reached[0]) if field in reached[field]]
    if not cycles:
        return "the output does not depend on a field that depends on itself"
    if not any(sees[other] for field in cycles for other in {field} | reached[field]):
        return "the input does not reach the memory of the output"
    return ""


def pruned(graph: Graph) -> Graph:
    """Return a graph without the parameters that have no effect, in normal form.

    They would never be trained, and would make the cell look larger than it is where widths are matched by parameters.
    Also gone are nodes that are always 0. What is left may be no valid cell any more; `static_refusal` says so.

    >>> print(pruned(Graph.read("u = s(W_u x); h = tanh(W_h x + R_h h') + relu(u*u - u)")).equations())
    h = tanh(W_h x + R_h h')
    """
    found = graph.normal
    while True:
        nothing = idle(found)
        for drop_gates in (True, False):
            nodes = [_kept(k, node, nothing, drop_gates) for k, node in enumerate(found.nodes)]
            smaller = Graph(tuple(nodes), found.new).normal
            if not _constant(smaller):
                break
        if smaller == found or _constant(smaller):
            return found
        found = smaller


def _kept(k: int, node: Node, nothing: Idle, drop_gates: bool) -> Node:
    """Return a node without its parameters that have no effect. drop_gates: whether a gate may lose all of them."""
    dead = [letter for number, letter in nothing.parameters if number == k]
    if k in nothing.zero and node.kind != "field":
        return Node("constant")
    kept = node._replace(
        of=() if "R" in dead else node.of, input=node.input and "W" not in dead, bias=node.bias and "b" not in dead
    )
    if node.kind != "lin" or kept.of or kept.input:
        return kept
    return Node("constant") if drop_gates and not kept.bias else node


def _constant(graph: Graph) -> bool:
    """Return whether a part of a graph is constant, or a learned number that depends on nothing."""
    return any(
        node.kind == "constant" or (node.kind == "lin" and not node.of and not node.input) for node in graph.nodes
    )
