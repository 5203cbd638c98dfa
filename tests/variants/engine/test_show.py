"""A kernel can be read: its time step, what it saves, and the backward pass with the lines that it differentiates."""

from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from tests.variants.cases import REGISTERED
from variants import Cell, Gate, feed
from variants.__main__ import main
from variants.catalogue import kernel
from variants.engine.ir.show import LEGEND

GRU = """\
gru, every layer

Forward, for t = 0 ... T-1
  1  product  a.r, a.u = W x + R h' + b    [B, I+H] x [I+H, 2H]
  2  units    r = s(a.r)
              reset_h = h' * r
  3  product  a.n = W x + R reset_h + b    [B, I+H] x [I+H, H]
  4  units    u = s(a.u)
              n = tanh(a.n)
              h = h' * u + n * (1 - u)

Saved for the backward pass, of every step
  states    h
  operands  reset_h
  values    tail(a.r), tail(a.u), swing(a.n)

Backward, for t = T-1 ... 0, from dh
  1  units    | forward 4: u = s(a.u)
              |            n = tanh(a.n)
              |            h = h' * u + n * (1 - u)
              da.u = (-(dh * n) + h' * dh) * s'(a.u)
              da.n = dh * (1 - u) * tanh'(a.n)
              dh' = dh * u
  2  product  dreset_h = R^T [da.n]    | forward 3: R reset_h
  3  units    | forward 2: r = s(a.r)
              |            reset_h = h' * r
              da.r = h' * dreset_h * s'(a.r)
              dh' += dreset_h * r
  4  product  dh' += R^T [da.r, da.u]    | forward 1: R h'

After the steps, one product over many of them for each
  dW = sum of da x^T
  dx = W^T da
  dR = sum of da h'^T    for r, u
  dR = sum of da reset_h^T    for n
  db = sum of da"""

BRACKETS = """\
Brackets, every layer

Forward, for t = 0 ... T-1
  1  product  a.k = W x + R h' + b    [B, I+H] x [I+H, H]
  2  product  a.q = W x    [B, I] x [I, H]
  3  units    twice = h' * (a.q - m')
  4  product  a.r = R twice    [B, H] x [H, H]
  5  units    m = m' - (m' * a.k - a.q) + h' / (m' * a.r)
              r = tanh(a.r)
              h = m' * a.k + m' * a.k * r

Saved for the backward pass, of every step
  states    h, m
  operands  twice
  values    a.k, a.q - m', a.r

Backward, for t = T-1 ... 0, from dh, dm
  1  units    | forward 5: m = m' - (m' * a.k - a.q) + h' / (m' * a.r)
              |            r = tanh(a.r)
              |            h = m' * a.k + m' * a.k * r
              v1 = h' / (m' * a.r) / (m' * a.r) * -dm
              v2 = dh + dh * r + -dm
              da.k = m' * v2
              da.q = dm
              da.r = dh * m' * a.k * tanh'(a.r) + m' * v1
              dh' = dm / (m' * a.r)
              dm' = dm + a.r * v1 + a.k * v2
  2  product  dtwice = R^T [da.r]    | forward 4: R twice
  3  units    | forward 3: twice = h' * (a.q - m')
              da.q += h' * dtwice
              dh' += dtwice * (a.q - m')
              dm' += -(h' * dtwice)
  4  product  dh' += R^T [da.k]    | forward 1: R h'

After the steps, one product over many of them for each
  dW = sum of da x^T
  dx = W^T da
  dR = sum of da h'^T    for k
  dR = sum of da twice^T    for r
  db = sum of da"""

CLOCKWORK_FORWARD = """\
  1  product  a.h = W x + R h' + b    [B, I+H] x [I+H, H]
  2  units    h = tanh(a.h) if wait' <= 0.5 else h'
              wait = (period if wait' <= 0.5 else wait') - 1"""

DEPTH_GATED_ABOVE = "d = s(a.d + c' * w_cd + w_ld * below_c)"


def test_the_kernel_of_a_gru_is_its_formula():
    assert kernel(Cell.registry["gru"]) == f"{LEGEND}\n\n\n{GRU}"


