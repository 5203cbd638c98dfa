"""A layer owns the memory of its parameters: in one vector, its kernels use the blocks where they are."""

import pytest
import torch

from tests.variants.cases import DEFAULTS, B, T, fitting, generator, inputs_of
from variants import Cell, FlatMemory, Recurrent, Vanilla, streams
from variants.layers.recurrent import MOST_SESSIONS


def copied_by(cell: Cell) -> int:
    """Count the blocks of a layer that a step copies: a changed R, and biases where not all gates have one."""
    kinds = [block.kind for block in cell.blocks]
    changed = cell.transforms or cell.recurrent_mask(fitting(cell)) is not None
    partly = kinds.count("b") < len(cell.preactivations)
    return changed * kinds.count("R") + partly * kinds.count("b")


@pytest.mark.parametrize("cell", DEFAULTS)
def test_a_training_step_copies_no_block_that_can_stay_in_place(cell: Cell):
    module = Recurrent(cell, 4, fitting(cell), layers=max(2, cell.min_layers))
    module.flatten_parameters()
    module.start_training()
    module(inputs_of().float(), final=False)[0].sum().backward()
    sessions = (module._sessions or {}).values()
    assert len(sessions) == len(module.cells)
    copied = sum(blocks.copied for session in sessions for blocks in session.parameters.blocks)
    assert copied == sum(map(copied_by, module.cells))


def test_without_flat_memory_every_block_is_copied():
    module = Recurrent(Vanilla(), 4, 5)
    for p in module.parameters():
        p.grad = torch.zeros_like(p)
    module.start_training()
    module(inputs_of().float(), final=False)[0].sum().backward()
    (session,) = (module._sessions or {}).values()
    assert sum(blocks.copied for blocks in session.parameters.blocks) == len(module.cells[0].blocks)


def test_parameters_and_gradients_become_views_in_their_order():
    module = Recurrent(Vanilla(), 4, 5)
    before = torch.cat([p.detach().flatten() for p in module.parameters()])
    memory = module.flatten_parameters()
    assert torch.equal(memory.values, before)
    memory.values.copy_(torch.randn(before.shape, generator=generator()))
    memory.gradient.copy_(torch.randn(before.shape, generator=generator(1)))
    assert torch.equal(torch.cat([p.detach().flatten() for p in module.parameters()]), memory.values)
    assert torch.equal(torch.cat([p.grad.flatten() for p in module.parameters()]), memory.gradient)


def test_a_parameter_that_layers_share_is_there_once():
    module = Recurrent(Cell.registry["grid"](tied=True), 5, 5, layers=3)
    names = dict(module.named_parameters(remove_duplicate=False))
    assert len(module.flatten_parameters().values) == sum(p.numel() for p in module.parameters())
    assert len(names) > len(list(module.parameters()))


def test_neighbours_are_one_array_and_others_are_none():
    a, b, c = (torch.nn.Parameter(torch.full((2, 3), float(k))) for k in range(3))
    memory = FlatMemory([a, b, c])
    found = memory.together([a, b])
    assert found is not None
    assert found[0].tolist() == [[0.0] * 3] * 2 + [[1.0] * 3] * 2
    found[1].fill_(7.0)
    assert bool((b.grad == 7.0).all())
    assert memory.together([b, a]) is None
    assert memory.together([a, c]) is None
    assert memory.together([a, None]) is None
    a.data = torch.ones(2, 3)
    assert memory.together([a, b]) is None


def test_a_gradient_that_was_replaced_is_not_used_in_place():
    a, b = (torch.nn.Parameter(torch.ones(2, 3)) for _ in range(2))
    memory = FlatMemory([a, b])
    b.grad = torch.zeros(2, 3)
    assert memory.together([a, b]) is None


def test_a_parameter_given_twice_is_there_once_and_gradients_start_at_zero():
    a, b = (torch.nn.Parameter(torch.ones(2, 3)) for _ in range(2))
    memory = FlatMemory([a, b, a])
    assert len(memory.values) == 12
    assert not memory.gradient.any()


def test_outputs_of_a_call_after_training_are_its_own():
    module, x = Recurrent(Vanilla(), 4, 5), inputs_of().float()
    module.flatten_parameters()
    module.start_training()
    first, _ = module(x, final=False)
    module.end_training()
    kept = first.detach().clone()
    module(2.0 * x, final=False)
    assert torch.equal(first, kept)
    assert first.shape == (T, B, 5)


@pytest.mark.parametrize(("kept", "lengths"), [(10**9, 9), (6 * 5 * sum(range(34, 39)), 5), (0, MOST_SESSIONS)])
def test_buffers_of_as_many_lengths_are_kept_as_fit_into_memory_and_of_a_few_always(monkeypatch, kept, lengths):
    monkeypatch.setattr("variants.layers.recurrent.KEPT_NUMBERS", kept)
    module = Recurrent(Vanilla(), 4, 5)
    module.flatten_parameters()
    module.start_training()
    for steps in range(30, 39):  # of 6 sequences and 5 units
        module(torch.randn(steps, 6, 4, generator=generator()), final=False)[0].sum().backward()
    sessions = (module._sessions or {}).values()
    assert [session.steps for session in sessions] == list(range(39 - lengths, 39))


def test_buffers_that_were_dropped_are_made_again_with_the_same_numbers(monkeypatch):
    found = []
    for kept in (0, 10**9):
        monkeypatch.setattr("variants.layers.recurrent.KEPT_NUMBERS", kept)
        module = Recurrent(Vanilla(), 4, 5, stream=streams(0))
        memory = module.flatten_parameters()
        memory.gradient.zero_()
        module.start_training()
        for steps in [*range(3, 12)] * 2:
            module(torch.randn(steps, 6, 4, generator=generator(steps)), final=False)[0].sum().backward()
        found.append(memory.gradient.clone())
    assert torch.equal(*found)
