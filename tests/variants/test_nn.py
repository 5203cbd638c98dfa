"""A module called like `torch.nn.LSTM` gives what the modules of torch give, in every option and with every cell."""

import copy
import itertools
import pickle
from functools import cache, partial

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from tests.variants.cases import INPUTS, REGISTERED, B, H, T, fitting, generator, same
from variants import GRU, IRNN, Cell, Coupled, GRUResetAfter, Options, Vanilla
from variants import nn as ours
from variants.layers.torch_layout import layout_of

P = 2
THEIRS = {
    "lstm": nn.LSTM,
    "lstmp": partial(nn.LSTM, proj_size=P),
    "gru": nn.GRU,
    "rnn": nn.RNN,
    "rnn_relu": partial(nn.RNN, nonlinearity="relu"),
}
FLAGS = ("batch_first", "bidirectional", "bias")
OPTIONS = [
    dict(zip((*FLAGS, "num_layers"), values, strict=True))
    for values in itertools.product(*[(False, True)] * len(FLAGS), (1, 2))
]
FORMS = ("batch", "single", "packed", "packed unsorted", "packed of one length")
LENGTHS = {"packed": [7, 4, 2], "packed unsorted": [2, 7, 4], "packed of one length": [T] * B}


@cache
def pair(kind, options):
    """A module of torch in float64 with random parameters, and ours with copies of them."""
    theirs = THEIRS[kind](INPUTS, H, **dict(options)).double()
    source = generator()
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.normal_(0.0, 0.5, generator=source)
    return theirs, ours.from_torch(theirs)


def normal(*shape, seed, dtype=torch.float64):
    return torch.randn(shape, generator=generator(seed), dtype=dtype).requires_grad_()


def given(form, module):
    """An input in a form, the leaf that it is made of, and a state before the first step."""
    count = module.num_layers * (1 + module.bidirectional)
    if form == "single":
        x = leaf = normal(T, INPUTS, seed=1)
        shape = (count,)
    else:
        first = module.batch_first and form == "batch"
        x = leaf = normal(*((B, T) if first else (T, B)), INPUTS, seed=1)
        shape = (count, B)
    if form in LENGTHS:
        x = pack_padded_sequence(leaf, torch.tensor(LENGTHS[form]), enforce_sorted="unsorted" not in form)
    widths = (module.proj_size or H, H) if isinstance(module, nn.LSTM) else (H,)
    state = tuple(normal(*shape, width, seed=2 + k) for k, width in enumerate(widths))
    return x, leaf, state[0] if len(widths) == 1 else state


def tensors(value):
    """All tensors of outputs and states, in order."""
    if isinstance(value, torch.Tensor):
        return [value]
    return [] if value is None else [tensor for part in value for tensor in tensors(part)]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: " ".join(f"{k}={int(v)}" for k, v in o.items()))
@pytest.mark.parametrize("kind", ["lstm", "lstmp", "gru", "rnn"])
def test_outputs_states_and_gradients_are_those_of_torch(kind, options, form):
    found = []
    modules = pair(kind, tuple(options.items()))
    for module in modules:
        x, leaf, hx = given(form, modules[0])
        results = tensors(module(x, hx))
        values = [v for v in results if v.is_floating_point()]
        weights = [normal(*v.shape, seed=5 + k).detach() for k, v in enumerate(values)]
        module.zero_grad()
        sum((w * v).sum() for w, v in zip(weights, values, strict=True)).backward()
        found.append((results, [leaf.grad, *(v.grad for v in tensors(hx))]))
    theirs, mine = found
    for one, other in zip(mine[0] + mine[1], theirs[0] + theirs[1], strict=True):
        same(one, other)
    layout = layout_of(modules[1].cell)
    for part, suffix in modules[1]._places():
        for stem in layout.stems(bias=options["bias"]):
            names = layout.stacked[stem]
            pieces = getattr(modules[0], stem + suffix).grad.chunk(len(names))
            for name, piece in zip(names, pieces, strict=True):
                same(modules[1].recurrent.parts[part][name].grad, piece, name)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", THEIRS)
