"""The library's own modules: declared cells agree with them, and they keep the contract of a variant."""

import numpy as np
import pytest
import torch

from tests import reference
from tests.variants.cases import INPUTS, H, fill, generator, inputs_of, same
from variants import Cell, NativeRecurrent, Recurrent, build, streams

# control: (declared cell, gates in torch's order, where the second bias goes or None where it adds to the first)
PAIRS = {
    "native_lstm": ("vanilla", ("i", "f", "z", "o"), None),
    "native_gru": ("gru_reset_after", ("r", "u", "n"), {"R_n": "R_m", "b2_n": "b_m"}),
    "native_rnn": ("rnn", ("h",), None),
}


def pair(name: str, layers: int = 2, bidirectional: bool = False) -> tuple[NativeRecurrent, Recurrent]:
    """A control and the declared cell with the same parameters, in float64."""
    declared, gates, special = PAIRS[name]
    control = build(Cell.registry[name](), INPUTS, H, layers=layers, bidirectional=bidirectional).double()
    mine = build(
        Cell.registry[declared](), INPUTS, H, layers=layers, bidirectional=bidirectional, engine="eager"
    ).double()
    fill(control)
    with torch.no_grad():
        for k, part in enumerate(mine.parts):
            for block, value in torch_blocks(control, k, gates).items():
                target = (special or {}).get(block, block)
                if target in part:
                    part[target].copy_(value)
                if special is None and block.startswith("b2_"):
                    part["b_" + block[3:]].add_(value)
            if special:
                for gate in ("r", "u"):
                    part[f"b_{gate}"].add_(torch_blocks(control, k, gates)[f"b2_{gate}"])
    return control, mine


def torch_blocks(control: NativeRecurrent, k: int, gates: tuple[str, ...]) -> dict[str, torch.Tensor]:
    suffix = f"_l{k // control.directions}" + ("_reverse" if k % control.directions else "")
    blocks = {}
    for kind, stem in (("W", "weight_ih"), ("R", "weight_hh"), ("b", "bias_ih"), ("b2", "bias_hh")):
        pieces = getattr(control.module, stem + suffix).chunk(len(gates))
        blocks |= {f"{kind}_{g}": v for g, v in zip(gates, pieces, strict=True)}
    return blocks


def state_for(control: NativeRecurrent):
    source = generator(2)
    count = control.layers * control.directions
    fields = control.cell.State._fields
    return tuple(
        control.cell.State(*(torch.randn(3, H, generator=source, dtype=torch.float64) for _ in fields))
        for _ in range(count)
    )


@pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "both"])
@pytest.mark.parametrize("name", PAIRS)
def test_outputs_are_those_of_the_library(name, bidirectional):
    control, mine = pair(name, bidirectional=bidirectional)
    inputs, state = inputs_of(), state_for(control)
    same(mine(inputs, state)[0], control(inputs, state)[0])


@pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "both"])
@pytest.mark.parametrize("name", PAIRS)
def test_final_states_are_those_of_the_library(name, bidirectional):
    control, mine = pair(name, bidirectional=bidirectional)
    inputs, state = inputs_of(), state_for(control)
    for one, other in zip(mine(inputs, state)[1], control(inputs, state)[1], strict=True):
        same(torch.stack(tuple(one)), torch.stack(tuple(other)))


@pytest.mark.parametrize("name", PAIRS)
def test_outputs_of_padded_sequences_are_those_of_the_library(name):
    control, mine = pair(name, bidirectional=True)
    lengths = torch.tensor([4, 7, 1])
    same(mine(inputs_of(), lengths=lengths)[0], control(inputs_of(), lengths=lengths)[0])


@pytest.mark.parametrize("name", PAIRS)
def test_gradients_of_inputs_and_state_are_those_of_the_library(name):
    control, mine = pair(name)
    gradients = []
    for module in (mine, control):
        inputs = inputs_of().requires_grad_()
        state = tuple(type(s)(*(v.clone().requires_grad_() for v in s)) for s in state_for(control))
        (module(inputs, state)[0] ** 2).sum().backward()
        gradients.append([inputs.grad, *(v.grad for s in state for v in s)])
    for one, other in zip(*gradients, strict=True):
        same(one, other)


@pytest.mark.parametrize("name", PAIRS)
def test_gradients_of_parameters_are_those_of_the_library(name):
    control, mine = pair(name)
    _, gates, special = PAIRS[name]
    for module in (mine, control):
        (module(inputs_of())[0] ** 2).sum().backward()
    for parameter in control.module.parameters():
        parameter.data = parameter.grad  # so that the blocks of the gradient can be cut like the parameters
    for k, part in enumerate(mine.parts):
        for block, expected in torch_blocks(control, k, gates).items():
            target = (special or {}).get(block, block.replace("b2_", "b_"))
            same(part[target].grad, expected.detach(), f"{name}: {block} of layer {k}")


