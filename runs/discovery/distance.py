"""How many mutations lie between two graphs."""

from __future__ import annotations

from .graph import Graph


def distance(graph: Graph, other: Graph) -> int:
    """Return a bound of the number of mutations between two graphs (for now: the difference of their kinds)."""
    kinds = [sorted(node.kind for node in found.normal.nodes) for found in (graph, other)]
    return sum(abs(kinds[0].count(kind) - kinds[1].count(kind)) for kind in sorted({*kinds[0], *kinds[1]}))
