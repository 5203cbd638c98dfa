"""mLSTM: its second form in NumPy, its two forms beside each other, its start, and what it refuses."""

import numpy as np
import pytest
import torch

from tests import reference
from tests.variants.cases import INPUTS, B, fill, generator, inputs_of, same
from variants import build
from variants.layers import matrix
from variants.layers.matrix import MLSTM, Memory, Signals, chunked, recurrent

H = 6
over_heads = pytest.mark.parametrize("heads", [1, 2, 6])


def module_of(heads: int = 2, **options):
    module = build(MLSTM(heads=heads), INPUTS, H, **options).double()
    fill(module)
    return module


def signals_of(steps: int, heads: int = 2, size: int = 5, gates: float = 1.0, dtype=torch.float64) -> Signals:
    source = generator(4)
    shape = (B, heads, steps)
    q, k, v = (torch.randn(*shape, size, generator=source, dtype=torch.float64) for _ in "qkv")
    i, f = (gates * torch.randn(shape, generator=source, dtype=torch.float64) for _ in "if")
    made = (q, k / size**0.5, v, i, torch.nn.functional.logsigmoid(f))
    return Signals(*(s.to(dtype).requires_grad_() for s in made))


def memory_of(heads: int = 2, size: int = 5, dtype=torch.float64) -> Memory:
    source = generator(5)
    shapes = ((B, heads, size, size), (B, heads, size), (B, heads))
    return Memory(*(torch.randn(s, generator=source, dtype=torch.float64).to(dtype).requires_grad_() for s in shapes))


@over_heads
def test_outputs_are_those_of_the_second_form(heads):
    module = module_of(heads, layers=2)
    x, start = inputs_of(), module(inputs_of(seed=3))[1]
    outputs, last = module(x, start)
    blocks = [{n: v.detach().numpy() for n, v in part.items()} for part in module.parts]
    states = [{n: v.detach().numpy() for n, v in s._asdict().items()} for s in start]
    expected, ends = reference.run("mlstm", x.numpy(), blocks, states, {"heads": heads})
    same(outputs.detach(), torch.from_numpy(expected))
    for mine, theirs in zip(last, ends, strict=True):
        factor = mine.m.exp().repeat_interleave(H // heads, -1)  # the second form has no stabiliser
        same((mine.n * factor).detach(), torch.from_numpy(theirs["n"]))
        same((mine.c * factor.repeat_interleave(H // heads, -1)).detach(), torch.from_numpy(theirs["c"]))


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)], ids=["64", "32"])
@pytest.mark.parametrize("start", [False, True], ids=["empty", "given"])
@pytest.mark.parametrize("steps", [2, 64, 150])
def test_the_two_forms_give_the_same_answers_and_memories(steps, start, dtype, tolerance):
    signals, memory = signals_of(steps, dtype=dtype), memory_of(dtype=dtype)
    empty = Memory(*(torch.zeros_like(v) for v in memory))
    answers, end = recurrent(signals, memory if start else empty)
    fast, last = chunked(signals, memory if start else None)
    assert (answers - fast).abs().max() <= tolerance * answers.abs().max()
    for one, other in zip(end, last, strict=True):
        assert (one - other).abs().max() <= tolerance * one.abs().max()


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)], ids=["64", "32"])
def test_the_two_forms_give_the_same_gradients(dtype, tolerance):
    signals, memory = signals_of(150, dtype=dtype), memory_of(dtype=dtype)
    weights = torch.randn(B, 2, 150, 5, generator=generator(6), dtype=torch.float64).to(dtype)
    slopes = [
        torch.autograd.grad((form(signals, memory)[0] * weights).sum(), [*signals, *memory])
        for form in (recurrent, chunked)
    ]
    for one, other in zip(*slopes, strict=True):
        assert (one - other).abs().max() <= tolerance * one.abs().max()


