"""Evaluations in prepared memory give the bits of a call in evaluation mode."""

import pytest
import torch

from tests.variants.cases import DEFAULTS, INPUTS, B, T, fill, fitting, generator
from variants import Cell, Recurrent
from variants.layers.passes import EvaluationPass

LENGTHS = torch.tensor([4, 7, 1])
LAST, EVERY = torch.full((1, B), T - 1), torch.arange(T).unsqueeze(1).repeat(1, B)
SOME = torch.tensor([[0, 6, 2], [3, 1, 5]])
EARLY = torch.tensor([[0, 6, 0], [3, 1, 0]])
CASES = {
    "one layer": ({"layers": 1}, None, LAST),
    "every step": ({"layers": 1}, None, EVERY),
    "two layers": ({"layers": 2}, None, SOME),
    "both directions": ({"layers": 2, "bidirectional": True}, None, SOME),
    "lengths": ({"layers": 2, "bidirectional": True}, LENGTHS, EARLY),
    "zoneout": ({"layers": 1, "zoneout": 0.3, "recurrent_dropout": 0.2}, None, LAST),
    "zoneout and lengths": ({"layers": 2, "zoneout": 0.3, "dropout": 0.2}, LENGTHS, EARLY),
}


def module_of(cell: Cell, options: dict) -> Recurrent:
    options = options | {"layers": max(options["layers"], cell.min_layers)}
    module = Recurrent(cell, INPUTS, fitting(cell), engine="fused", **options)
    fill(module)
    module.flatten_parameters()
    return module


def inputs_of(steps: int = T, batch: int = B) -> torch.Tensor:
    return torch.randn(steps, batch, INPUTS, generator=generator(1))


def called(module: Recurrent, x: torch.Tensor, lengths: torch.Tensor | None, reads: torch.Tensor) -> torch.Tensor:
    module.eval()
    with torch.inference_mode():
        outputs, _ = module(x, lengths=lengths, final=False, reads=reads)
    module.train()
    return outputs


def pass_of(module: Recurrent, steps: int, batch: int, *, padded: bool) -> EvaluationPass:
    made = module.evaluation_pass(steps, batch, padded=padded)
    assert isinstance(made, EvaluationPass)
    return made


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("cell", DEFAULTS)
def test_an_evaluation_in_prepared_memory_gives_the_bits_of_a_call(cell: Cell, case: str) -> None:
    options, lengths, reads = CASES[case]
    module, x = module_of(cell, options), inputs_of()
    prepared = pass_of(module, T, B, padded=lengths is not None)
    assert torch.equal(prepared.outputs(x, lengths, reads), called(module, x, lengths, reads))


def test_evaluations_follow_parameters_that_change_in_place() -> None:
    module, x = module_of(Cell.registry["vanilla"](), {"layers": 2}), inputs_of()
    prepared = pass_of(module, T, B, padded=False)
    before = prepared.outputs(x, None, SOME).clone()
    fill(module, seed=5)
    after = prepared.outputs(x, None, SOME)
    assert not torch.equal(before, after)
    assert torch.equal(after, called(module, x, None, SOME))


@pytest.mark.parametrize("padded", [False, True])
def test_memory_for_more_serves_fewer_sequences_of_fewer_steps(padded: bool) -> None:
    module, x = module_of(Cell.registry["peephole"](), {"layers": 2, "zoneout": 0.3}), inputs_of()
    prepared = pass_of(module, T + 4, B + 5, padded=padded)
    lengths, reads = (LENGTHS, EARLY) if padded else (None, SOME)
    prepared.outputs(inputs_of(T + 4, B + 5), torch.arange(1, B + 6) if padded else None, torch.zeros(1, B + 5).long())
    assert torch.equal(prepared.outputs(x, lengths, reads), called(module, x, lengths, reads))


def test_inputs_are_read_where_they_are() -> None:
    module, many = module_of(Cell.registry["gru"](), {"layers": 1}), inputs_of(T, 4 * B)
    part = many[:, B : 2 * B]
    prepared = pass_of(module, T, B, padded=False)
    assert torch.equal(prepared.outputs(part, None, SOME), called(module, part, None, SOME))
    across = inputs_of().transpose(0, 2).contiguous().transpose(0, 2)
    assert torch.equal(prepared.outputs(across, None, SOME), called(module, across, None, SOME))


def test_a_module_on_the_eager_engine_says_why_it_has_no_evaluation_pass() -> None:
    module = Recurrent(Cell.registry["gru"](), INPUTS, 5, engine="eager")
    assert module.why_no_pass() == "engine=eager"
    with pytest.raises(ValueError, match="needs the fused engine and gradients, got engine=eager"):
        module.evaluation_pass(T, B, padded=False)
