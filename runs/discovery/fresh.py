"""Draws graphs at random, for a search that does not learn from what it has found."""

from __future__ import annotations

from numpy.random import Generator

from .graph import BINARY, UNARY, Builder, Graph
from .mutation import CHOICES
from .validity import static_refusal

MOST_TRIES = 1000
_GATES = (2, 5)  # how many are drawn first
_OPERATIONS = (4, 12)


def fresh(generator: Generator) -> Graph:
    """Return a random graph, in normal form, of the size of the LSTM and its mutants.

    It has one or two fields. Two to five gates hear the input, most of them, and a field, sometimes times another gate;
    each is squashed. Then four to twelve operations, sums, products and activations, are applied to what there is; the
    last results are the new fields. What `static_refusal` refuses is drawn again.

    generator: all random numbers come from it.

    >>> from numpy.random import default_rng
    >>> fresh(default_rng(1)) == fresh(default_rng(1))
    True
    """
    for _ in range(MOST_TRIES):
        found = _drawn(generator)
        if static_refusal(found) == "":
            return found.normal
    raise RuntimeError(f"fresh: a graph must be valid after at most {MOST_TRIES} draws, got none")


def _drawn(generator: Generator) -> Graph:
    def below(number: int) -> int:
        return int(generator.integers(number))

    builder = Builder()
    fields = [builder.add("field", number=k) for k in range(1 + below(2))]
    there = list[int]()
    for _ in range(_GATES[0] + below(_GATES[1] - _GATES[0] + 1)):
        heard = fields[below(len(fields))]
        if there and generator.random() < 0.25:
            heard = builder.add("mul", there[below(len(there))], heard)
        of = (heard,) if generator.random() < 0.9 else ()
        gate = builder.gate(of, not of or generator.random() < 0.8, True)
        there.append(builder.add(("sigmoid", "sigmoid", "tanh", "relu")[below(4)], gate))
    there += fields
    unused = list(there)
    for _ in range(_OPERATIONS[0] + below(_OPERATIONS[1] - _OPERATIONS[0] + 1)):
        v = unused.pop(below(len(unused))) if unused else there[below(len(there))]
        if generator.random() < 0.25:
            kinds = [kind for kind in UNARY if kind in CHOICES]
            made = builder.add(kinds[below(len(kinds))], v)
        else:
            w = unused.pop(below(len(unused))) if unused else there[below(len(there))]
            made = builder.add(BINARY[below(3)], v, w)
        there.append(made)
        unused.append(made)
    ends = [*there[: -1 - len(unused)], *unused][-len(fields) :]
    return builder.graph(ends)
