"""Names of the values that a kernel reads, computes and writes: a kind, and what it is a value of."""

from __future__ import annotations

from typing import Literal, NamedTuple

Kind = Literal[
    # inputs of expressions
    "a",  # pre-activation of a gate
    "s",  # field of the previous state
    "p",  # vector or constant of the cell
    "below",  # field of the layer below, a sequence
    "keep",  # zoneout of a field
    "drop",  # dropout of a source
    "other",  # a tensor that the cell does not declare
    # results of expressions
    "new",  # field of the new state
    "u",  # operand of a source: what its R is multiplied with
    # derivatives of the loss
    "d.new",  # by a field of the new state
    "d.u",  # by the operand of a source
    # arrays and numbers that only kernels know
    "T",
    "B",
    "H",
    "P",
    "I",
    "x",
    "given",
    "inputs",
    "copies",
    "W",
    "b",
    "R",
    "state",
    "states",
    "active",
    "operand",
    "saved",
    "mix",
    "stage",
    "vector",
    "weights",
    "headed",
    "head",
    "summed",
    "bias",
    "product",
    "pack",
    "outer",
    "spread",
    "chunk",
    "dstates",
    "dpre",
    "dbelow",
    "carry",
    "du",
    "dp",
    "part",
    "packed",
    "zeros",
    "nothing",
    "sums",
    "dx",
    "dW",
    "db",
    "dR",
    "gradient",
]


class Name(NamedTuple):
    """The name of a value: `Name("a", "f")` is the pre-activation of the gate f.

    kind: what sort of value it is; a type checker knows all kinds.
    of: the gate, field, vector or source that it belongs to, where there are several.
    axis: for a distance in memory instead of an address, the axis it is along: "t" or "b".
    """

    kind: Kind
    of: str = ""
    axis: str = ""

    def __str__(self) -> str:
        return ".".join(filter(None, self))


def derivative(name: Name) -> Name:
    """Return the name of the derivative of the loss by a result of an expression."""
    return Name("d.new" if name.kind == "new" else "d.u", name.of)


def of_kind(kind: Kind, names: list[Name] | set[Name]) -> list[str]:
    """Return what the names of one kind belong to, in their order."""
    return [name.of for name in names if name.kind == kind]