def test_a_choice_is_written_as_one():
    assert CLOCKWORK_FORWARD in kernel(Cell.registry["clockwork"])


def test_a_layer_that_hears_the_one_below_is_shown_beside_the_lowest():
    lowest, above = kernel(Cell.registry["depth_gated"]).split("depth_gated, a layer above it")
    assert DEPTH_GATED_ABOVE in above
    assert "below_c" not in lowest


@pytest.mark.parametrize("name", REGISTERED)
def test_every_kernel_has_a_formula_for_each_gate_and_state_and_a_derivative_for_each_gate(name):
    cell = REGISTERED[name]()
    text = kernel(REGISTERED[name])
    left = {line.partition(" = ")[0].split()[-1] for line in text.splitlines() if " = " in line}
    products = " ".join(line for line in text.splitlines() if "product  a." in line)
    for layer in (0, 1):
        gates = [g.name for g in cell.for_layer(layer).preactivations]
        assert all(f"a.{g}" in products.replace(",", "").split() for g in gates)
        assert {f"da.{g}" for g in gates} <= left
    assert set(cell.State._fields) <= left


class TwoState(NamedTuple):
    h: Tensor
    m: Tensor


class Brackets(Cell):
    """Differences of differences, quotients of products, gates without W, R or b, and parts that are used twice."""

    State = TwoState
    gates = ("k", Gate("q", bias=False), Gate("r", hears=("twice",), input=False, bias=False))

    @feed
    def twice(self, a, s, p):
        return s.h * (a.q - s.m)

    def step(self, a, s, p):
        both = a.k * s.m
        m = s.m - (both - a.q) + s.h / (a.r * s.m)
        return TwoState(h=both * torch.tanh(a.r) + both, m=m)


def test_brackets_terms_and_parts_are_those_of_the_formula_and_its_derivative():
    assert kernel(Brackets) == f"{LEGEND}\n\n\n{BRACKETS}"


class HiddenState(NamedTuple):
    h: Tensor


class Sharing(Cell):
    """Not elementwise."""

    State = HiddenState
    gates = ("a",)

    def step(self, a, s, p):
        return HiddenState(h=torch.softmax(a.a, dim=-1))


def test_a_cell_without_a_kernel_says_why():
    assert kernel(Sharing).startswith(
        "Sharing: has no fused kernel, the eager engine runs its step: operation '_softmax'"
    )


def test_a_control_is_one_line():
    assert kernel(Cell.registry["native_gru"]) == (
        "native_gru: runs torch.nn.GRU, a kernel of the library that is not derived here."
    )


def test_the_command_prints_the_kernel(capsys):
    assert main(["gru", "--kernel"]) == 0
    assert "h = h' * u + n * (1 - u)" in capsys.readouterr().out


def test_the_command_wants_a_name(capsys):
    assert main(["--kernel"]) == 2
    assert (
        capsys.readouterr().err
        == "error: --kernel needs the name of a variant, as in: python -m variants gru --kernel\n"
    )


@pytest.mark.parametrize("columns", [60, 80])
@pytest.mark.parametrize("name", REGISTERED)
def test_a_kernel_in_few_columns_has_the_same_formulas_in_lines_that_fit(name, columns):
    narrow, wide = kernel(REGISTERED[name], columns=columns), kernel(REGISTERED[name])
    formulas = narrow.partition(LEGEND)[2].splitlines()
    assert [line for line in formulas if len(line) > columns] == []
    assert "".join(narrow.replace("|", "").split()) == "".join(wide.replace("|", "").split())


def test_a_line_that_is_too_long_goes_on_at_an_operator_outside_of_brackets():
    lines = kernel(Cell.registry["lru"], columns=80).splitlines()
    assert "              dnu += exp(nu) * -(v1 * (a' * v3 + b' * v2) * db)" in lines
    assert "                  + exp(nu) * -(v1 * (a' * v2 - b' * v3) * da)" in lines
    assert "              |                + a.b * exp(gamma)" in lines


def test_the_logarithm_of_a_gate_is_written_as_one_function():
    assert "v1 = s(log_sigmoid(a.f) - log_sigmoid(a.i))" in kernel(Cell.registry["min_lstm"])
