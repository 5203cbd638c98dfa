"""STUB."""

import re

from .graph import Graph


from dataclasses import dataclass
@dataclass
class Mutant:
    """STUB."""
    graph: Graph
    operations: tuple
def mutant(graph, generator):
    """STUB."""
    return Mutant(mutate(graph, generator), ("x",))
def mutate(graph, generator):
    for _ in range(100):
        lines = graph.text.split("\n")
        k = int(generator.integers(len(lines)))
        line = lines[k]
        kind = int(generator.integers(5))
        head, _, body = line.partition(" = ")
        if kind == 0:
            body = re.sub(r"\b(s|tanh|relu)\(", lambda m: str(generator.choice(["s", "tanh", "relu"])) + "(", body)
        elif kind == 1:
            body = re.sub(r"[*+](?= ?[a-z(])", lambda m: str(generator.choice(["*", "+", "-"])), body, count=1)
        elif kind == 2:
            body = f"tanh({body})" if "W_" not in body else f"relu({body})"
        elif kind == 3:
            body = re.sub(r"W_\w+ x \+ ", "", body)
        else:
            body = body.replace("h'", "tanh(h')", 1)
        lines[k] = f"{head} = {body}"
        try:
            new = Graph.read("\n".join(lines))
        except ValueError:
            continue
        if new != graph:
            return new
    return graph
