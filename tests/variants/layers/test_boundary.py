"""The boundary of a layer: a wrong call is refused with one clear line by every engine, and no call is misread."""

from collections import namedtuple

import pytest
import torch
from torch import nn

from variants import Cell, Recurrent, Vanilla, build, count_parameters
from variants.cells.gru import HiddenState
from variants.cells.lstm import LSTMState

T, B, INPUTS, H = 7, 4, 3, 5
ENGINES = ("fused", "eager", "native")


def module_of(engine: str, cell: str = "vanilla", **options) -> nn.Module:
    if engine == "native":
        return build(Cell.registry[{"vanilla": "native_lstm", "gru": "native_gru"}[cell]](), INPUTS, H, **options)
    return build(Cell.registry[cell](), INPUTS, H, engine=engine, **options)


def x_of(*shape: int) -> torch.Tensor:
    return torch.linspace(-1.0, 1.0, max(1, torch.Size(shape).numel()))[: torch.Size(shape).numel()].view(shape)


def states(*shape: int, count: int = 1) -> tuple[LSTMState, ...]:
    return tuple(LSTMState(x_of(*shape) + k, x_of(*shape) - k) for k in range(count))


WRONG_CALLS = {
    "no tensor": (([[1.0]],), {}, r"inputs must be a tensor \[T, B, 3\], got list"),
    "packed": (
        (nn.utils.rnn.pack_padded_sequence(x_of(T, B, INPUTS), [7] * B),),
        {},
        "inputs must be a tensor.*pad_packed_sequence",
    ),
    "narrow": ((x_of(T, B, INPUTS - 1),), {}, r"inputs must be \[T, B, 3\], time first, got \[7, 4, 2\]"),
    "wide": ((x_of(T, B, 4000),), {}, r"inputs must be \[T, B, 3\], time first, got \[7, 4, 4000\]"),
    "one sequence": ((x_of(T, INPUTS),), {}, r"got \[7, 3\]; a single sequence needs inputs.unsqueeze\(1\)"),
    "four axes": ((x_of(T, B, INPUTS, INPUTS),), {}, r"inputs must be \[T, B, 3\], time first, got \[7, 4, 3, 3\]"),
    "no steps": ((x_of(0, B, INPUTS),), {}, r"inputs must have at least one step, got \[0, 4, 3\]"),
    "whole numbers": ((x_of(T, B, INPUTS).long(),), {}, "inputs must be floating-point numbers, got torch.int64"),
    "complex numbers": ((x_of(T, B, INPUTS) * 1j,), {}, "inputs must be floating-point numbers, got torch.complex64"),
    "sparse": ((x_of(T, B, INPUTS).to_sparse(),), {}, "inputs must be a dense tensor"),
    "a sparse state": (
        (x_of(T, B, INPUTS), ((x_of(B, H).to_sparse(), x_of(B, H)),)),
        {},
        r"the state's 'y' must be a dense tensor \[4, 5\], got torch.sparse_coo",
    ),
    "sparse lengths": (
        (x_of(T, B, INPUTS),),
        {"lengths": torch.ones(B).long().to_sparse()},
        "lengths must be .*, got torch.sparse_coo",
    ),
    "lengths without values": (
        (x_of(T, B, INPUTS),),
        {"lengths": torch.ones(B, dtype=torch.long, device="meta")},
        "lengths must be .*, got a tensor on the device meta",
    ),
    "reads without values": (
        (x_of(T, B, INPUTS),),
        {"reads": torch.ones(2, B, dtype=torch.long, device="meta")},
        "reads must be .*, got a tensor on the device meta",
    ),
    "another device": (
        (x_of(T, B, INPUTS).to("meta"),),
        {},
        r"inputs must be on the device of the parameters \(cpu\), got meta",
    ),
    "state of fewer": ((x_of(T, B, INPUTS), states(B - 1, H)), {}, r"the state's 'y' must be \[4, 5\], got \[3, 5\]"),
    "state of more": ((x_of(T, B, INPUTS), states(B + 1, H)), {}, r"the state's 'y' must be \[4, 5\], got \[5, 5\]"),
    "narrow state": ((x_of(T, B, INPUTS), states(B, H - 1)), {}, r"the state's 'y' must be \[4, 5\], got \[4, 4\]"),
    "wide state": ((x_of(T, B, INPUTS), states(B, 2 * H)), {}, r"the state's 'y' must be \[4, 5\], got \[4, 10\]"),
    "state of columns": ((x_of(T, B, INPUTS), states(B, 1)), {}, r"the state's 'y' must be \[4, 5\], got \[4, 1\]"),
    "two states": (
        (x_of(T, B, INPUTS), states(B, H, count=2)),
        {},
        r"state must be \(LSTMState\(y=\[B, 5\], c=\[B, 5\]\),\).*got 2 of them",
    ),
    "no state": ((x_of(T, B, INPUTS), ()), {}, "state must be .*, got 0 of them"),
    "bare state": (
        (x_of(T, B, INPUTS), states(B, H)[0]),
        {},
        r"state must be .*or torch's form \(y \[1, B, 5\], c \[1, B, 5\]\), got LSTMState",
    ),
    "two tensors": (
        (x_of(T, B, INPUTS), (x_of(B, H), x_of(B, H))),
        {},
        r"state must be .*, got tensors \[4, 5\], \[4, 5\]",
    ),
    "a tensor": ((x_of(T, B, INPUTS), x_of(1, B, H)), {}, r"state must be .*, got tensors \[1, 4, 5\]"),
    "text as state": ((x_of(T, B, INPUTS), "zeros"), {}, "state must be .*, got str"),
    "fields exchanged": (
        (x_of(T, B, INPUTS), (namedtuple("S", "c y")(x_of(B, H), x_of(B, H)),)),
        {},
        "got a S of c, y",
    ),
    "fields missing": ((x_of(T, B, INPUTS), ((x_of(B, H),),)), {}, "got a tuple"),
    "state of numbers": (
        (x_of(T, B, INPUTS), ((0.0, 0.0),)),
        {},
        r"the state's 'y' must be a tensor \[4, 5\], got float",
    ),
    "state of whole numbers": (
        (x_of(T, B, INPUTS), ((x_of(B, H).long(),) * 2,)),
        {},
        "the state's 'y' must be floating-point numbers, got torch.int64",
    ),
    "length 0": (
        (x_of(T, B, INPUTS),),
        {"lengths": torch.tensor([7, 0, 3, 2])},
        r"lengths must be 4 whole numbers in 1\.\.7, .* got 0",
    ),
    "length T + 1": (
        (x_of(T, B, INPUTS),),
        {"lengths": torch.tensor([7, 1, 8, 2])},
        r"lengths must be .* in 1\.\.7, .* got 8",
    ),
    "length -1": ((x_of(T, B, INPUTS),), {"lengths": [7, 1, 3, -1]}, r"lengths must be .*, got -1"),
    "fractions": (
        (x_of(T, B, INPUTS),),
        {"lengths": torch.tensor([7.0, 1.0, 2.5, 2.0])},
        r"lengths must be .*, got float32 \[4\]",
    ),
    "truth values": (
        (x_of(T, B, INPUTS),),
        {"lengths": torch.ones(B, dtype=torch.bool)},
        r"lengths must be .*, got bool \[4\]",
    ),
    "one length": (
        (x_of(T, B, INPUTS),),
        {"lengths": torch.tensor([7])},
        r"lengths must be 4 whole numbers.*, got int64 \[1\]",
    ),
    "a number": ((x_of(T, B, INPUTS),), {"lengths": 7}, r"lengths must be 4 whole numbers.*, got int64 \[\]"),
    "columns of lengths": (
        (x_of(T, B, INPUTS),),
        {"lengths": torch.ones(B, 1, dtype=torch.long)},
        r"lengths must be .*, got int64 \[4, 1\]",
    ),
    "text as lengths": ((x_of(T, B, INPUTS),), {"lengths": "all"}, "lengths must be .*, got str"),
    "read T": (
        (x_of(T, B, INPUTS),),
        {"reads": torch.full((2, B), T)},
        r"reads must be whole numbers \[K, 4\] in 0\.\.6, .* got 7",
    ),
    "read -1": ((x_of(T, B, INPUTS),), {"reads": torch.full((2, B), -1)}, r"reads must be .* in 0\.\.6, .* got -1"),
    "many reads": ((x_of(T, B, INPUTS),), {"reads": torch.full((100, B), T)}, r"reads must be .* in 0\.\.6, .* got 7"),
    "reads of one": (
        (x_of(T, B, INPUTS),),
        {"reads": torch.zeros(2, 1, dtype=torch.long)},
        r"reads must be .*, got int64 \[2, 1\]",
    ),
    "flat reads": (
        (x_of(T, B, INPUTS),),
        {"reads": torch.zeros(B, dtype=torch.long)},
        r"reads must be .*, got int64 \[4\]",
    ),
    "real reads": ((x_of(T, B, INPUTS),), {"reads": torch.zeros(1, B)}, r"reads must be .*, got float32 \[1, 4\]"),
    "read behind the end": (
        (x_of(T, B, INPUTS),),
        {"reads": torch.full((1, B), 4), "lengths": [7, 5, 4, 6]},
        "within its sequence's length, got 4 where the length is 4",
    ),
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("arguments", "options", "message"), WRONG_CALLS.values(), ids=WRONG_CALLS)
def test_a_wrong_call_is_refused_with_a_line_that_names_the_cell_the_rule_and_the_value(
    engine, arguments, options, message
):
    module = module_of(engine)
    with pytest.raises(ValueError, match=f"^{module.cell.name}: ") as refused:
        module(*arguments, **options)
    assert refused.match(message)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("form", ["[1, H]", "[H]", "tuples", "a list", "torch"])
