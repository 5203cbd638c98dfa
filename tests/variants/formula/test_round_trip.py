"""Every registered cell goes to equations, to a class of Python and back with the same bits, or says why it cannot."""

import pytest
import torch

from tests.variants.cases import INPUTS, REGISTERED, B, T, fitting, generator
from variants import Cell, build, knobs_of
from variants.formula.cell import Formula
from variants.formula.following import CannotWrite
from variants.formula.from_cell import equations_of, why_not
from variants.formula.to_class import class_text

ALL_PEEPHOLES = ("i", "f", "o")
REASONS = {  # of cells that equations cannot say; those whose declaration says so need no line here
    "clockwork": "it has a mask on R",
    "depth_gated": "its layers differ",
    "grid": "its layers differ",
    "lstm_1997": "it cuts the gradient",
    "memory_blocks": "its output has several fields",
}


def _cases():
    found = []
    for name, cls in REGISTERED.items():
        if name not in REASONS and not why_not(cls()):
            found.append(pytest.param(cls(), id=name))
            if "peepholes" in knobs_of(cls):
                there = tuple(g.name for g in cls().preactivations if g.name in ALL_PEEPHOLES)
                found.append(pytest.param(cls(peepholes=there), id=f"{name}-peepholes"))
    return found


CASES = _cases()


def _run(cell, engine, kind):
    """Outputs, last state, and gradients by name for parameters that depend on their names only."""
    module = build(cell, INPUTS, fitting(cell), layers=max(2, cell.min_layers), engine=engine).to(kind)
    parameters = dict(module.named_parameters())
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(torch.randn(parameter.shape, generator=generator(sum(map(ord, name)))).to(kind) * 0.5)
    x = torch.randn(T, B, INPUTS, generator=generator(1)).to(kind).requires_grad_()
    outputs, states = module(x)
    weights = torch.randn(outputs.shape, generator=generator(2)).to(kind)
    (outputs * weights).sum().backward()
    fields = {f"{k}.{name}": v for k, state in enumerate(states) for name, v in state._asdict().items()}
    gradients = {name: parameter.grad for name, parameter in parameters.items()}
    return {"outputs": outputs, "dx": x.grad, **fields}, gradients


def _same_bits(cell, other, engine, kind):
    (values, gradients), (other_values, other_gradients) = _run(cell, engine, kind), _run(other, engine, kind)
    assert list(gradients) == list(other_gradients), "parameters of the same names in the same order"
    different = [n for n, v in (values | gradients).items() if not torch.equal(v, (other_values | other_gradients)[n])]
    assert not different


@pytest.mark.parametrize("cell", CASES)
@pytest.mark.parametrize(
    ("engine", "kind"), [("eager", torch.float64), ("fused", torch.float32)], ids=["eager", "fused"]
)
def test_a_cell_from_its_equations_has_the_bits_of_the_cell(cell, engine, kind):
    _same_bits(cell, Formula(equations=equations_of(cell)), engine, kind)


@pytest.mark.parametrize("cell", CASES)
def test_a_cell_from_its_equations_keeps_and_writes_by_the_same_gates(cell):
    other = Formula(equations=equations_of(cell))
    assert (other.keeps, other.writes, other.never_forgets) == (cell.keeps, cell.writes, cell.never_forgets)


@pytest.mark.parametrize("cell", CASES)
def test_equations_of_equations_are_the_same(cell):
    text = equations_of(cell)
    assert equations_of(Formula(equations=text)) == text


OTHERS = {
    "functions": "a = max(W x + R h', 0) + min(0.5, W_q x)\nh = where(a > 0, softplus(a), silu(h'))*log_sigmoid(h')",
    "feeds": "v = s(W x + R h')\nm = R_m (v*h') + R_m_v v\ns = -v/(1 + abs(m))\nh = s + elu(W_n x + R_n s)",
    "numbers": "v = W x + 0.5*h'\nh = where(v > 0, 1, -1)*tanh(v) + where(0.1 < v - h', 2, 0.5)",
    "names": "WrittenState = 0.5*WrittenState' + tanh(W x)\nh = tanh(WrittenState)",
    "vectors": "vectors beta\nh = sqrt(1 + exp(beta))*tanh(W x + R h' + p_i*h') - (2 - h')/3",
}


@pytest.mark.parametrize("cell", [*CASES, *(pytest.param(Formula(equations=t), id=n) for n, t in OTHERS.items())])
@pytest.mark.parametrize(
    ("engine", "kind"), [("eager", torch.float64), ("fused", torch.float32)], ids=["eager", "fused"]
)
def test_the_class_that_is_written_has_the_bits_of_the_equations(cell, engine, kind):
    formula = Formula(equations=equations_of(cell))
    module = {"__name__": "written"}
    exec(class_text(formula, "Written"), module)  # as if the text were a file
    _same_bits(formula, module["Written"](), engine, kind)


@pytest.mark.parametrize(("name", "reason"), [*REASONS.items(), ("native_gru", "it is a kernel of the library")])
def test_a_cell_that_equations_cannot_say_says_why(name, reason):
    with pytest.raises(CannotWrite, match=f"^{name}: {reason}"):
        equations_of(Cell.registry[name]())
