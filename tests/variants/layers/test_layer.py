"""Time, layers and directions: padding, the backward reader, stacks, what a module remembers of itself."""

import copy
import doctest
import pickle

import pytest
import torch
from torch import nn

import variants
from tests.variants.cases import DEFAULTS, INPUTS, B, H, T, fitting, inputs_of, module_of, same, state_of
from variants import Cell, Recurrent, build

LENGTHS = torch.tensor([4, 7, 1])


def cell(name: str, **knobs) -> Cell:
    return Cell.registry[name](**knobs)


def alone(module: Recurrent, inputs, state, k: int):
    """Sequence k without its padding and without the others."""
    mine = tuple(type(s)(*(v[k : k + 1] for v in s)) for s in state)
    return module(inputs[: LENGTHS[k], k : k + 1], mine)


@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("case", DEFAULTS)
def test_outputs_of_a_padded_sequence_are_those_of_the_sequence_alone(case: Cell, directions: int):
    module = module_of(case, bidirectional=directions == 2)
    inputs, state = inputs_of(), state_of(module)
    outputs, _ = module(inputs, state, LENGTHS)
    for k in range(B):
        same(outputs[: LENGTHS[k], k], alone(module, inputs, state, k)[0][:, 0], f"{case!r}: sequence {k}")


@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("case", DEFAULTS)
def test_final_state_of_a_padded_sequence_is_that_of_the_sequence_alone(case: Cell, directions: int):
    module = module_of(case, bidirectional=directions == 2)
    inputs, state = inputs_of(), state_of(module)
    _, final = module(inputs, state, LENGTHS)
    for k in range(B):
        for padded, expected in zip(final, alone(module, inputs, state, k)[1], strict=True):
            for name in padded._fields:
                same(getattr(padded, name)[k], getattr(expected, name)[0], f"{case!r}: {name} of sequence {k}")


@pytest.mark.parametrize("case", DEFAULTS)
def test_gradients_of_padded_sequences_are_those_of_the_sequences_alone(case: Cell):
    padded, single = module_of(case), module_of(case)
    inputs, state = inputs_of(), state_of(padded)
    (padded(inputs, state, LENGTHS)[0] ** 2).sum().backward()
    for k in range(B):
        (alone(single, inputs, state, k)[0] ** 2).sum().backward()
    for (name, one), other in zip(padded.named_parameters(), single.parameters(), strict=True):
        same(one.grad, other.grad, f"{case!r}: {name}")


@pytest.mark.parametrize("case", DEFAULTS)
def test_outputs_behind_a_length_are_zero(case: Cell):
    outputs, _ = module_of(case)(inputs_of(), lengths=LENGTHS)
    assert not any(outputs[length:, k].any() for k, length in enumerate(LENGTHS))


def test_not_even_nan_in_the_padding_reaches_a_gradient():
    module = module_of(cell("peephole"), bidirectional=True)
    inputs = inputs_of()
    inputs[4:, 0] = float("nan")
    outputs, _ = module(inputs, lengths=LENGTHS)
    outputs.sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in module.parameters())


@pytest.mark.parametrize("case", DEFAULTS)
def test_full_lengths_are_no_lengths(case: Cell):
    module = module_of(case, bidirectional=True)
    same(module(inputs_of(), lengths=torch.full((B,), T))[0], module(inputs_of())[0])