def test_a_state_in_another_form_is_read_as_the_one_it_stands_for(engine, form):
    module = module_of(engine, layers=2)
    row = [(x_of(1, H) + k, x_of(1, H) - k) for k in range(2)]
    full = tuple(LSTMState(*(v.expand(B, H) for v in one)) for one in row)
    given = {
        "[1, H]": tuple(LSTMState(*one) for one in row),
        "[H]": tuple(LSTMState(*(v[0] for v in one)) for one in row),
        "tuples": tuple(tuple(one) for one in full),
        "a list": list(full),
        "torch": tuple(torch.stack([one[k] for one in full]) for k in range(2)),
    }[form]
    assert torch.equal(module(x_of(T, B, INPUTS), given)[0], module(x_of(T, B, INPUTS), full)[0])


@pytest.mark.parametrize("engine", ENGINES)
def test_the_state_of_a_cell_with_one_field_may_be_one_tensor(engine):
    module, h = module_of(engine, "gru"), x_of(1, B, H)
    expected = module(x_of(T, B, INPUTS), (HiddenState(h[0]),))[0]
    assert torch.equal(module(x_of(T, B, INPUTS), h)[0], expected)
    assert torch.equal(module(x_of(T, B, INPUTS), (h,))[0], expected)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_learned_state_of_one_row_gets_the_gradient_of_all_sequences(engine):
    module = module_of(engine)
    row, full = x_of(1, H).requires_grad_(), x_of(1, H).expand(B, H).clone().requires_grad_()
    for state in (row, full):
        module(x_of(T, B, INPUTS), (LSTMState(state, state.detach()),))[0].sum().backward()
    torch.testing.assert_close(row.grad, full.grad.sum(0, keepdim=True))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "steps", [[[3, 0, 6, 1], [2, 2, 2, 2]], [[6, 5, 4, 3]] * T, [[k] * B for k in reversed(range(T))]]
)
def test_reads_are_honoured_however_many_they_are(engine, steps):
    module, reads = module_of(engine), torch.tensor(steps)
    every = module(x_of(T, B, INPUTS))[0]
    assert torch.equal(
        module(x_of(T, B, INPUTS), reads=reads)[0], every.gather(0, reads.unsqueeze(-1).expand(-1, -1, H))
    )