@pytest.mark.parametrize("gates", [30.0, 1000.0])
@pytest.mark.parametrize("form", [recurrent, chunked])
def test_answers_and_gradients_stay_finite_where_gates_are_large(form, gates):
    signals, memory = signals_of(100, gates=gates, dtype=torch.float32), memory_of(dtype=torch.float32)
    answers, end = form(signals, memory)
    slopes = torch.autograd.grad(answers.sum() + sum(v.sum() for v in end), [*signals, *memory], allow_unused=True)
    assert all(v.isfinite().all() for v in (answers, *end, *slopes))


@pytest.mark.parametrize("form", [recurrent, chunked])
def test_answers_do_not_depend_on_where_the_stabiliser_starts(form):
    signals, memory = signals_of(9), memory_of()
    shifted = Memory(memory.c * np.exp(-3.0), memory.n * np.exp(-3.0), memory.m + 3.0)
    same(form(signals, shifted)[0].detach(), form(signals, memory)[0].detach())


def test_a_key_gives_the_value_that_was_stored_under_it():
    """With keys at right angles, gates that are open and nothing forgotten."""
    keys = torch.eye(4, dtype=torch.float64).view(1, 1, 4, 4)
    values = torch.randn(1, 1, 4, 4, generator=generator(), dtype=torch.float64)
    signals = Signals(keys[:, :, [0, 1, 2, 1]], keys, values, torch.zeros(1, 1, 4), torch.zeros(1, 1, 4))
    answers, _ = chunked(Signals(*(s.double() for s in signals)), None)
    same(answers[0, 0, 3], values[0, 0, 1])


def test_a_call_of_one_step_takes_the_recurrent_form_and_a_longer_one_the_other(monkeypatch):
    called = []
    for name in ("recurrent", "chunked"):
        form = getattr(matrix, name)
        monkeypatch.setattr(matrix, name, lambda *a, name=name, form=form, **k: (called.append(name), form(*a, **k))[1])
    module = module_of()
    module(inputs_of()[:1])
    module(inputs_of())
    assert called == ["recurrent", "chunked"]


def test_a_gate_of_a_head_starts_as_that_of_its_first_unit_would():
    one, each = (build(MLSTM(heads=h, keep_bias=2.0), INPUTS, H, initialisation="gaussian") for h in (2, H))
    for block in ("W_i", "W_f", "b_i", "b_f"):
        assert torch.equal(one.parts[0][block], each.parts[0][block][::3])
    assert torch.equal(one.parts[0]["W_q"], each.parts[0]["W_q"])


def test_what_is_kept_at_the_start_follows_from_the_bias_of_the_forget_gates():
    assert build(MLSTM(heads=2, keep_bias=2.0), INPUTS, H).kept == pytest.approx(0.8807971)


def test_single_precision_and_double_precision_agree():
    module = module_of()
    outputs = module(inputs_of(steps=150))[0]
    same(module.float()(inputs_of(steps=150).float())[0].double(), outputs, tolerance=1e-4)


@pytest.mark.parametrize("heads", [0, 2.0, True, "2"])
def test_heads_that_are_no_number_of_groups_are_refused(heads):
    with pytest.raises(ValueError, match=f"^mlstm: heads must be a whole number of at least 1, got {heads!r}$"):
        MLSTM(heads=heads)


def test_a_width_that_the_heads_do_not_divide_is_refused():
    with pytest.raises(ValueError, match=r"^mlstm: hidden_size must be divisible by its 4 heads, got 6$"):
        build(MLSTM(heads=4), INPUTS, H)


def test_it_says_why_it_ran_eagerly_only_where_another_engine_could_have_been_hoped_for():
    why = "its memory is a matrix, which no fused kernel holds"
    assert [build(MLSTM(), INPUTS, H, engine=e).why_eager for e in ("auto", "eager")] == [why, ""]
    with pytest.raises(ValueError, match=f"^mlstm: cannot be fused: {why}$"):
        build(MLSTM(), INPUTS, H, engine="fused")