@pytest.mark.parametrize("case", [c for c in DEFAULTS if not c.values[0].above])
def test_the_backward_reader_is_a_forward_one_of_the_reversed_sequence(case: Cell):
    both, one = module_of(case, layers=1, bidirectional=True), module_of(case, layers=1)
    with torch.no_grad():
        for name, value in both.parts[1].items():
            one.parts[0][name].copy_(value)
    inputs = inputs_of()
    same(both(inputs)[0][..., both.output_size // 2 :], one(inputs.flip(0))[0].flip(0))


@pytest.mark.parametrize("case", DEFAULTS)
def test_readers_that_change_places_read_the_reversed_sequence_the_same(case: Cell):
    one, other = module_of(case, bidirectional=True), module_of(case, bidirectional=True)
    with torch.no_grad():
        for layer in range(2):
            for direction in range(2):
                for name, value in one.parts[2 * layer + direction].items():
                    above = layer > 0 and name.startswith("W_")
                    changed = value.roll(one.output_size // 2, dims=1) if above else value
                    other.parts[2 * layer + 1 - direction][name].copy_(changed)
    inputs = inputs_of()
    forward, backward = one(inputs)[0].chunk(2, dim=-1)
    same(other(inputs.flip(0))[0].flip(0), torch.cat([backward, forward], dim=-1))


def test_a_stack_of_two_is_one_upon_the_other():
    stack = module_of(cell("gru"))
    lower, upper = module_of(cell("gru"), layers=1), module_of(cell("gru"), layers=1, input_size=H)
    for layer, module in enumerate((lower, upper)):
        module.parts[0].load_state_dict(stack.parts[layer].state_dict())
    same(stack(inputs_of())[0], upper(lower(inputs_of())[0])[0])


def test_the_state_starts_at_zero():
    module = module_of(cell("full_gate_recurrence"))
    same(module(inputs_of())[0], module(inputs_of(), module.zero_state(B))[0])


@pytest.mark.parametrize(("bidirectional", "width"), [(False, H), (True, 2 * H)])
def test_output_size_is_the_width_of_the_outputs(bidirectional: bool, width: int):
    module = module_of(cell("rnn"), bidirectional=bidirectional)
    assert module(inputs_of())[0].shape[-1] == module.output_size == width


@pytest.mark.parametrize("case", DEFAULTS)
def test_a_saved_module_comes_back(case: Cell):
    module = module_of(case)
    other = Recurrent(case, INPUTS, fitting(case), layers=module.layers, engine="eager").double()
    other.load_state_dict(module.state_dict())
    same(other(inputs_of())[0], module(inputs_of())[0])


@pytest.mark.parametrize(
    "way", [copy.deepcopy, lambda module: pickle.loads(pickle.dumps(module))], ids=["copied", "pickled"]
)
def test_a_copy_of_a_module_gives_the_same_outputs(way):
    module = module_of(cell("clockwork"))
    same(way(module)(inputs_of())[0], module(inputs_of())[0])


def test_a_copy_of_a_module_has_its_own_parameters():
    module = module_of(cell("vanilla"))
    other = copy.deepcopy(module)
    nn.init.zeros_(other.parts[0]["W_z"])
    assert module.parts[0]["W_z"].any()


@pytest.mark.parametrize("case", DEFAULTS)
def test_parameters_have_the_names_of_the_declaration(case: Cell):
    module = module_of(case)
    assert [list(part) for part in module.parts] == [[b.name for b in here.blocks] for here in module.cells]


def test_a_module_says_what_it_is():
    assert "Peephole(peepholes=('i', 'f', 'o'), keep_bias=1.0), 4, 5" in repr(module_of(cell("peephole")))


def test_building_leaves_the_global_random_state_alone():
    before = torch.get_rng_state()
    module_of(cell("vanilla"), dropout=0.5)(inputs_of())
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    ("name", "knobs", "size", "options", "message"),
    [
        ("vanilla", {}, 0, {}, "vanilla: hidden_size must be at least 1, got 0"),
        ("vanilla", {}, 5, {"layers": 0}, "vanilla: layers must be at least 1, got 0"),
        ("clockwork", {}, 12, {}, "clockwork: hidden_size must be divisible by its 8 groups, got 12"),
        ("depth_gated", {}, 5, {}, "depth_gated: layers must be at least 2, got 1"),
        ("gru", {}, 5, {"initialisation": "xavier"}, "initialisation must be one of chrono, .*, got 'xavier'"),
        ("gru", {}, 5, {"dropout": 0.5}, "gru: dropout acts between layers and needs at least 2, got layers=1"),
        ("gru", {}, 5, {"layers": 2, "dropout": 1.0}, r"gru: dropout must be in \[0, 1\), got 1.0"),
        ("gru", {}, 5, {"recurrent_dropout": -0.1}, r"gru: recurrent_dropout must be in \[0, 1\), got -0.1"),
        ("gru", {}, 5, {"zoneout": 1.5}, r"gru: zoneout of h must be in \[0, 1\), got 1.5"),
        ("gru", {}, 5, {"zoneout": {"c": 0.1}}, r"gru: zoneout must be on a field that remembers \(h\), got 'c'"),
        (
            "clockwork",
            {},
            8,
            {"zoneout": {"wait": 0.1}},
            r"clockwork: zoneout must be on a field that remembers \(h\), got 'wait'",
        ),
        (
            "gru",
            {},
            5,
            {"layer_norm": True, "engine": "fused"},
            "gru: layer normalisation needs engine eager or auto, got 'fused'",
        ),
        ("gru", {}, 5, {"engine": "quick"}, "engine must be one of auto, eager.*, got 'quick'"),
        (
            "grid",
            {"tied": True},
            5,
            {"layers": 2, "bidirectional": True},
            "grid: layers that share weights need inputs of the same width",
        ),
    ],
)
def test_a_wrong_size_or_option_names_thing_rule_and_value(name, knobs, size, options, message):
    with pytest.raises(ValueError, match=message):
        build(cell(name, **knobs), INPUTS, size, **options)


@pytest.mark.parametrize(
    ("name", "knobs", "message"),
    [
        (
            "vanilla",
            {"peepholes": ("z",)},
            r"vanilla: peepholes must be on gates that the cell has \(i, f, o\), got 'z'",
        ),
        ("coupled", {"peepholes": ("f",)}, r"coupled: peepholes must be on gates that the cell has \(i, o\), got 'f'"),
        (
            "depth_gated",
            {"peepholes": ("d",)},
            r"depth_gated: peepholes must be on gates that the cell has \(i, f, o\), got 'd'",
        ),
        ("peephole", {"peepholes": ("i", "i")}, "peephole: peepholes must name each gate once, got i, i"),
        ("clockwork", {"periods": (2, 2)}, r"clockwork: periods must be at least 1 and increase, got \(2, 2\)"),
        ("clockwork", {"periods": ()}, r"clockwork: periods must be at least 1 and increase, got \(\)"),
        ("clockwork", {"periods": (0, 1)}, r"clockwork: periods must be at least 1 and increase, got \(0, 1\)"),
    ],
)
def test_a_wrong_knob_names_thing_rule_and_value(name, knobs, message):
    with pytest.raises(ValueError, match=message):
        cell(name, **knobs)


def test_the_example_of_build_is_true():
    finder = doctest.DocTestFinder(recurse=False)
    (example,) = finder.find(variants.build, "build", globs={"build": variants.build, "Vanilla": variants.Vanilla})
    assert doctest.DocTestRunner().run(example).failed == 0