@pytest.mark.parametrize("engine", ENGINES)
def test_reads_of_all_steps_in_order_are_all_outputs_of_padded_sequences_too(engine):
    module, lengths = module_of(engine), [7, 5, 2, 6]
    reads = torch.arange(T).unsqueeze(1).expand(T, B)
    with pytest.raises(ValueError, match="within its sequence's length"):
        module(x_of(T, B, INPUTS), lengths=lengths, reads=reads)
    some = reads[:2]
    assert torch.equal(
        module(x_of(T, B, INPUTS), lengths=lengths, reads=some)[0], module(x_of(T, B, INPUTS), lengths=lengths)[0][:2]
    )


@pytest.mark.parametrize("engine", ENGINES)
def test_a_batch_of_no_sequences_gives_no_outputs_and_zero_gradients(engine):
    module = module_of(engine, layers=2, bidirectional=True)
    outputs, last = module(x_of(T, 0, INPUTS), lengths=torch.zeros(0, dtype=torch.long))
    outputs.sum().backward()
    assert outputs.shape == (T, 0, 2 * H)
    assert [v.shape for one in last for v in one] == [(0, H)] * 8
    assert all(p.grad is not None and not p.grad.any() for p in module.parameters())


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", [torch.float64, torch.float16, torch.bfloat16])
def test_inputs_and_states_of_another_floating_point_type_are_converted(engine, kind):
    module, x, h = module_of(engine), x_of(T, B, INPUTS).to(kind), x_of(B, H).to(kind)
    outputs, _ = module(x, (LSTMState(h, h),))
    assert torch.equal(outputs, module(x.float(), (LSTMState(h.float(), h.float()),))[0])


