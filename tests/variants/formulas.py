"""Random declarations of cells for property tests: gates, feeds, vectors, scalars and formulas, drawn by hypothesis."""

from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from variants import Cell, Gate, feed

Formula = tuple[Any, ...]
"""`("name", n)`, `("number", v)`, or the name of a function and its arguments."""

SMOOTH: dict[str, Callable[..., Tensor]] = {
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "neg": torch.neg,
    "square": torch.square,
    "sin": torch.sin,
    "cos": torch.cos,
    "erf": torch.erf,
    "atan": torch.atan,
    "silu": functional.silu,
    "gelu": functional.gelu,
    "softplus": functional.softplus,
    "logsigmoid": functional.logsigmoid,
    "mish": functional.mish,
    "log1p of a square": lambda x: torch.log1p(x * x),
    "log of one and a square": lambda x: torch.log(1.0 + x * x),
    "exp of minus a square": lambda x: torch.exp(-x * x),
    "expm1 of tanh": lambda x: torch.expm1(torch.tanh(x)),
    "sqrt of one and a square": lambda x: torch.sqrt(1.0 + x * x),
    "rsqrt of one and a square": lambda x: torch.rsqrt(1.0 + x * x),
    "power of one and a square": lambda x: (1.0 + x * x) ** -0.75,
    "to the first": lambda x: x**1,
}
BENT: dict[str, Callable[..., Tensor]] = {
    "relu": torch.relu,
    "abs": torch.abs,
    "elu": functional.elu,
    "selu": functional.selu,
    "leaky_relu": functional.leaky_relu,
    "hardtanh": functional.hardtanh,
    "hardsigmoid": functional.hardsigmoid,
    "clamp": lambda x: torch.clamp(x, -0.7, 0.4),
    "clamp_min": lambda x: torch.clamp_min(x, -0.2),
    "clamp_max": lambda x: torch.clamp(x, max=0.3),
    "detach": torch.detach,
}
PAIRS: dict[str, Callable[..., Tensor]] = {
    "add": torch.add,
    "sub": torch.sub,
    "mul": torch.mul,
    "div": lambda x, y: x / (1.0 + y * y),
    "minimum": torch.minimum,
    "maximum": torch.maximum,
    "fmax": torch.fmax,
    "logaddexp": torch.logaddexp,
}
TRIPLES: dict[str, Callable[..., Tensor]] = {
    "where": lambda x, y, z: torch.where(x > 0.1, y, z),
    "lerp": lambda x, y, z: torch.lerp(x, y, torch.sigmoid(z)),
    "addcmul": lambda x, y, z: torch.addcmul(x, y, z, value=0.5),
    "mix": lambda x, y, z: torch.sigmoid(x) * y + (1.0 - torch.sigmoid(x)) * z,
}
FUNCTIONS = SMOOTH | BENT | PAIRS | TRIPLES


def value(formula: Formula, names: Mapping[str, Tensor], like: Tensor) -> Tensor:
    """The value of a formula; a number alone becomes a tensor like `like`."""
    kind, *rest = formula
    if kind == "name":
        return names[rest[0]]
    if kind == "number":
        return torch.full_like(like, rest[0])
    return FUNCTIONS[kind](*(value(r, names, like) for r in rest))


def formulas(names: Sequence[str], depth: int = 3) -> st.SearchStrategy[Formula]:
    """Formulas over named values, of limited depth."""
    leaf = st.one_of(
        st.tuples(st.just("name"), st.sampled_from(list(names))),
        st.tuples(st.just("name"), st.sampled_from(list(names))),
        st.tuples(st.just("number"), st.sampled_from([-1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0])),
    )
    if depth == 0:
        return leaf
    below = formulas(names, depth - 1)
    return st.one_of(
        leaf,
        st.tuples(st.sampled_from(sorted(SMOOTH | BENT)), below),
        st.tuples(st.sampled_from(sorted(PAIRS)), below, below),
        st.tuples(st.sampled_from(sorted(TRIPLES)), below, below, below),
    )


@st.composite
def cells(draw: st.DrawFn) -> Cell:
    """A cell with one to three fields, gates that hear what may be heard, feeds, vectors, scalars and constants."""
    fields = draw(st.sampled_from([("h",), ("h", "c"), ("y", "c", "t")]))
    State = namedtuple("State", fields)
    vectors = draw(st.sampled_from([(), ("p_i",), ("b", "copy")]))
    scalars = draw(st.sampled_from([(), ("zeta",)]))
    constants = draw(st.sampled_from([(), ("slope",)]))
    has_feed = draw(st.booleans())
    first = draw(
        st.lists(st.builds(_gate(fields), st.booleans(), st.booleans(), st.booleans()), min_size=1, max_size=3)
    )
    # those that hear are neighbours
    gates = [g._replace(name=f"g{k}") for k, g in enumerate(sorted(first, key=lambda g: not g.hears))]
    outer = [f"s.{f}" for f in fields] + [f"p.{v}" for v in (*vectors, *scalars, *constants)]
    attributes: dict[str, Any] = {"State": State, "vectors": vectors, "scalars": scalars}
    if has_feed:
        known = outer + [f"a.{g.name}" for g in gates]
        fed = draw(formulas(known, 2))
        attributes["fed"] = feed(lambda self, a, s, p: value(fed, _named(a, s, p), s[0]))
        gates.append(Gate("late", ("fed",), input=draw(st.booleans()), bias=draw(st.booleans())))
    attributes["gates"] = tuple(gates)
    everything = outer + [f"a.{g.name}" for g in gates]
    updates = [("tanh", draw(formulas(everything))) for _ in fields]
    attributes["step"] = lambda self, a, s, p: State(*(value(u, _named(a, s, p), s[0]) for u in updates))
    if constants:
        attributes["constants"] = lambda self, hidden_size: {"slope": torch.linspace(0.5, 1.5, hidden_size)}
    if draw(st.booleans()) and len(fields) > 1:
        attributes["above"] = (fields[1],)
        attributes["step"] = _with_below(attributes["step"], State, fields[1])
    cls = type("Random", (Cell,), attributes)
    cls.__doc__ = f"gates {gates}; updates {updates}"
    return cls()


def _with_below(step: Callable[..., Any], State: Any, field: str) -> Callable[..., Any]:
    def stepped(self: Cell, a: Any, s: Any, p: Any) -> Any:
        new = step(self, a, s, p)
        return (
            new._replace(**{field: torch.tanh(getattr(new, field) + getattr(a, f"below_{field}"))})
            if hasattr(a, f"below_{field}")
            else new
        )

    return stepped


def _gate(fields: Sequence[str]) -> Callable[[bool, bool, bool], Gate]:
    def gate(hears: bool, given: bool, bias: bool) -> Gate:
        return Gate("g", fields[:1] if hears else (), input=given or not (hears or bias), bias=bias)

    return gate


def _named(a: Any, s: Any, p: Any) -> dict[str, Tensor]:
    return (
        {f"a.{n}": v for n, v in vars(a).items()}
        | {f"s.{n}": v for n, v in s._asdict().items()}
        | {f"p.{n}": v for n, v in vars(p).items()}
    )