@pytest.mark.parametrize("name", PAIRS)
def test_the_second_bias_starts_at_zero(name):
    control = build(Cell.registry[name](), INPUTS, H, initialisation="gaussian")
    assert not control.module.bias_hh_l0.any()


@pytest.mark.parametrize("name", PAIRS)
def test_a_control_starts_as_the_declared_cell_from_the_same_stream(name):
    declared, gates, special = PAIRS[name]
    control = build(Cell.registry[name](), INPUTS, H, initialisation="gaussian", stream=streams(5))
    mine = build(Cell.registry[declared](), INPUTS, H, initialisation="gaussian", stream=streams(5))
    blocks = torch_blocks(control, 0, gates)
    for block in set(blocks) & set(mine.parts[0]) - set(special or {}):
        same(mine.parts[0][block], blocks[block], f"{name}: {block}")


@pytest.mark.parametrize("name", PAIRS)
def test_building_a_control_leaves_the_global_random_state_alone(name):
    before = torch.get_rng_state()
    build(Cell.registry[name](), INPUTS, H)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    "option", [{"dropout": 0.5}, {"recurrent_dropout": 0.5}, {"zoneout": {"y": 0.1}}, {"layer_norm": True}]
)
def test_a_control_refuses_a_regulariser(option):
    with pytest.raises(ValueError, match=f"native_lstm: a control takes no {next(iter(option))}"):
        build(Cell.registry["native_lstm"](), INPUTS, H, layers=2, **option)


@pytest.mark.parametrize("engine", ["eager", "fused"])
def test_a_control_refuses_an_engine(engine):
    with pytest.raises(ValueError, match="native_gru: runs the library's own kernel and needs engine auto"):
        build(Cell.registry["native_gru"](), INPUTS, H, engine=engine)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vanilla", "peephole", "coupled", "gru", "gru_reset_after"])
def test_the_operator_of_onnx_agrees(name):
    """A third writing of the same cells: the LSTM and GRU operators of ONNX, run by onnxruntime in float32."""
    helper = pytest.importorskip("onnx", reason="the extra `onnx` is not installed").helper
    runtime = pytest.importorskip("onnxruntime", reason="the extra `onnx` is not installed")
    module = build(Cell.registry[name](), INPUTS, H, engine="eager")
    fill(module)
    w = {n: v.detach().numpy() for n, v in module.parts[0].items()}
    inputs = inputs_of().float()
    zero = np.zeros(H, np.float32)
    if name.startswith("gru"):
        kind, attributes = "GRU", {"linear_before_reset": int(name == "gru_reset_after")}
        recurrent = {"n": "m"} if name == "gru_reset_after" else {}
        W = np.concatenate([w[f"W_{g}"] for g in "urn"])
        R = np.concatenate([w[f"R_{recurrent.get(g, g)}"] for g in "urn"])
        second = [zero, zero, w["b_m"] if name == "gru_reset_after" else zero]
        b = np.concatenate([*(w[f"b_{g}"] for g in "urn"), *second])
        given = {"X": inputs.numpy(), "W": W[None], "R": R[None], "B": b[None]}
    else:
        kind, attributes = "LSTM", {"input_forget": int(name == "coupled")}
        # ONNX orders i, o, f, z; a coupled cell ignores the place of f.
        W, R, b = (np.concatenate([w.get(f"{k}_{g}", np.zeros_like(w[f"{k}_z"])) for g in "iofz"]) for k in "WRb")
        p = np.concatenate([w.get(f"p_{g}", zero) for g in "iof"])
        biases = np.concatenate([b, np.zeros_like(b)])
        given = {"X": inputs.numpy(), "W": W[None], "R": R[None], "B": biases[None]}
        given |= {"sequence_lens": np.full(3, 7, np.int32)}
        given |= {
            "initial_h": np.zeros((1, 3, H), np.float32),
            "initial_c": np.zeros((1, 3, H), np.float32),
            "P": p[None],
        }
    node = helper.make_node(kind, list(given), ["Y"], hidden_size=H, **attributes)
    types = {np.dtype(np.float32): 1, np.dtype(np.int32): 6}
    described = [helper.make_tensor_value_info(n, types[v.dtype], v.shape) for n, v in given.items()]
    graph = helper.make_graph([node], "cell", described, [helper.make_tensor_value_info("Y", 1, (7, 1, 3, H))])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    session = runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (outputs,) = session.run(None, given)
    same(module(inputs)[0].detach(), torch.from_numpy(outputs[:, 0]), tolerance=1e-5)


def test_references_cover_what_the_controls_are():
    assert {declared for declared, _, _ in PAIRS.values()} <= set(reference.STEPS)