def test_without_a_state_the_first_one_is_zero_as_in_torch(kind, form):
    theirs, mine = pair(kind, tuple(OPTIONS[-1].items()))
    x, _, _ = given(form, theirs)
    for one, other in zip(tensors(mine(x)), tensors(theirs(x)), strict=True):
        same(one, other)


@pytest.mark.parametrize("size", [0, P], ids=["lstm", "lstmp"])
def test_the_fused_engine_serves_packed_sequences(size):
    theirs = nn.LSTM(INPUTS, H, bidirectional=True, proj_size=size)
    mine = ours.from_torch(theirs)
    x = pack_padded_sequence(normal(T, B, INPUTS, seed=1, dtype=torch.float32), torch.tensor([7, 4, 2]))
    for one, other in zip(tensors(mine(x)), tensors(theirs(x)), strict=True):
        same(one, other, tolerance=1e-5)
    assert mine.recurrent.engine == "fused"


# Weights
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", OPTIONS[-2:], ids=["one layer", "two layers"])
@pytest.mark.parametrize("kind", THEIRS)
def test_weights_go_to_torch_and_back(kind, options):
    theirs, mine = pair(kind, tuple(options.items()))
    again = mine.to_torch()
    assert type(again) is type(theirs)
    x, _, hx = given("batch", theirs)
    for one, other in zip(tensors(again(x, hx)), tensors(theirs(x, hx)), strict=True):
        same(one, other)
    back = ours.from_torch(again).state_dict()
    assert all(torch.equal(value, back[name]) for name, value in mine.state_dict().items())


def test_a_saved_network_of_torch_is_loaded_after_its_line_was_swapped():
    theirs = nn.Sequential(nn.LSTM(INPUTS, H, num_layers=2, bidirectional=True))
    mine = nn.Sequential(ours.LSTM(INPUTS, H, num_layers=2, bidirectional=True))
    saved = theirs.state_dict()
    names = list(saved)
    mine.load_state_dict(saved)
    x = torch.randn(T, B, INPUTS, generator=generator())
    same(mine(x)[0], theirs(x)[0], tolerance=1e-5)
    assert list(saved) == names


def test_a_saved_network_of_another_cell_is_refused():
    with pytest.raises(RuntimeError, match=r"(?s)Missing key.*Unexpected key.*weight_ih_l0"):
        ours.RNN(Coupled(), INPUTS, H).load_state_dict(nn.LSTM(INPUTS, H).state_dict())


def test_a_saved_network_with_biases_is_refused_by_a_module_without():
    with pytest.raises(RuntimeError, match=r"Unexpected key.*bias_ih_l0"):
        ours.LSTM(INPUTS, H, bias=False).load_state_dict(nn.LSTM(INPUTS, H).state_dict())


def test_copying_from_torch_draws_no_numbers():
    theirs = nn.GRU(INPUTS, H)
    before = torch.get_rng_state()
    ours.from_torch(theirs)
    assert torch.equal(torch.get_rng_state(), before)


def test_copies_keep_type_and_mode():
    theirs = nn.GRU(INPUTS, H, dtype=torch.float64).eval()
    mine = ours.from_torch(theirs)
    assert not mine.training
    assert not mine.to_torch().training
    assert {p.dtype for p in (*mine.parameters(), *mine.to_torch().parameters())} == {torch.float64}


# Any cell
# ---------------------------------------------------------------------------------------------------------------------


def any_cell(name, **options):
    """A module of a registered cell, and how many units it has."""
    cls = REGISTERED[name]
    units = fitting(cls())
    return ours.RNN(name, INPUTS, units, num_layers=max(2, cls.min_layers), **options), units


