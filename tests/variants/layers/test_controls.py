"""Every control of the registry keeps the contract of a variant, also one that is added later."""

import copy
import pickle

import pytest
import torch

from tests import reference
from tests.variants.cases import INPUTS, OTHER_KNOBS, B, T, fill, generator, inputs_of, same
from tests.variants.layers.test_native import PAIRS
from variants import Cell, Control, ControlRecurrent, build, knobs_of, streams

H = 6
CONTROLS = {n: c for n, c in Cell.registry.items() if c.control}
CASES = [pytest.param(cls(), id=name) for name, cls in CONTROLS.items()] + [
    pytest.param(cls(**{knob: OTHER_KNOBS[knob](cls)}), id=f"{name}-{knob}")
    for name, cls in CONTROLS.items()
    for knob in knobs_of(cls)
    if knob != "keep_bias"
]
over_all = pytest.mark.parametrize("cell", CASES)
LENGTHS = torch.tensor([4, T, 1])


def module_of(cell: Control, **options) -> ControlRecurrent:
    module = build(cell, INPUTS, H, **{"layers": 2} | options).double()
    fill(module)
    return module


def state_for(module, seed: int = 2):
    """A state that another sequence has left."""
    with torch.no_grad():
        return module(inputs_of(seed=seed))[1]


def equal(one, other) -> None:
    for a, b in zip(one, other, strict=True):
        for name in a._fields:
            same(getattr(a, name), getattr(b, name), name)


@pytest.mark.parametrize("name", CONTROLS)
def test_a_control_has_a_second_form(name):
    assert name in PAIRS or name in reference.CONTROLS, f"{name}: write its step in NumPy in tests/reference.py"


@pytest.mark.parametrize("cls", CONTROLS.values(), ids=CONTROLS)
def test_a_control_has_a_module_and_says_what_it_runs(cls):
    module = build(cls(), INPUTS, H)
    assert type(module) is cls.recurrent
    assert cls.runs
    assert cls.is_a
    assert module.why_no_pass()
    assert module.why_eager == cls.why_eager
    assert (module.engine == "eager") == bool(cls.why_eager)


@over_all
def test_a_sequence_is_run_in_pieces_by_its_state(cell):
    module, x = module_of(cell), inputs_of()
    outputs, last = module(x)
    state, pieces = None, []
    for piece in x.split([1, 4, 2]):
        y, state = module(piece, state)
        pieces.append(y)
    same(torch.cat(pieces), outputs)
    equal(state, last)


@over_all
def test_the_fields_of_a_state_have_the_sizes_that_the_cell_gives(cell):
    for state in module_of(cell)(inputs_of())[1]:
        assert {n: tuple(v.shape) for n, v in state._asdict().items()} == {
            n: (B, cell.size_of(n, H)) for n in cell.State._fields
        }


@over_all
def test_the_first_field_of_the_last_state_is_the_last_output(cell):
    outputs, last = module_of(cell)(inputs_of(), lengths=LENGTHS)
    ends = outputs[LENGTHS - 1, torch.arange(B)]
    same(last[-1][0], ends)


@over_all
@pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "both"])
def test_padded_sequences_run_as_each_alone(cell, bidirectional):
    module, x = module_of(cell, bidirectional=bidirectional), inputs_of()
    state = state_for(module)
    outputs, last = module(x, state, LENGTHS)
    for b, length in enumerate(LENGTHS.tolist()):
        own = tuple(type(s)(*(v[b : b + 1] for v in s)) for s in state)
        alone, end = module(x[:length, b : b + 1], own)
        same(outputs[:length, b : b + 1], alone)
        assert not outputs[length:, b].any()
        equal([type(s)(*(v[b : b + 1] for v in s)) for s in last], end)


@over_all
def test_what_lies_behind_a_sequence_changes_nothing(cell):
    module, x = module_of(cell, bidirectional=True), inputs_of()
    behind = torch.arange(T).unsqueeze(-1) >= LENGTHS
    found = []
    for value in (0.0, 1e30):
        given = x.masked_fill(behind.unsqueeze(-1), value).requires_grad_()
        module.zero_grad()
        outputs, _ = module(given, lengths=LENGTHS)
        (outputs**2).sum().backward()
        assert not given.grad[behind].any()
        found.append([outputs.detach(), *(p.grad.clone() for p in module.parameters())])
    for one, other in zip(*found, strict=True):
        same(one, other)


@over_all
def test_outputs_at_certain_steps_are_those_of_all_steps(cell):
    module, reads = module_of(cell), torch.tensor([[0, 5, 0], [3, 6, 0]])
    outputs, state = module(inputs_of(), lengths=LENGTHS)
    some, none = module(inputs_of(), lengths=LENGTHS, reads=reads, final=False)
    same(some, outputs.gather(0, reads.unsqueeze(-1).expand(-1, -1, H)))
    assert len(state) == 2
    assert none == ()