@pytest.mark.parametrize("engine", ENGINES)
def test_lengths_may_be_a_list_or_of_any_kind_of_whole_number(engine):
    module, lengths = module_of(engine), [7, 1, 4, 2]
    expected = module(x_of(T, B, INPUTS), lengths=torch.tensor(lengths))[0]
    for given in (lengths, tuple(lengths), torch.tensor(lengths, dtype=torch.uint8)):
        assert torch.equal(module(x_of(T, B, INPUTS), lengths=given)[0], expected)


def test_the_fields_of_a_zero_state_share_no_memory():
    module = Recurrent(Cell.registry["vanilla"](), INPUTS, H, layers=2)
    fields = [v for state in module.zero_state(B) for v in state]
    fields[0].fill_(1.0)
    assert not any(v.any() for v in fields[1:])


@pytest.mark.parametrize(
    ("name", "value"),
    [("input_size", 2.5), ("input_size", 0), ("hidden_size", "5"), ("layers", 1.0), ("hidden_size", True)],
)
@pytest.mark.parametrize("cell", ["vanilla", "native_lstm"])
def test_a_size_that_is_no_whole_number_of_at_least_one_is_refused(cell, name, value):
    sizes = {"input_size": INPUTS, "hidden_size": H} | {name: value}
    with pytest.raises(ValueError, match=f"{cell}: {name} must be (a whole number|at least 1), got {value!r}"):
        build(Cell.registry[cell](), **sizes)


@pytest.mark.parametrize("engine", ["fused", "eager"])
@pytest.mark.parametrize(
    ("name", "other"),
    [("R_z", (H, H + 3)), ("R_z", (H - 2, H)), ("p_i", (1,)), ("p_i", (H, H)), ("b_z", (1,)), ("W_z", (2, H, INPUTS))],
)
def test_a_parameter_of_another_shape_is_refused(engine, name, other):
    module = build(Vanilla(peepholes=("i",)), INPUTS, H, engine=engine)
    module.parts[0][name].data = torch.zeros(other)
    with pytest.raises(
        ValueError,
        match=rf"^vanilla: parameter {name} of layer 0 must be torch.float32 .*, got torch.float32 .* on cpu$",
    ):
        module(x_of(T, B, INPUTS))


