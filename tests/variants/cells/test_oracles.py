"""Cells are those of other libraries: torchrecurrent, xlstm and two more, where these are installed.

Each oracle runs in double precision, step by step, with the parameters of a module here. Where an oracle contradicts
its own paper, its line says so, and what is compared is chosen so that the rest of the oracle is still tested.
"""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn, tanh

from tests.variants.cases import B, T, fill, inputs_of, same
from variants import Cell, Recurrent, build, feed

pytestmark = pytest.mark.slow  # needs optional software
INPUTS, UNITS = 4, 6
TOLERANCE = 1e-12

Blocks = dict[str, Tensor]


class Oracle(NamedTuple):
    """A cell of torchrecurrent that computes one step.

    name: of its class.
    parameters: from the blocks of a module here to its parameters; all other biases are 0.
    knobs: its keyword arguments.
    """

    name: str
    parameters: Callable[[Blocks], Blocks]
    knobs: dict[str, Any] = {}


def stack(p: Blocks, kind: str, gates: tuple[str, ...]) -> Tensor:
    return torch.cat([p[f"{kind}_{gate}"] for gate in gates])


def plain(*gates: str) -> Callable[[Blocks], Blocks]:
    """Give W, R and b of all gates in this order."""
    return lambda p: {
        "weight_ih": stack(p, "W", gates),
        "weight_hh": stack(p, "R", gates),
        "bias_ih": stack(p, "b", gates),
    }


def multiplicative(p: Blocks) -> Blocks:
    return {
        "weight_ih": stack(p, "W", ("m", "i", "f", "z", "o")),
        "weight_hh": p["R_k"],
        "weight_mh": stack(p, "R", ("i", "f", "z", "o")),
        "bias_mh": stack(p, "b", ("i", "f", "z", "o")),
    }


def lem(p: Blocks) -> Blocks:
    return {
        "weight_ih": stack(p, "W", ("d", "e", "z", "n")),
        "weight_hh": stack(p, "R", ("d", "e", "z")),
        "weight_ch": p["R_n"],
        "bias_ih": stack(p, "b", ("d", "e", "z", "n")),
    }


def cornn(p: Blocks) -> Blocks:
    return {"weight_ih": p["W_n"], "weight_hh": p["R_n"], "weight_ch": p["R_n_c"], "bias_ih": p["b_n"]}


def ran(p: Blocks) -> Blocks:
    return {
        "weight_ih": stack(p, "W", ("z", "i", "f")),
        "weight_hh": stack(p, "R", ("i", "f")),
        "bias_ih": stack(p, "b", ("i", "f")),
    }


def cfn(p: Blocks) -> Blocks:
    biases = [p["b_f"], p["b_i"], torch.zeros(UNITS)]
    return {
        "weight_ih": stack(p, "W", ("f", "i", "n")),
        "weight_hh": stack(p, "R", ("f", "i")),
        "bias_ih": torch.cat(biases),
    }


def star(p: Blocks) -> Blocks:
    return {
        "weight_ih": stack(p, "W", ("z", "k")),
        "weight_hh": p["R_k"],
        "bias_ih": stack(p, "b", ("z", "k")),
    }


def typed(p: Blocks) -> Blocks:
    """The oracle has a bias for z, the paper has none."""
    return {"weight_ih": stack(p, "W", ("z", "f")), "bias_ih": torch.cat([torch.zeros(UNITS), p["b_f"]])}


def fast(p: Blocks) -> Blocks:
    return {
        "weight_ih": p["W_u"],
        "weight_hh": p["R_u"],
        "bias_ih": torch.cat([p["b_u"], p["b_n"]]),
        "zeta": p["zeta"],
        "nu": p["nu"],
    }


ORACLES = {
    "mgu": Oracle("MGUCell", plain("f", "n")),
    "ugrnn": Oracle("UGRNNCell", plain("n", "u")),
    "li_gru": Oracle("LiGRUCell", plain("u", "n")),
    "janet": Oracle("JANETCell", lambda p: plain("f", "n")(p) | {"beta": torch.ones(())}),
    "star": Oracle("STARCell", star),
    "ran": Oracle("RANCell", ran),
    "cfn": Oracle("CFNCell", cfn),
    "strongly_typed": Oracle("TRNNCell", typed),
    "multiplicative_lstm": Oracle("MultiplicativeLSTMCell", multiplicative),
    "indrnn": Oracle(
        "IndRNNCell",
        lambda p: {"weight_ih": p["W_h"], "vector_u": p["p_h"], "bias_ih": p["b_h"]},
        {"nonlinearity": "relu"},
    ),
    # Its docstring has the new velocity in the damping, its code the old one; the paper allows both.
    "cornn": Oracle("coRNNCell", cornn),
    "antisymmetric_rnn": Oracle("AntisymmetricRNNCell", plain("h"), {"epsilon": 0.1, "gamma": 0.01}),
    # Its gate is tanh by default, against its docstring and the paper, which have the logistic function.
    "fast_grnn": Oracle("FastGRNNCell", fast, {"nonlinearity": "sigmoid"}),
}


