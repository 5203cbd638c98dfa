"""The LSTM of chosen parts is each of Greff's nine cells to the last bit, and any other combination of their parts."""

import itertools
import pickle

import pytest
import torch

from variants import Cell, build, streams
from variants.cells.modular import ModularLSTM

T, B, I, H = 7, 3, 4, 5  # noqa: E741
SAME = {
    "vanilla": {},
    "peephole": {"peepholes": True},
    "coupled": {"coupled": True},
    "no_forget_gate": {"forget_gate": False},
    "no_input_gate": {"input_gate": False},
    "no_output_gate": {"output_gate": False},
    "no_input_activation": {"input_activation": False},
    "no_output_activation": {"output_activation": False},
    "full_gate_recurrence": {"gate_recurrence": True},
}
KNOBS = ("input_gate", "forget_gate", "output_gate", "coupled", "input_activation", "output_activation")
ADDED = ("peepholes", "gate_recurrence")


def ran(cell: Cell, engine: str) -> dict[str, torch.Tensor]:
    """Parameters, outputs and gradients of a cell that starts from a fixed stream."""
    module = build(cell, input_size=I, hidden_size=H, stream=streams(1), engine=engine)
    x = torch.randn(T, B, I, generator=torch.Generator().manual_seed(2), requires_grad=True)
    outputs, _ = module(x)
    outputs.square().sum().backward()
    found = {name: p.detach() for name, p in module.named_parameters()}
    gradients = {f"d {name}": p.grad for name, p in module.named_parameters()}
    return {**found, **gradients, "outputs": outputs.detach(), "d x": x.grad}


@pytest.mark.parametrize("engine", ["eager", "fused"])
@pytest.mark.parametrize("name", SAME)
def test_with_one_knob_it_is_a_cell_of_greff_to_the_last_bit(name, engine):
    theirs, ours = ran(Cell.registry[name](), engine), ran(ModularLSTM(**SAME[name]), engine)
    assert theirs.keys() == ours.keys()
    assert [key for key in theirs if not torch.equal(theirs[key], ours[key])] == []


def trained(cell: Cell, engine: str) -> list[torch.Tensor]:
    """Parameters and outputs of a cell after a few updates by Adam."""
    module = build(cell, input_size=I, hidden_size=H, stream=streams(1), engine=engine)
    adam = torch.optim.Adam(module.parameters(), lr=0.05)
    x = torch.randn(T, B, I, generator=torch.Generator().manual_seed(2))
    for _ in range(8):
        adam.zero_grad()
        (module(x)[0] - x[:, :, :1]).square().sum().backward()
        adam.step()
    return [*module.parameters(), module(x)[0]]


@pytest.mark.parametrize("engine", ["eager", "fused"])
@pytest.mark.parametrize("name", SAME)
def test_it_stays_that_cell_to_the_last_bit_while_it_is_trained(name, engine):
    theirs, ours = trained(Cell.registry[name](), engine), trained(ModularLSTM(**SAME[name]), engine)
    assert all(torch.equal(one, other) for one, other in zip(theirs, ours, strict=True))


@pytest.mark.parametrize("name", SAME)
def test_it_declares_what_the_cell_of_greff_declares(name):
    theirs, ours = Cell.registry[name](), ModularLSTM(**SAME[name])
    for what in ("blocks", "keeps", "writes", "never_forgets"):
        assert getattr(ours, what) == getattr(theirs, what), what
    assert ours.parameter_count(I, H) == theirs.parameter_count(I, H)


def valid() -> list[ModularLSTM]:
    found = []
    for values in itertools.product((True, False), repeat=len(KNOBS) + len(ADDED)):
        try:
            found.append(ModularLSTM(**dict(zip((*KNOBS, *ADDED), values, strict=True))))
        except ValueError:
            continue
    return found


def test_five_gatings_times_five_switches_are_cells_but_for_peepholes_and_recurrence_without_a_gate():
    # without any gate, 2^2 activations have the 3 combinations of peepholes and recurrence that need one
    assert len(valid()) == 5 * 2**5 - 3 * 2**2


@pytest.mark.parametrize("cell", valid()[::23], ids=repr)
def test_every_combination_is_fused_and_is_pickled(cell):
    module = build(cell, input_size=I, hidden_size=H, engine="auto")
    module(torch.zeros(T, B, I))
    assert module.engine == "fused"
    assert pickle.loads(pickle.dumps(cell)).knobs == cell.knobs


@pytest.mark.parametrize("knob", ADDED)
def test_what_needs_a_gate_is_refused_without_any(knob):
    with pytest.raises(ValueError, match=f"modular_lstm: {knob} must be false in a cell without any gate"):
        ModularLSTM(input_gate=False, forget_gate=False, output_gate=False, **{knob: True})


def test_coupled_gates_need_both():
    with pytest.raises(ValueError, match="coupled needs an input and a forget gate"):
        ModularLSTM(coupled=True, input_gate=False)
