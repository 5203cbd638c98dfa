"""Every cell is its paper's formula, has its gradient, and treats time, sequences and knobs as it should."""

import numpy as np
import pytest
import torch
from torch.func import functional_call

from tests import reference
from tests.variants.cases import CASES, DEFAULTS, KNOBS, OTHER_KNOBS, B, T, fill, inputs_of, module_of, same, state_of
from variants import Cell, Recurrent

TRUNCATED = {"lstm_1997", "memory_blocks"}  # cells whose gradient is by definition not that of their formula


def numpy_parameters(module: Recurrent) -> list[dict[str, np.ndarray]]:
    return [{n: v.detach().numpy() for n, v in part.items()} for part in module.parts]


def numpy_state(state):
    return [{n: v.numpy() for n, v in part._asdict().items()} for part in state]


def by_reference(module: Recurrent, inputs, state):
    projection = None if module.project is None else module.project["P"].detach().numpy()
    return reference.run(
        module.cell.name,
        inputs.numpy(),
        numpy_parameters(module),
        numpy_state(state),
        module.cell.knobs,
        projection=projection,
    )


@pytest.mark.parametrize("cell", CASES)
def test_outputs_are_those_of_the_formula(cell: Cell):
    module = module_of(cell)
    inputs, state = inputs_of(), state_of(module)
    outputs, _ = module(inputs, state)
    expected, _ = by_reference(module, inputs, state)
    same(outputs.detach(), torch.from_numpy(expected), f"{cell!r} differs from tests/reference.py")


@pytest.mark.parametrize("cell", CASES)
def test_final_state_is_that_of_the_formula(cell: Cell):
    module = module_of(cell)
    inputs, state = inputs_of(), state_of(module)
    _, final = module(inputs, state)
    _, expected = by_reference(module, inputs, state)
    for layer, (mine, theirs) in enumerate(zip(final, expected, strict=True)):
        for name, value in mine._asdict().items():
            same(
                value.detach(),
                torch.from_numpy(theirs[name]),
                f"{cell!r}: {name} of layer {layer} differs from tests/reference.py",
            )


@pytest.mark.parametrize("cell", [c for c in CASES if c.values[0].name not in TRUNCATED])
def test_gradient_is_that_of_the_formula_by_finite_differences(cell: Cell):
    module = module_of(cell, layers=1, least=2, input_size=2)
    inputs, state = inputs_of(3, 2, 2).requires_grad_(), state_of(module, batch=2)
    fields = [v.clone().requires_grad_() for part in state for v in part]
    names, parameters = zip(*module.named_parameters(), strict=True)

    def outcome(x, *values):
        values = list(values)
        given = tuple(c.State(*(values.pop(0) for _ in c.State._fields)) for c in module.cells)
        outputs, final = functional_call(module, dict(zip(names, values, strict=True)), (x, given))
        return outputs, *(v for part in final for v in part)

    assert torch.autograd.gradcheck(outcome, (inputs, *fields, *(p.detach().requires_grad_() for p in parameters)))


@pytest.mark.parametrize("name", ["W_z", "R_z", "b_z", "W_i", "R_i", "b_i", "W_o", "R_o", "b_o"])
def test_gradient_of_the_lstm_of_1997_takes_what_the_gates_hear_as_constant(name):
    module = module_of(Cell.registry["lstm_1997"](), layers=1)
    inputs, state = inputs_of(), state_of(module)
    outputs, _ = module(inputs, state)
    weights = torch.linspace(-1.0, 1.0, outputs.numel(), dtype=torch.float64).view_as(outputs)
    (outputs * weights).sum().backward()
    heard = [state[0].y.numpy(), *outputs.detach().numpy()[:-1]]
    (parameters,) = numpy_parameters(module)

    def loss(shift: np.ndarray) -> float:
        changed = parameters | {name: parameters[name] + shift}
        y, _ = reference.run("lstm_1997", inputs.numpy(), [changed], numpy_state(state), {}, heard=heard)
        return float((y * weights.numpy()).sum())

    expected = np.zeros_like(parameters[name])
    for index in np.ndindex(*expected.shape):
        shift = np.zeros_like(expected)
        shift[index] = 1e-6
        expected[index] = (loss(shift) - loss(-shift)) / 2e-6
    same(module.parts[0][name].grad, torch.from_numpy(expected), tolerance=1e-7)


def test_gradient_of_the_lstm_of_1997_is_not_that_of_its_formula():
    module = module_of(Cell.registry["lstm_1997"](), layers=1)
    inputs, state = inputs_of(), state_of(module)
    y = state[0].y.requires_grad_()
    outputs, _ = module(inputs, (state[0]._replace(y=y),))
    assert torch.autograd.grad(outputs.sum(), y, allow_unused=True)[0] is None, "an error flowed back through y'"