@over_all
def test_the_backward_direction_is_the_forward_one_of_the_reversed_sequence(cell):
    module, forward = module_of(cell, layers=1, bidirectional=True), module_of(cell, layers=1)
    values = list(module.parameters())
    with torch.no_grad():
        for parameter, value in zip(forward.parameters(), values[len(values) // 2 :], strict=True):
            parameter.copy_(value)
    same(module(inputs_of())[0][..., H:], forward(inputs_of().flip(0))[0].flip(0))


@over_all
def test_a_state_is_taken_in_the_form_of_torch(cell):
    module, x = module_of(cell), inputs_of()
    state = state_for(module)
    stacked = tuple(torch.stack(v) for v in zip(*state, strict=True))
    same(module(x, stacked)[0], module(x, state)[0])


@over_all
def test_a_state_of_another_size_is_refused_with_the_right_one(cell):
    module = module_of(cell, layers=1)
    field = cell.State._fields[-1]
    size = cell.size_of(field, H)
    (state,) = state_for(module)
    wrong = state._replace(**{field: torch.zeros(B, size + 1, dtype=torch.float64)})
    with pytest.raises(ValueError, match=rf"{cell.title}: the state's '{field}' must be \[{B}, {size}\], got "):
        module(inputs_of(), (wrong,))


@over_all
def test_gradients_are_those_of_differences(cell):
    """In the direction of random numbers, by parameters, inputs and state together."""
    module, x = module_of(cell, layers=1), inputs_of()
    state = [v.clone() for v in state_for(module)[0]]
    places = [*module.parameters(), x.requires_grad_(), *(v.requires_grad_() for v in state)]

    def loss():
        return module(x, (cell.State(*state),), LENGTHS)[0].sin().sum()

    slopes = torch.autograd.grad(loss(), places, allow_unused=True)
    source = generator(3)
    directions = [torch.randn(p.shape, generator=source, dtype=torch.float64) for p in places]
    expected = sum((s * d).sum() for s, d in zip(slopes, directions, strict=True) if s is not None)
    found = []
    for sign in (1, -1):
        with torch.no_grad():
            for p, d in zip(places, directions, strict=True):
                p.add_(d, alpha=sign * 1e-6)
            found.append(loss())
            for p, d in zip(places, directions, strict=True):
                p.add_(d, alpha=-sign * 1e-6)
    same((found[0] - found[1]) / 2e-6, expected, tolerance=1e-6)


@over_all
def test_gradients_pass_from_a_later_piece_to_an_earlier_one_by_the_state(cell):
    module = module_of(cell)
    found = []
    for pieces in ([T], [1, 4, 2]):
        x, state, outputs = inputs_of().requires_grad_(), None, []
        for piece in x.split(pieces):
            y, state = module(piece, state)
            outputs.append(y)
        found.append(torch.autograd.grad((torch.cat(outputs) ** 2).sum(), [x, *module.parameters()]))
    for one, other in zip(*found, strict=True):
        same(one, other)


@over_all
def test_a_control_starts_equally_from_equal_streams_and_leaves_the_global_generator_alone(cell):
    before = torch.get_rng_state()
    one, other, third = (build(cell, INPUTS, H, stream=streams(k)) for k in (5, 5, 6))
    assert torch.equal(before, torch.get_rng_state())
    values = [torch.cat([p.flatten() for p in m.parameters()]) for m in (one, other, third)]
    assert torch.equal(values[0], values[1])
    assert not torch.equal(values[0], values[2])


@over_all
@pytest.mark.parametrize("scheme", ["glorot_orthogonal", "gaussian", "uniform_fan", "chrono"])
def test_a_control_takes_every_initialisation(cell, scheme):
    module = build(cell, INPUTS, H, initialisation=scheme, bidirectional=True)
    assert all(p.isfinite().all() for p in module.parameters())


@over_all
@pytest.mark.parametrize("option", ["dropout", "recurrent_dropout", "zoneout", "layer_norm"])
def test_a_control_refuses_a_regulariser(cell, option):
    value = True if option == "layer_norm" else 0.5
    with pytest.raises(ValueError, match=f"{cell.title}: a control takes no {option}, got {value}"):
        build(cell, INPUTS, H, layers=2, **{option: value})


@over_all
@pytest.mark.parametrize("engine", ["fused", "quick"])
def test_a_control_refuses_the_fused_engine_and_one_that_there_is_not(cell, engine):
    with pytest.raises(ValueError, match=f"^{cell.title}: .*engine.*'{engine}'|^{cell.title}: cannot be fused: "):
        build(cell, INPUTS, H, engine=engine)


@over_all
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["copy", "pickle"])
def test_a_copy_gives_the_same_outputs(cell, copied):
    module = module_of(cell)
    assert torch.equal(copied(module)(inputs_of())[0], module(inputs_of())[0])


@over_all
def test_a_batch_without_sequences_has_outputs_without_sequences(cell):
    assert module_of(cell)(inputs_of(batch=0))[0].shape == (T, 0, H)


@over_all
def test_a_control_runs_on_the_device_meta(cell):
    with torch.device("meta"):
        module = build(cell, INPUTS, H, layers=2, bidirectional=True)
        outputs, state = module(torch.zeros(T, B, INPUTS))
    assert outputs.is_meta
    assert outputs.shape == (T, B, 2 * H)
    assert all(v.is_meta for s in state for v in s)