def module_of(cell: Cell, input_size: int = INPUTS) -> tuple[Recurrent, Blocks]:
    module = Recurrent(cell, input_size, UNITS, engine="eager").double()
    fill(module)
    return module, {name: value.detach() for name, value in module.parts[0].items()}


def oracle_of(oracle: Oracle, blocks: Blocks) -> nn.Module:
    torchrecurrent = pytest.importorskip("torchrecurrent", reason="the extra `peers` is not installed")
    cell: nn.Module = getattr(torchrecurrent, oracle.name)(INPUTS, UNITS, **oracle.knobs).double()
    given = oracle.parameters(blocks)
    with torch.no_grad():
        for name, parameter in cell.named_parameters():
            assert name in given or name.startswith("bias"), f"{oracle.name}: nothing is given for {name}"
            parameter.copy_(given.get(name, torch.zeros(())))
    return cell


def rolled(cell: nn.Module, inputs: Tensor) -> Tensor:
    """Outputs [T, B, H] of an oracle, from a state of zeros."""
    state, outputs = None, []
    with torch.no_grad():
        for x in inputs:
            state = cell(x, state)
            outputs.append(state[0] if isinstance(state, tuple) else state)
    return torch.stack(outputs)


@pytest.mark.parametrize("name", ORACLES)
def test_a_cell_is_that_of_torchrecurrent(name):
    module, blocks = module_of(Cell.registry[name]())
    outputs, _ = module(inputs_of())
    same(outputs.detach(), rolled(oracle_of(ORACLES[name], blocks), inputs_of()), tolerance=TOLERANCE)


class AsCoded(Cell.registry["lem"]):  # type: ignore[misc]
    """The equations of torchrecurrent's code: y hears the old c. Its docstring and the paper have the new one."""

    @feed
    def new_c(self, a, s, p):
        return s.c

    def step(self, a, s, p):
        e = self.dt * torch.sigmoid(a.e)
        d = self.dt * torch.sigmoid(a.d)
        return self.State(y=(1 - d) * s.y + d * tanh(a.n), c=(1 - e) * s.c + e * tanh(a.z))


def test_lem_of_torchrecurrent_is_that_of_its_code_and_not_that_of_its_paper():
    (published, blocks), (coded, _) = module_of(Cell.registry["lem"]()), module_of(AsCoded())
    theirs = rolled(oracle_of(Oracle("LEMCell", lem), blocks), inputs_of())
    same(coded(inputs_of())[0].detach(), theirs, tolerance=TOLERANCE)
    assert (published(inputs_of())[0] - theirs).abs().max() > 0.1


def test_units_of_scrn_are_those_of_torchrecurrent():
    """Its hidden layer hears its answer y of the step before; that of the paper hears itself, so each step gets our h.

    Its answer is tanh(U h + V c): with U = 1 and V = 0 it shows h.
    """
    module, p = module_of(Cell.registry["scrn"](alpha=0.5))
    zero = torch.zeros(UNITS, UNITS, dtype=torch.float64)
    given = {
        "weight_ih": stack(p, "W", ("c", "h")),
        "weight_hh": torch.cat([p["R_h"], torch.eye(UNITS, dtype=torch.float64)]),
        "weight_ch": torch.cat([p["R_h_context"], zero]),
        "bias_ih": torch.cat([zero[0], p["b_h"]]),
        "alpha": torch.tensor(0.5),
    }
    cell = oracle_of(Oracle("SCRNCell", lambda p: given), p)
    outputs, _ = module(inputs_of())
    h, c = outputs.detach().chunk(2, -1)
    start = torch.zeros(B, UNITS, dtype=torch.float64)
    for t, x in enumerate(inputs_of()):
        before = (h[t - 1], c[t - 1]) if t else (start, start)
        answer, context = cell(x, before)
        same(tanh(h[t]), answer.detach(), tolerance=TOLERANCE)
        same(c[t], context.detach(), tolerance=TOLERANCE)


class Added(Cell.registry["nas"]):  # type: ignore[misc]
    """The cell of torchrecurrent: v_4 is a sum. The authors' code, TensorFlow's NASCell, has a product."""

    def step(self, a, s, p):
        a.k4, a.m4 = a.k4 + a.m4, torch.ones_like(a.m4)
        return super().step(a, s, p)


def test_nas_is_that_of_torchrecurrent_but_for_one_product():
    module, p = module_of(Added())
    p |= {"W_v4": p["W_k4"], "R_v4": p["R_m4"], "b_v4": p["b_m4"]}
    cell = oracle_of(Oracle("NASCell", plain(*(f"v{k}" for k in range(1, 9)))), p)
    same(module(inputs_of())[0].detach(), rolled(cell, inputs_of()), tolerance=TOLERANCE)