@pytest.mark.parametrize("name", REGISTERED)
def test_any_cell_has_the_shapes_of_torch_and_goes_on_from_its_state(name):
    module, units = any_cell(name, batch_first=True)
    x = torch.randn(B, T, INPUTS, generator=generator())
    whole, last = module(x)
    first, state = module(x[:, :3])
    second, end = module(x[:, 3:], state)
    same(torch.cat([first, second], dim=1), whole, tolerance=1e-5)
    for name, one, other in zip(module.fields, tensors(end), tensors(last), strict=True):
        assert one.shape == (module.num_layers, B, module.cell.size_of(name, units))
        same(one, other, tolerance=1e-5)
    shown = torch.cat([field[-1] for field in tensors(last)[: len(module.cell.shown)]], dim=-1)
    same(whole[:, -1], shown, "outputs come first in a state", tolerance=0.0)


@pytest.mark.parametrize("name", REGISTERED)
def test_any_cell_without_biases_is_the_cell_with_biases_of_zero(name):
    without, _ = any_cell(name, bias=False)
    full, _ = any_cell(name)
    kept = dict(without.named_parameters())
    with torch.no_grad():
        for parameter, value in full.named_parameters():
            value.copy_(kept.get(parameter, torch.zeros(())))
    biases = {block.name for block in full.cell.blocks if block.kind == "b"}  # vectors of a cell are its own
    assert not [parameter for parameter in kept if parameter.rpartition(".")[2] in biases]
    x = torch.randn(T, B, INPUTS, generator=generator())
    same(without(x)[0], full(x)[0], tolerance=1e-5)


def test_a_keep_bias_is_part_of_the_start():
    biases = ours.RNN(Vanilla(keep_bias=9.0), INPUTS, H).recurrent.parts[0]["b_f"]
    assert biases.min() > 9.0 - H**-0.5
    assert ours.LSTM(INPUTS, H).recurrent.parts[0]["b_f"].max() < H**-0.5


def test_options_of_the_library_are_those_of_build():
    assert set(ours.FurtherOptions.__annotations__) < set(Options.__dataclass_fields__)
    module = ours.RNN(GRU(), INPUTS, H, zoneout=0.5, initialisation="identity", engine="eager")
    assert module.recurrent.zoneout == {"h": 0.5}
    assert torch.equal(module.recurrent.parts[0]["R_u"], torch.eye(H))
    assert "zoneout=0.5" in repr(module)


# What a program does with a module
# ---------------------------------------------------------------------------------------------------------------------


def test_the_start_follows_the_seed_of_torch_and_two_modules_differ():
    def start():
        return ours.LSTM(INPUTS, H).recurrent.parts[0]["W_z"]

    torch.manual_seed(3)
    first, second = start(), start()
    torch.manual_seed(3)
    assert torch.equal(start(), first)
    assert not torch.equal(first, second)
    assert first.abs().max() <= H**-0.5


def test_reset_parameters_draws_all_of_them_again_in_place():
    module = ours.RNN(Coupled(), INPUTS, H, num_layers=2, bidirectional=True)
    before = {name: (p.data_ptr(), p.clone()) for name, p in module.named_parameters()}
    module.flatten_parameters()
    module.reset_parameters()
    for name, parameter in module.named_parameters():
        address, value = before[name]
        assert parameter.data_ptr() == address
        assert not torch.equal(parameter, value)


def test_a_module_made_without_memory_is_started_later():
    with torch.device("meta"):
        module = ours.RNN(Coupled(), INPUTS, H)
    assert {p.device.type for p in module.parameters()} == {"meta"}
    module.to_empty(device="cpu").reset_parameters()
    assert module(torch.zeros(T, B, INPUTS))[0].isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_type_and_device_are_arguments_and_can_be_changed(dtype):
    module = ours.LSTM(INPUTS, H, dtype=dtype, device="cpu")
    output, state = module(torch.zeros(T, B, INPUTS, dtype=dtype))
    assert {v.dtype for v in (output, *state)} == {dtype}
    assert module.float()(torch.zeros(T, B, INPUTS))[0].dtype is torch.float32


