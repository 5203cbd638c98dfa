"""Dropout, recurrent dropout, zoneout and layer normalisation, on every cell."""

import numpy as np
import pytest
import torch

from tests import reference
from tests.variants.cases import DEFAULTS, B, H, T, generator, inputs_of, module_of, same, state_of
from variants import Cell
from variants.engine import Inputs, Request, eager
from variants.layers.regularisation import bernoulli, dropout_mask

OPTIONS = [{"dropout": 0.3}, {"recurrent_dropout": 0.3}, {"zoneout": 0.3}]
EACH = [pytest.param(o, id=next(iter(o))) for o in OPTIONS]


def cell(name: str) -> Cell:
    return Cell.registry[name]()


@pytest.mark.parametrize("option", EACH)
@pytest.mark.parametrize("case", DEFAULTS)
def test_a_regulariser_changes_the_outputs_of_training(case: Cell, option):
    if not case.sources and "recurrent_dropout" in option:
        return  # there is nothing that it could act on
    plain, module = module_of(case), module_of(case, **option)
    assert not torch.allclose(module(inputs_of())[0], plain(inputs_of())[0]), f"{case!r}: {option} has no effect"


@pytest.mark.parametrize("option", EACH)
@pytest.mark.parametrize("case", DEFAULTS)
def test_the_same_generator_gives_the_same_masks(case: Cell, option):
    one, other = (module_of(case, **option, generator=generator(3)) for _ in range(2))
    same(one(inputs_of())[0], other(inputs_of())[0])


@pytest.mark.parametrize("option", EACH)
def test_every_call_draws_new_masks(option):
    module = module_of(cell("vanilla"), **option)
    assert not torch.allclose(module(inputs_of())[0], module(inputs_of())[0])


@pytest.mark.parametrize("option", EACH)
def test_the_generator_can_be_replaced(option):
    module = module_of(cell("vanilla"), **option)
    outputs = []
    for _ in range(2):
        module.generator = generator(4)
        outputs.append(module(inputs_of())[0])
    same(*outputs)


@pytest.mark.parametrize("option", EACH)
def test_masks_leave_the_global_random_state_alone(option):
    module = module_of(cell("vanilla"), **option)
    before = torch.get_rng_state()
    module(inputs_of())
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("option", EACH[:2])
@pytest.mark.parametrize("case", DEFAULTS)
def test_dropout_does_nothing_at_evaluation(case: Cell, option):
    same(module_of(case, **option).eval()(inputs_of())[0], module_of(case)(inputs_of())[0])


def test_dropout_does_not_touch_the_outputs_of_the_highest_layer():
    module = module_of(cell("rnn"), dropout=0.9)
    assert (module(inputs_of())[0] != 0).all()


def test_dropout_does_not_touch_the_inputs_of_the_lowest_layer():
    module, plain = module_of(cell("rnn"), dropout=0.9), module_of(cell("rnn"))
    same(module(inputs_of())[1][0].h, plain(inputs_of())[1][0].h)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_a_dropout_mask_has_the_mean_one(rate):
    mask = dropout_mask(rate, (200, 500), torch.zeros(1), generator())
    assert mask.mean().item() == pytest.approx(1.0, abs=5 * (rate / (1 - rate) / mask.numel()) ** 0.5)


def test_a_dropout_mask_is_zero_or_the_inverse_of_the_rate_of_survival():
    mask = dropout_mask(0.2, (20, 50), torch.zeros(1), generator())
    assert mask.unique().tolist() == pytest.approx([0.0, 1.25])


def test_recurrent_dropout_is_one_mask_for_the_whole_sequence():
    module = module_of(cell("rnn"), layers=1)
    mask = dropout_mask(0.5, (B, H), inputs_of(), generator(5))
    part = module.parts[0]
    inputs = inputs_of()
    expected, h = [], torch.zeros(B, H, dtype=torch.float64)
    for x in inputs:
        h = torch.tanh(x @ part["W_h"].T + (mask * h) @ part["R_h"].T + part["b_h"])
        expected.append(h)
    given = Inputs(inputs, part["W_h"], part["b_h"])
    sequences, _ = eager.run(Request(module.cell, given, module.zero_state(B)[0], {"h": part["R_h"]}, drop={"h": mask}))
    same(sequences.h, torch.stack(expected))


def test_recurrent_dropout_acts_on_what_the_matrix_sees():
    module = module_of(cell("gru"), layers=1, recurrent_dropout=0.5, generator=generator(6))
    drawn = generator(6)
    masks = {name: dropout_mask(0.5, (B, H), inputs_of(), drawn).numpy() for name in ("h", "reset_h")}
    w = {n: v.detach().numpy() for n, v in module.parts[0].items()}
    h, expected = np.zeros((B, H)), []
    for x in inputs_of().numpy():
        r = reference.s(reference.net(x, masks["h"] * h, w, "r"))
        u = reference.s(reference.net(x, masks["h"] * h, w, "u"))
        h = u * h + (1 - u) * np.tanh(reference.net(x, masks["reset_h"] * (r * h), w, "n"))
        expected.append(h)
    same(module(inputs_of())[0].detach(), torch.from_numpy(np.stack(expected)))