@pytest.mark.parametrize("cell", CASES)
def test_every_parameter_gets_a_gradient(cell: Cell):
    module = module_of(cell, layers=3)
    outputs, _ = module(inputs_of(), state_of(module))
    (outputs**2).sum().backward()
    idle = [n for n, p in module.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert not idle, f"{cell!r}: no gradient reaches {', '.join(idle)}; the step does not use them"


@pytest.mark.parametrize(("cls", "knob"), KNOBS)
def test_every_knob_changes_the_output(cls: type[Cell], knob: str):
    def outputs(**knobs):
        cell = cls(**knobs)
        module = Recurrent(
            cell, 4, 6, layers=max(2, cell.min_layers), engine="eager", initialisation="gaussian"
        ).double()
        return module(inputs_of())[0]

    class_default = {"periods": (1, 2)} if knob == "periods" else {}
    other = outputs(**{knob: OTHER_KNOBS[knob](cls)})
    usual = outputs(**class_default)
    same = usual.shape == other.shape and torch.allclose(usual, other)
    assert not same, f"{cls.name}: {knob} has no effect"


@pytest.mark.parametrize("cell", CASES)
def test_a_sequence_cut_in_two_gives_the_same_outputs(cell: Cell):
    module = module_of(cell)
    inputs = inputs_of()
    whole, _ = module(inputs)
    first, state = module(inputs[:3])
    second, _ = module(inputs[3:], state)
    same(torch.cat([first, second]), whole)


@pytest.mark.parametrize("cell", CASES)
def test_the_state_after_a_sequence_cut_in_two_is_the_same(cell: Cell):
    module = module_of(cell)
    inputs = inputs_of()
    _, whole = module(inputs)
    _, cut = module(inputs[3:], module(inputs[:3])[1])
    for one, other in zip(whole, cut, strict=True):
        for name in one._fields:
            same(getattr(other, name), getattr(one, name), f"{cell!r}: {name}")


@pytest.mark.parametrize("cell", DEFAULTS)
def test_an_output_does_not_depend_on_later_inputs(cell: Cell):
    module = module_of(cell)
    inputs = inputs_of()
    changed = inputs.clone()
    changed[4:] += 1.0
    same(module(changed)[0][:4], module(inputs)[0][:4])


@pytest.mark.parametrize("cell", DEFAULTS)
def test_the_last_output_depends_on_the_first_input(cell: Cell):
    module = module_of(cell)
    inputs = inputs_of()
    changed = inputs.clone()
    changed[0] += 1.0
    assert not torch.allclose(module(changed)[0][-1], module(inputs)[0][-1]), f"{cell!r} does not remember"


@pytest.mark.parametrize("cell", DEFAULTS)
def test_sequences_of_a_batch_do_not_touch_each_other(cell: Cell):
    module = module_of(cell)
    inputs, order = inputs_of(), torch.tensor([2, 0, 1])
    same(module(inputs[:, order])[0], module(inputs)[0][:, order])


@pytest.mark.parametrize("cell", DEFAULTS)
def test_non_finite_inputs_give_non_finite_outputs(cell: Cell):
    module = module_of(cell)
    inputs = inputs_of()
    inputs[0, 1] = float("nan")
    outputs, _ = module(inputs)
    assert torch.isfinite(outputs).all(-1).all(0).tolist() == [True, False, True]


@pytest.mark.parametrize("cell", DEFAULTS)
def test_outputs_and_derivatives_are_finite_in_single_precision_however_far_gates_saturate(cell: Cell):
    module = module_of(cell).float()
    inputs = (1e3 * inputs_of()).float().requires_grad_()
    outputs, _ = module(inputs)
    outputs.sum().backward()
    found = {"outputs": outputs, "inputs": inputs.grad, **{n: p.grad for n, p in module.named_parameters()}}
    assert not [name for name, value in found.items() if not value.isfinite().all()]


@pytest.mark.parametrize("cell", DEFAULTS)
def test_outputs_have_the_shape_of_the_contract(cell: Cell):
    module = module_of(cell)
    outputs, state = module(inputs_of())
    assert outputs.shape == (T, B, module.output_size)
    sizes = [(B, cell.size_of(name, module.hidden_size)) for name in cell.State._fields]
    assert all([v.shape for v in part] == sizes for part in state)


@pytest.mark.parametrize("cell", DEFAULTS)
def test_one_step_of_one_sequence_of_one_unit_works(cell: Cell):
    module = module_of(cell, least=1, input_size=1)
    fill(module)
    outputs, _ = module(inputs_of(1, 1, 1))
    assert outputs.shape == (1, 1, module.output_size)
