"""The network of 1997 has the weights that were published, and the gradient of the paper's own algorithm."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy import ndarray
from torch import Tensor

from tests.variants.cases import fill, generator
from variants import Cell, Recurrent, build, count_parameters

MemoryBlocks = Cell.registry["memory_blocks"]


@pytest.mark.parametrize(("inputs", "outputs", "blocks", "published"), [(2, 1, 2, 93), (8, 4, 2, 156), (8, 8, 3, 308)])
def test_the_number_of_weights_is_the_published_one(inputs: int, outputs: int, blocks: int, published: int):
    module = build(MemoryBlocks(), inputs, blocks)
    readout = (module.output_size + 1) * outputs
    assert module.output_size == 2 * blocks
    assert count_parameters(MemoryBlocks(), inputs, blocks) + readout == published
    assert sum(p.numel() for p in module.parameters()) + readout == published


def logistic(v: ndarray) -> ndarray:
    return 1 / (1 + np.exp(-v))


def published_gradient(x: ndarray, w: dict[str, ndarray], target: ndarray, errors_at: int) -> dict[str, ndarray]:
    """Derivatives of E = 1/2 sum (target - y)^2 at one step, as appendix A.1 carries them forward in time.

    x: one sequence [T, I]. w: for each unit of a block (in, out, c1, c2) a matrix [blocks, I + 4 blocks + 1] over the
    inputs, all cells and gates, and 1; and `k` [K, 2 blocks + 1], that of the logistic output units.

    For every weight of an input gate or a block input there is a running sum ds/dw of the cell's state.
    """
    blocks, width = w["in"].shape
    y = {unit: np.zeros(blocks) for unit in ("c1", "c2", "in", "out")}
    state = {c: np.zeros(blocks) for c in ("c1", "c2")}
    by_input_gate = {c: np.zeros((blocks, width)) for c in ("c1", "c2")}
    by_block_input = {c: np.zeros((blocks, width)) for c in ("c1", "c2")}
    for t in range(errors_at + 1):
        source = np.concatenate([x[t], y["c1"], y["c2"], y["in"], y["out"], [1.0]])
        net = {unit: w[unit] @ source for unit in ("in", "out", "c1", "c2")}
        gate_in, gate_out = logistic(net["in"]), logistic(net["out"])
        y["in"], y["out"] = gate_in, gate_out
        for c in ("c1", "c2"):
            g = 4 * logistic(net[c]) - 2
            slope = 4 * logistic(net[c]) * (1 - logistic(net[c]))
            by_input_gate[c] += np.outer(g * gate_in * (1 - gate_in), source)
            by_block_input[c] += np.outer(slope * gate_in, source)
            state[c] = state[c] + gate_in * g
            y[c] = gate_out * (2 * logistic(state[c]) - 1)
    cells = np.concatenate([y["c1"], y["c2"], [1.0]])
    answer = logistic(w["k"] @ cells)
    delta = (target - answer) * answer * (1 - answer)  # e_k f'(net_k)
    arriving = dict(zip(("c1", "c2"), (delta @ w["k"][:, :-1]).reshape(2, blocks), strict=True))
    squashed = {c: 2 * logistic(state[c]) - 1 for c in ("c1", "c2")}
    error = {  # of the states
        c: arriving[c] * gate_out * 2 * logistic(state[c]) * (1 - logistic(state[c])) for c in ("c1", "c2")
    }
    by_out = gate_out * (1 - gate_out) * sum(squashed[c] * arriving[c] for c in ("c1", "c2"))
    changes = {
        "k": np.outer(delta, cells),
        "out": np.outer(by_out, source),
        "in": sum(error[c][:, None] * by_input_gate[c] for c in ("c1", "c2")),
        **{c: error[c][:, None] * by_block_input[c] for c in ("c1", "c2")},
    }
    return {unit: -change for unit, change in changes.items()}  # a change goes downhill


UNITS = {"in": "i", "out": "o", "c1": "z1", "c2": "z2"}
PARTS = ("W_{}", "R_{}", "R_{}_constant_y2", "R_{}_constant_i", "R_{}_constant_o", "b_{}")


def by_unit(named: dict[str, Tensor]) -> dict[str, ndarray]:
    """The blocks of a layer as one matrix for each unit of a block, in float64."""
    return {
        unit: np.concatenate([named[p.format(g)].detach().double().view(len(named["b_i"]), -1) for p in PARTS], 1)
        for unit, g in UNITS.items()
    }


@pytest.mark.parametrize(
    ("engine", "tolerance", "training"), [("eager", 1e-12, False), ("fused", 2e-6, False), ("fused", 2e-6, True)]
)
def test_gradient_is_that_of_the_published_algorithm(engine: str, tolerance: float, training: bool):
    steps, inputs, blocks, outputs, last = 9, 3, 2, 4, 7
    module = Recurrent(MemoryBlocks(), inputs, blocks, engine=engine)
    readout = torch.nn.Linear(module.output_size, outputs)
    if engine == "eager":
        module, readout = module.double(), readout.double()
    fill(module, std=0.8)
    fill(readout, seed=1)
    kind = readout.weight.dtype
    x, target = torch.randn(steps, 1, inputs, generator=generator(2)), torch.rand(1, 1, outputs, generator=generator(3))
    if training:
        module.flatten_parameters()
        module.start_training()
    hidden, _ = module(x.to(kind), reads=torch.tensor([[last]]), final=False)
    loss = 0.5 * (readout(hidden).sigmoid() - target.to(kind)).square().sum()
    loss.backward()
    w = by_unit(dict(module.parts[0].items()))
    w["k"] = torch.cat([readout.weight, readout.bias[:, None]], 1).detach().double().numpy()
    expected = published_gradient(x[:, 0].double().numpy(), w, target[0, 0].double().numpy(), last)
    found = by_unit({n: p.grad for n, p in module.parts[0].items()})
    found["k"] = torch.cat([readout.weight.grad, readout.bias.grad[:, None]], 1).double().numpy()
    for unit, gradient in expected.items():
        np.testing.assert_allclose(found[unit], gradient, rtol=0, atol=tolerance, err_msg=unit)


def test_biases_of_input_gates_are_cycled_over_the_blocks():
    module = build(MemoryBlocks(input_gate_bias=(-3.0, -6.0)), 2, 3, initialisation="gaussian")
    assert module.parts[0]["b_i"].tolist() == [-3.0, -6.0, -3.0]


def test_without_biases_input_gates_start_as_the_initialisation_says():
    module = build(MemoryBlocks(), 2, 3, initialisation="gaussian")
    assert module.parts[0]["b_i"].abs().max() < 1


def test_errors_do_not_flow_back_through_gates_and_outputs():
    module = Recurrent(MemoryBlocks(), 3, 2, engine="eager")
    fill(module)
    (state,) = module.zero_state(1)
    state = state._replace(**{n: v.requires_grad_() for n, v in state._asdict().items()})
    outputs, _ = module(torch.ones(5, 1, 3), (state,))
    found = torch.autograd.grad(outputs.sum(), list(state), allow_unused=True)
    reached = {n for n, g in zip(state._fields, found, strict=True) if g is not None and bool(g.any())}
    assert reached == {"c1", "c2"}


def test_a_layer_above_reads_the_outputs_of_both_cells():
    stack = build(MemoryBlocks(), 3, 2, layers=2, bidirectional=True)
    assert stack.parts[2]["W_i"].shape == (2, 2 * 2 * 2)
    assert stack(torch.zeros(5, 1, 3))[0].shape == (5, 1, 8)
    assert sum(p.numel() for p in stack.parameters()) == count_parameters(
        MemoryBlocks(), 3, 2, layers=2, bidirectional=True
    )