def zoned(rates, w, masks):
    """An LSTM with zoneout, written out: the cell that is shown is the one before it is held back."""
    old, outputs = {"y": np.zeros((B, H)), "c": np.zeros((B, H))}, []
    for t, x in enumerate(inputs_of().numpy()):
        new = reference.vanilla(x, w, old, None)
        old = {n: masks[n][t] * old[n] + (1 - masks[n][t]) * new[n] if n in rates else new[n] for n in new}
        outputs.append(old["y"])
    return torch.from_numpy(np.stack(outputs))


RATES = {"y": 0.2, "c": 0.5}


def test_zoneout_keeps_units_at_their_previous_value():
    module = module_of(cell("vanilla"), layers=1, zoneout=RATES, generator=generator(7))
    drawn = generator(7)
    masks = {n: bernoulli(rate, (T, B, H), inputs_of(), drawn).numpy() for n, rate in RATES.items()}
    w = {n: v.detach().numpy() for n, v in module.parts[0].items()}
    same(module(inputs_of())[0].detach(), zoned(RATES, w, masks))


def test_zoneout_is_its_expectation_at_evaluation():
    module = module_of(cell("vanilla"), layers=1, zoneout=RATES).eval()
    masks = {n: np.full((T, 1, 1), rate) for n, rate in RATES.items()}
    w = {n: v.detach().numpy() for n, v in module.parts[0].items()}
    same(module(inputs_of())[0].detach(), zoned(RATES, w, masks))


def test_zoneout_can_be_on_one_field_alone():
    module = module_of(cell("vanilla"), zoneout={"y": 0.0, "c": 0.4})
    assert module.zoneout == {"c": 0.4}


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_zoneout_lets_a_counter_count(training):
    module = module_of(cell("clockwork"), zoneout=0.5).train(training)
    _, state = module(inputs_of())
    _, expected = module_of(cell("clockwork"))(inputs_of())
    assert torch.equal(state[0].wait, expected[0].wait)


def test_zoneout_and_padding_go_together():
    module = module_of(cell("vanilla"), zoneout=0.5).eval()
    inputs, lengths = inputs_of(), torch.tensor([4, 7, 1])
    outputs, _ = module(inputs, lengths=lengths)
    same(outputs[:4, 0], module(inputs[:4, :1])[0][:, 0])


@pytest.mark.parametrize("case", [c for c in DEFAULTS if not c.values[0].transforms])
def test_layer_normalisation_does_not_see_scale_or_shift_of_a_pre_activation(case: Cell):
    module, other = module_of(case, layer_norm=True), module_of(case, layer_norm=True)
    inputs, state = inputs_of(), state_of(module)
    with torch.no_grad():
        for scale, scaled in ((1e3, module), (3e3, other)):  # large, so that the 1e-5 in the deviation doesn't show
            for here, part in zip(scaled.cells, scaled.parts, strict=True):
                for block in here.blocks:
                    if block.kind in "WR":
                        part[block.name].mul_(scale)
    same(other(inputs, state)[0], module(inputs, state)[0], tolerance=1e-6)


def test_layer_normalisation_is_its_formula():
    module = module_of(cell("gru"), layers=1, layer_norm=True)
    w = {n: v.detach() for n, v in module.parts[0].items()}

    def net(gate, x, h):
        v = x @ w[f"W_{gate}"].T + h @ w[f"R_{gate}"].T
        v = (v - v.mean(-1, keepdim=True)) / (v.var(-1, keepdim=True, unbiased=False) + 1e-5).sqrt()
        return w[f"g_{gate}"] * v + w[f"b_{gate}"]

    (h,), expected = module.zero_state(B)[0], []
    for x in inputs_of():
        r, u = torch.sigmoid(net("r", x, h)), torch.sigmoid(net("u", x, h))
        h = u * h + (1 - u) * torch.tanh(net("n", x, r * h))
        expected.append(h)
    same(module(inputs_of())[0], torch.stack(expected))


@pytest.mark.parametrize("case", DEFAULTS)
def test_every_gain_of_layer_normalisation_gets_a_gradient(case: Cell):
    module = module_of(case, layer_norm=True)
    (module(inputs_of(), state_of(module))[0] ** 2).sum().backward()
    idle = [n for n, p in module.named_parameters() if ".g_" in n and (p.grad is None or not p.grad.any())]
    assert not idle


def test_gains_of_layer_normalisation_start_at_one():
    module = module_of(cell("vanilla"), layer_norm=True)
    fresh = type(module)(module.cell, 4, 5, layer_norm=True, initialisation="gaussian")
    assert fresh.parts[0]["g_f"].unique().tolist() == [1.0]


def test_layer_normalisation_runs_eager_and_says_so():
    module = module_of(cell("vanilla"), layer_norm=True, engine="auto")
    assert (module.engine, module.why_eager) == ("eager", "layer normalisation")