@pytest.mark.parametrize("again", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["deepcopy", "pickle"])
@pytest.mark.parametrize("bias", [True, False])
def test_copies_compute_the_same_and_are_trained_alone(again, bias):
    module = ours.RNN(Coupled(), INPUTS, H, num_layers=2, dropout=0.5, bias=bias)
    made, x = again(module), torch.ones(T, B, INPUTS)
    torch.manual_seed(4)
    expected = module(x)[0]
    torch.manual_seed(4)
    assert torch.equal(made(x)[0], expected), "masks are drawn from the generator of torch"
    made.reset_parameters()
    made.eval()
    assert not torch.equal(made(x)[0], module.eval()(x)[0])


def test_dropout_acts_between_layers_in_training_only():
    module, x = ours.LSTM(INPUTS, H, num_layers=2, dropout=0.5), torch.ones(T, B, INPUTS)
    _, (first, _) = module(x)
    _, (second, _) = module(x)
    assert torch.equal(first[0], second[0])
    assert not torch.equal(first[1], second[1])
    module.eval()
    assert torch.equal(module(x)[0], module(x)[0])


def test_dropout_of_one_layer_is_warned_of_and_does_nothing():
    with pytest.warns(UserWarning, match="vanilla: dropout acts between layers and needs num_layers of at least 2"):
        module = ours.LSTM(INPUTS, H, dropout=0.5)
    x = torch.ones(T, B, INPUTS)
    assert torch.equal(module(x)[0], module(x)[0])


@pytest.mark.parametrize(
    ("module", "text"),
    [
        (ours.LSTM(3, 5), "LSTM(3, 5)"),
        (ours.GRU(3, 5, 2, False, True), "GRU(3, 5, num_layers=2, bias=False, batch_first=True)"),
        (ours.RNN(IRNN(), 3, 5, bidirectional=True), "RNN(IRNN(), 3, 5, bidirectional=True)"),
        (ours.LSTM(3, 5, 2, proj_size=2), "LSTM(3, 5, num_layers=2, proj_size=2)"),
    ],
    ids=["lstm", "gru", "rnn", "lstmp"],
)
def test_a_module_is_shown_as_it_was_made(module, text):
    assert repr(module) == text
    assert repr(nn.Sequential(module)).splitlines()[1] == f"  (0): {text}"


def test_the_attributes_are_those_of_torch():
    options = {"num_layers": 2, "bias": False, "batch_first": True, "dropout": 0.25, "bidirectional": True}
    options["proj_size"] = P
    mine, theirs = (module(3, 5, **options) for module in (ours.LSTM, nn.LSTM))
    names = ("input_size", "hidden_size", *options)
    assert {n: getattr(mine, n) for n in names} == {n: getattr(theirs, n) for n in names}