def loaded(package: str, file: str) -> ModuleType:
    """A file of a package by its path: a package itself may import what only its large models need."""
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        pytest.skip(f"{package}, of no extra, is not installed")
    spec = importlib.util.spec_from_file_location(Path(file).stem, Path(found.submodule_search_locations[0]) / file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def nx_ai_signals(p: Blocks, heads: int, x: Tensor) -> dict[str, Tensor]:
    """What NX-AI's forms of the mLSTM take, from inputs [T, B, I]: [B, heads, T, d], of a gate [B, heads, T, 1]."""
    found = {}
    names = {"q": "queries", "k": "keys", "v": "values", "i": "igate_preact", "f": "fgate_preact"}
    for gate, name in names.items():
        values = x @ p[f"W_{gate}"].T + p[f"b_{gate}"]
        found[name] = values.reshape(len(x), B, heads, -1).permute(1, 2, 0, 3)
    return found


def mlstm_case(heads: int, steps: int) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """Outputs [B, heads, T, d] of an mLSTM here, its output gate in the same form, and what the oracle takes."""
    module = build(Cell.registry["mlstm"](heads=heads), INPUTS, UNITS).double()
    fill(module)
    p = {name.rpartition(".")[2]: value.detach() for name, value in module.named_parameters()}
    x = inputs_of(steps)
    outputs, gate = module(x)[0].detach(), torch.sigmoid(x @ p["W_o"].T + p["b_o"])
    y, o = (v.reshape(steps, B, heads, -1).permute(1, 2, 0, 3) for v in (outputs, gate))
    return y, o, nx_ai_signals(p, heads, x)


@pytest.mark.parametrize("heads", [1, 3])
@pytest.mark.parametrize("steps", [T, 150])
def test_mlstm_is_that_of_nx_ai_in_its_parallel_form(heads, steps):
    """They add eps to the divisor, which the paper does not: it is 0 here."""
    forward = loaded("xlstm", "blocks/mlstm/backends.py").parallel_stabilized_simple
    y, o, signals = mlstm_case(heads, steps)
    same(y, o * forward(**signals, eps=0.0), tolerance=TOLERANCE)


@pytest.mark.parametrize("heads", [1, 3])
def test_mlstm_is_that_of_nx_ai_step_by_step(heads):
    forward = loaded("xlstm", "blocks/mlstm/backends.py").recurrent_step_stabilized_simple
    y, o, signals = mlstm_case(heads, T)
    size = UNITS // heads
    state = [torch.zeros(B, heads, *shape, dtype=torch.float64) for shape in ((size, size), (size, 1), (1, 1))]
    for t in range(T):
        q, k, v, i, f = (s[:, :, t : t + 1].clone() for s in signals.values())
        h, state = forward(*state, q, k, v, i, f, eps=0.0)
        same(y[:, :, t], o[:, :, t] * h.squeeze(2), tolerance=TOLERANCE)


@pytest.mark.parametrize("heads", [1, 2])
def test_slstm_is_that_of_nx_ai(heads):
    """Their stabiliser starts at the first input gate and ours at 0, so that c, n and m differ and y does not."""
    forward = loaded("xlstm", "blocks/slstm/src/vanilla/slstm.py").slstm_forward_pointwise
    module, p = module_of(Cell.registry["slstm"](heads=heads))
    gates = ("i", "f", "z", "o")
    whole = torch.cat([torch.block_diag(*p[f"R_{gate}"].chunk(heads)) for gate in gates])
    states = torch.zeros(4, B, UNITS, dtype=torch.float64)
    outputs, _ = module(inputs_of())
    assert len(outputs) == T
    for x, y in zip(inputs_of(), outputs, strict=True):
        states, _ = forward(x @ stack(p, "W", gates).T, states[0] @ whole.T, stack(p, "b", gates), states, {})
        same(y.detach(), states[0], tolerance=TOLERANCE)


def test_positive_min_gru_is_that_of_lucidrains():
    """It has no biases, and computes all steps at once from logarithms, which needs the positive candidate."""
    module, p = module_of(Cell.registry["min_gru"](positive=True))
    with torch.no_grad():
        for name in ("b_u", "b_n"):
            module.parts[0][name].zero_()
    layer = (
        loaded("minGRU_pytorch", "minGRU.py").minGRU(INPUTS, expansion_factor=UNITS / INPUTS, proj_out=False).double()
    )
    with torch.no_grad():
        layer.to_hidden_and_gate.weight.copy_(stack(p, "W", ("n", "u")))
        theirs = layer(inputs_of().transpose(0, 1)).transpose(0, 1)
    same(module(inputs_of())[0].detach(), theirs, tolerance=TOLERANCE)


def test_lru_is_that_of_lru_pytorch():
    """It computes in single precision, and writes C for R_y and -R_y_imaginary."""
    module, p = module_of(Cell.registry["lru"]())
    layer = loaded("LRU_pytorch", "LRU.py").LRU(INPUTS, UNITS, UNITS)
    with torch.no_grad():
        for theirs, ours in (("nu_log", "nu"), ("theta_log", "theta"), ("gamma_log", "gamma"), ("D", "W_y")):
            getattr(layer, theirs).copy_(p[ours])
        layer.B.copy_(torch.complex(p["W_a"], p["W_b"]))
        layer.C.copy_(torch.complex(p["R_y"], -p["R_y_imaginary"]))
        outputs = layer(inputs_of().float().transpose(0, 1)).transpose(0, 1)
    same(module(inputs_of())[0].detach().float(), outputs, tolerance=1e-5)