@pytest.mark.parametrize("engine", ["fused", "eager"])
def test_parameters_whose_wrong_shapes_make_up_for_each_other_are_refused(engine):
    module = module_of(engine)
    module.parts[0]["W_z"].data, module.parts[0]["W_i"].data = torch.zeros(H + 1, INPUTS), torch.zeros(H - 1, INPUTS)
    with pytest.raises(ValueError, match=r"parameter W_. of layer 0 must be"):
        module(x_of(T, B, INPUTS))


@pytest.mark.parametrize("engine", ["fused", "eager"])
def test_a_parameter_of_another_type_than_the_others_is_refused(engine):
    module = module_of(engine)
    module.parts[0]["b_z"].data = torch.zeros(H, dtype=torch.float64)
    with pytest.raises(
        ValueError,
        match=r"(parameter b_z of layer 0 must be torch.float32|the fused engine needs plain torch.float32).*float64",
    ):
        module(x_of(T, B, INPUTS))


@pytest.mark.parametrize("engine", ["fused", "eager"])
@pytest.mark.parametrize("width", [INPUTS, 40])
def test_numbers_that_torch_negates_later_are_read_negated(engine, width):
    module, x, y = build(Vanilla(), width, H, engine=engine), x_of(T, B, width), x_of(B, H)
    with torch.no_grad():
        expected, _ = module(-x, (LSTMState(-y, y),))
        assert torch.equal(module(torch._neg_view(x), (LSTMState(torch._neg_view(y), y),))[0], expected)


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning")
@pytest.mark.parametrize("engine", ENGINES)
def test_nested_inputs_are_refused(engine):
    with pytest.raises(ValueError, match="inputs must be a dense tensor, got a nested one; use"):
        module_of(engine)(torch.nested.as_nested_tensor([x_of(2, INPUTS), x_of(3, INPUTS)]))


def test_lists_of_lengths_and_reads_do_not_depend_on_the_default_device():
    module, x = module_of("fused"), x_of(T, B, INPUTS)
    expected, _ = module(x, lengths=[7, 5, 4, 6], reads=[[0, 1, 2, 3]])
    with torch.device("meta"):
        assert torch.equal(module(x, lengths=[7, 5, 4, 6], reads=[[0, 1, 2, 3]])[0], expected)


@pytest.mark.parametrize("name", ["vanilla", "peephole", "full_gate_recurrence", "gru", "grid"])
def test_outputs_and_gradients_keep_no_more_memory_alive_than_a_few_times_their_own(name):
    module, steps = Recurrent(Cell.registry[name](), INPUTS, H, engine="fused"), 40
    outputs, _ = module(x_of(steps, B, INPUTS))
    with torch.no_grad():
        without, _ = module(x_of(steps, B, INPUTS))
    outputs.sum().backward()
    for tensor in (outputs, without):
        assert tensor.untyped_storage().nbytes() <= 1.1 * tensor.nbytes
    # Biases of all gates come from one tensor, as those of any cell whose biases are put together by torch.cat.
    assert all(
        p.grad.untyped_storage().nbytes() <= len(module.cell.preactivations) * p.grad.nbytes
        for p in module.parameters()
        if p.grad is not None
    )


@pytest.mark.parametrize(
    ("sizes", "message"), [((0, 5), "input_size must be at least 1, got 0"), ((3, 2.5), "hidden_size must be a whole")]
)
def test_parameters_are_counted_for_right_sizes_only(sizes, message):
    with pytest.raises(ValueError, match=f"vanilla: {message}"):
        count_parameters(Cell.registry["vanilla"](), *sizes)