def test_a_packed_result_is_in_the_order_of_the_sequences():
    mine = ours.LSTM(INPUTS, H)
    x = normal(T, B, INPUTS, seed=1, dtype=torch.float32)
    packed, _ = mine(pack_padded_sequence(x, torch.tensor([2, 7, 4]), enforce_sorted=False))
    assert isinstance(packed, PackedSequence)
    outputs, lengths = pad_packed_sequence(packed)
    assert lengths.tolist() == [2, 7, 4]
    same(outputs[:2, 0], mine(x)[0][:2, 0], tolerance=1e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of torch about its own tracing
def test_a_compiled_program_gives_the_same_numbers_and_gradients():
    module, x = ours.RNN(Coupled(), INPUTS, H), torch.ones(T, B, INPUTS)
    torch._dynamo.reset()
    found = []
    for run in (module, torch.compile(module, backend="eager")):
        module.zero_grad()
        output = run(x)[0]
        output.sum().backward()
        found.append([output, *(p.grad.clone() for p in module.parameters())])
    for one, other in zip(*found, strict=True):
        same(one, other, tolerance=1e-5)


def zeros(*shape):
    return torch.zeros(shape)


WRONG = {
    r"vanilla: input must be \[T, B, 3\], \[T, 3\] or packed sequences, got \[7, 2, 4\]": lambda: ours.LSTM(3, 5)(
        zeros(7, 2, 4)
    ),
    r"vanilla: input must be \[B, T, 3\], \[T, 3\] or packed sequences, got list": lambda: ours.LSTM(
        3, 5, batch_first=True
    )([1.0]),
    r"vanilla: packed input must have data \[N, 3\], got \[14, 4\]": lambda: ours.LSTM(3, 5)(
        pack_padded_sequence(zeros(7, 2, 4), torch.tensor([7, 7]))
    ),
    r"vanilla: hx must be tensors \(y, c\), each \[1, 2, 5\], got Tensor": lambda: ours.LSTM(3, 5)(
        zeros(7, 2, 3), zeros(1, 2, 5)
    ),
    r"vanilla: hx must be tensors \(y, c\), each \[1, 2, 5\], got 3 of them": lambda: ours.LSTM(3, 5)(
        zeros(7, 2, 3), (zeros(1, 2, 5),) * 3
    ),
    r"vanilla: hx must be tensors \(y, c\), each \[1, 5\], got \[1, 1, 5\] for y": lambda: ours.LSTM(3, 5)(
        zeros(7, 3), (zeros(1, 1, 5),) * 2
    ),
    r"gru_reset_after: hx must be one tensor h \[1, 2, 5\], got tuple": lambda: ours.GRU(3, 5)(
        zeros(7, 2, 3), (zeros(1, 2, 5),)
    ),
    "vanilla: inputs must have at least one step": lambda: ours.LSTM(3, 5)(zeros(0, 2, 3)),
    "RNN: cell must be a cell such as .*, or one of the names vanilla, .*, got 3": lambda: ours.RNN(3, 5, 2),
    "native_lstm: is torch's own module": lambda: ours.RNN(Cell.registry["native_lstm"](), 3, 5),
    "vanilla: num_layers must be at least 1, got 0": lambda: ours.LSTM(3, 5, 0),
    "vanilla: hidden_size must be a whole number, got 5.0": lambda: ours.LSTM(3, 5.0),
    "vanilla: batch_first must be True or False, got 1": lambda: ours.LSTM(3, 5, batch_first=1),
    r"vanilla: dropout must be in \[0, 1\), got 1.0": lambda: ours.LSTM(3, 5, 2, dropout=1.0),
    "vanilla: proj_size must be a whole number from 0 to hidden_size - 1 = 4, got 5": lambda: ours.LSTM(
        3, 5, proj_size=5
    ),
    "gru_reset_after: proj_size must be 0, as only vanilla and peephole can have a": lambda: ours.GRU(
        3, 5, proj_size=2
    ),
    r"lstmp: hx must be tensors \(y, c\): \[1, 2, 2\], \[1, 2, 5\], got \[1, 2, 5\] for y": lambda: ours.LSTM(
        3, 5, proj_size=2
    )(zeros(7, 2, 3), (zeros(1, 2, 5),) * 2),
    "from_torch: module must be a torch.nn.LSTM, GRU or RNN, got Linear": lambda: ours.from_torch(nn.Linear(2, 2)),
    "gru: torch.nn has the cells vanilla and lstmp without peepholes, .* only": lambda: ours.RNN(
        GRU(), 3, 5
    ).to_torch(),
    "vanilla: torch.nn has no zoneout, got 0.5": lambda: ours.LSTM(3, 5, zoneout=0.5).to_torch(),
}


@pytest.mark.parametrize("message", WRONG)
def test_a_mistake_is_told_in_one_line(message):
    with pytest.raises(ValueError, match=message) as caught:
        WRONG[message]()
    assert "\n" not in str(caught.value)


def test_only_cells_that_torch_has_have_a_layout():
    assert layout_of(Vanilla(peepholes=("o",))) is None
    assert layout_of(GRUResetAfter()).module is nn.GRU
