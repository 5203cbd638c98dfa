"""The end of an update in compiled code: against torch in double precision, for any size, number and stride."""

import math
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from variants.engine.cpu.ending import LOSSES, Ending

SIZES = [  # T, B, H, K, O, P
    (7, 3, 5, 2, 4, 1),
    (7, 3, 1, 1, 1, 1),
    (4, 32, 33, 20, 17, 1),  # more answers than steps, and more than one chunk
    (7, 3, 31, 9, 5, 2),
    (9, 40, 16, 9, 8, 3),
    (2, 3, 7, 3, 256, 2),
]


class Case(NamedTuple):
    loss: str
    sequences: list[Tensor]
    weight: Tensor
    bias: Tensor
    reads: list[Tensor]
    targets: Tensor
    weights: Tensor | None


class Result(NamedTuple):
    loss: float
    weight: Tensor
    bias: Tensor
    states: list[Tensor]
    answers: Tensor


def draw(loss: str, size: tuple[int, ...], *, weighted: bool = False, seed: int = 0) -> Case:
    steps, batch, units, count, answers, shown = size
    generator = torch.Generator().manual_seed(seed)
    normal = lambda *shape: torch.randn(*shape, generator=generator)  # noqa: E731
    targets = {
        "squared_error": normal(count, batch, answers),
        "logistic_squared_error": torch.rand(count, batch, answers, generator=generator),
        "cross_entropy": torch.randint(answers, (count, batch), generator=generator),
        "binary_cross_entropy": torch.rand(count, batch, answers, generator=generator),
    }
    return Case(
        loss,
        [normal(steps, batch, units) for _ in range(shown)],
        normal(answers, shown * units),
        normal(answers),
        [torch.randint(steps, (count, batch), generator=generator) for _ in range(shown)],
        targets[loss],
        torch.rand(count, batch, generator=generator) if weighted else None,
    )


def by_torch(case: Case, scale: float, dtype: torch.dtype = torch.float64) -> Result:
    states, weight, bias = (
        [t.to(dtype).requires_grad_() for t in group] for group in (case.sequences, [case.weight], [case.bias])
    )
    rows = [s.gather(0, r.unsqueeze(-1).expand(*r.shape, s.shape[-1])) for s, r in zip(states, case.reads, strict=True)]
    answers = functional.linear(torch.cat(rows, -1), weight[0], bias[0])
    if case.loss == "cross_entropy":
        each = functional.cross_entropy(answers.flatten(0, 1), case.targets.flatten(), reduction="none")
        each = each.view(case.targets.shape)
    elif case.loss in ("squared_error", "logistic_squared_error"):
        given = answers if case.loss == "squared_error" else answers.sigmoid()
        each = (given - case.targets.to(dtype)).square().sum(-1)
    else:
        targets = case.targets.to(dtype)
        each = functional.binary_cross_entropy_with_logits(answers, targets, reduction="none").sum(-1)
    total = scale * (each if case.weights is None else case.weights.to(dtype) * each).sum()
    total.backward()
    gradients = [t.grad for t in (*weight, *bias, *states)]
    return Result(total.item(), gradients[0], gradients[1], gradients[2:], answers.detach())


def ending(case: Case) -> tuple[Ending, Tensor, Tensor, list[Tensor]]:
    """Returns the ending and what it adds its derivatives to."""
    steps, batch, units = case.sequences[0].shape
    weight, bias = torch.zeros_like(case.weight), torch.zeros_like(case.bias)
    states = [torch.zeros_like(s) for s in case.sequences]
    made = Ending(
        case.loss,
        steps=steps,
        batch=batch,
        units=units,
        answers=len(bias),
        weight=case.weight,
        bias=case.bias,
        weight_gradient=weight,
        bias_gradient=bias,
        sequences=case.sequences,
        derivatives=states,
    )
    return made, weight, bias, states


def compiled(case: Case, scale: float) -> Result:
    made, *gradients = ending(case)
    loss = made.run(case.reads, case.targets, case.weights, scale)
    return Result(loss, *gradients, made.answers)


def tensors(result: Result) -> list[Tensor]:
    return [torch.tensor(result.loss), result.weight, result.bias, *result.states, result.answers]


def check_close(ours: Result, theirs: Result, absolute: float = 1e-9) -> None:
    for mine, right in zip(tensors(ours), tensors(theirs), strict=True):
        assert (mine - right).abs().max() <= 1e-5 * right.abs().max() + absolute


def check_same_kinds(ours: Result, theirs: Result) -> None:
    """Check that the same numbers are finite, infinite with the same sign, and NaN."""
    for mine, right in zip(tensors(ours), tensors(theirs), strict=True):
        assert torch.equal(mine.isnan(), right.isnan())
        assert torch.equal(mine == math.inf, right == math.inf)
        assert torch.equal(mine == -math.inf, right == -math.inf)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_loss_and_derivatives_are_those_of_torch(loss: str, weighted: bool, size: tuple[int, ...]) -> None:
    case = draw(loss, size, weighted=weighted)
    check_close(compiled(case, 0.3), by_torch(case, 0.3))


@given(
    st.sampled_from(LOSSES),
    st.tuples(*(st.integers(1, n) for n in (9, 35, 40, 9, 20, 3))),
    st.booleans(),
    st.integers(0, 99),
)
@settings(max_examples=40, deadline=None)
def test_any_size_gives_the_derivatives_of_torch(loss: str, size: tuple[int, ...], weighted: bool, seed: int) -> None:
    case = draw(loss, size, weighted=weighted, seed=seed)
    check_close(compiled(case, 0.3), by_torch(case, 0.3), absolute=2e-6)  # terms of a sum may cancel


@pytest.mark.parametrize("loss", LOSSES)
def test_derivatives_are_added_to_what_is_there(loss: str) -> None:
    case = draw(loss, SIZES[0])
    made, weight, bias, states = ending(case)
    for tensor in (weight, bias):
        tensor.fill_(2.0)
    made.run(case.reads, case.targets, None, 1.0)
    once = [t.clone() for t in (weight, bias, *states)]
    made.run(case.reads, case.targets, None, 1.0)
    right = by_torch(case, 1.0)
    for first, second, derivative in zip(
        once, (weight, bias, *states), (right.weight, right.bias, *right.states), strict=True
    ):
        torch.testing.assert_close(second - first, derivative.float(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("loss", LOSSES)
def test_derivatives_have_a_scale_of_their_own(loss: str) -> None:
    case = draw(loss, SIZES[0])
    made, weight, *_ = ending(case)
    value = made.run(case.reads, case.targets, None, 0.25, derivative_scale=3.0)
    assert value == pytest.approx(by_torch(case, 0.25).loss, rel=1e-5)
    torch.testing.assert_close(weight, by_torch(case, 3.0).weight.float(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("loss", LOSSES)
def test_arguments_may_have_any_strides(loss: str) -> None:
    case = draw(loss, SIZES[3], weighted=True)

    def spread(tensor: Tensor) -> Tensor:
        """The same numbers with every second place between them, B before K in memory."""
        wide = tensor.transpose(0, 1).repeat_interleave(2, 1)
        return wide[:, ::2].transpose(0, 1)

    strided = case._replace(
        reads=[spread(r) for r in case.reads], targets=spread(case.targets), weights=spread(case.weights)
    )
    assert not strided.targets.is_contiguous()
    assert all(map(torch.equal, tensors(compiled(case, 0.3)), tensors(compiled(strided, 0.3))))


def test_one_step_for_all_sequences_needs_no_copy() -> None:
    case = draw("squared_error", SIZES[0])
    reads = [torch.tensor([[6], [0]]).expand(2, 3)]
    case = case._replace(reads=reads)
    check_close(compiled(case, 0.3), by_torch(case, 0.3))


@pytest.mark.parametrize("loss", LOSSES)
def test_clear_sets_the_rows_of_the_last_run_to_zero_and_no_others(loss: str) -> None:
    case = draw(loss, SIZES[3])
    made, _, _, states = ending(case)
    made.run(case.reads, case.targets, None, 1.0)
    assert all(s.any() for s in states)
    for state, read in zip(states, case.reads, strict=True):
        state[[t for t in range(7) if t not in read[:, 0]], 0] = 5.0
    made.clear()
    for state, read in zip(states, case.reads, strict=True):
        assert state.sum() == 5.0 * 31 * (7 - len(read[:, 0].unique()))


def test_another_number_of_answers_needs_no_other_ending() -> None:
    large, small = (draw("cross_entropy", (7, 3, 5, count, 4, 1)) for count in (40, 2))
    small = large._replace(reads=[r[:2] for r in large.reads], targets=large.targets[:2])
    made, *_ = ending(large)
    for case in (small, large, small):
        assert made.run(case.reads, case.targets, None, 1.0) == compiled(case, 1.0).loss
        assert made.answers.shape == (len(case.targets), 3, 4)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("where", ["sequences", "weight", "bias", "targets", "weights"])
@pytest.mark.parametrize("size", [SIZES[0], SIZES[1], (4, 32, 8, 7, 8, 2)])
def test_numbers_that_are_not_finite_stay_so(loss: str, value: float, where: str, size: tuple[int, ...]) -> None:
    case = draw(loss, size, weighted=True)
    if where == "targets" and loss == "cross_entropy":
        pytest.skip("its targets are classes")
    if where == "sequences":
        case.sequences[0][case.reads[0][0, 0], 0, 0] = value
    else:
        getattr(case, where).view(-1)[0] = value
    check_same_kinds(compiled(case, 0.3), by_torch(case, 0.3, torch.float32))


@pytest.mark.parametrize("logits", [[1.0, -math.inf, 2.0], [-math.inf] * 3, [math.inf, 0.0, 1.0], [200.0, 0.0, -200.0]])
@pytest.mark.parametrize("target", [0, 1, 2])
def test_endless_logits_give_the_cross_entropy_of_torch(logits: list[float], target: int) -> None:
    case = draw("cross_entropy", (1, 1, 1, 1, 3, 1))
    case.weight.zero_()
    case.bias.copy_(torch.tensor(logits))
    case.targets.fill_(target)
    ours, theirs = compiled(case, 1.0), by_torch(case, 1.0, torch.float32)
    check_same_kinds(ours, theirs)
    torch.testing.assert_close(ours.bias, theirs.bias, equal_nan=True)


@pytest.mark.parametrize("logit", [1e4, 90.0, 20.0, 1e-3, 0.0, -1e-3, -20.0, -90.0, -1e4])
@pytest.mark.parametrize("target", [0.0, 0.25, 1.0])
def test_long_logits_give_the_binary_cross_entropy_of_torch(logit: float, target: float) -> None:
    case = draw("binary_cross_entropy", (1, 1, 1, 1, 1, 1))
    case.weight.zero_()
    case.bias.fill_(logit)
    case.targets.fill_(target)
    ours, theirs = compiled(case, 1.0), by_torch(case, 1.0)
    assert ours.loss == pytest.approx(theirs.loss, rel=1e-6)
    assert float(ours.bias) == pytest.approx(float(theirs.bias), rel=1e-6, abs=1e-7)


@pytest.mark.parametrize("weighted_by", [0.0, 2.0])
def test_a_weight_multiplies_the_loss_as_in_torch(weighted_by: float) -> None:
    case = draw("squared_error", SIZES[0], weighted=True)
    case.targets[0, 0] = math.nan
    case.weights[0, 0] = weighted_by
    assert math.isnan(compiled(case, 1.0).loss)


@pytest.mark.parametrize("target", [-(2**62), -100, -1, 4, 2**32, 2**62])
def test_a_class_that_is_none_gives_nan_and_writes_nowhere_else(target: int) -> None:
    case = draw("cross_entropy", SIZES[0])
    case.targets[1, 2] = target
    result = compiled(case, 1.0)
    assert math.isnan(result.loss)
    others = torch.ones(7, 3, dtype=torch.bool)
    others[case.reads[0][1, 2], 2] = False
    assert result.states[0][others].isfinite().all()


@pytest.mark.parametrize("step", [-(2**40), -1, 7, 2**40])
def test_a_step_that_is_none_gives_nan_and_writes_nowhere(step: int) -> None:
    case = draw("squared_error", SIZES[0])
    case.reads[0][1, 2] = step
    made, _, _, states = ending(case)
    assert math.isnan(made.run(case.reads, case.targets, None, 1.0))
    assert states[0].isfinite().all()
    made.clear()
    assert not states[0].any()


@pytest.mark.parametrize("loss", LOSSES)
def test_nothing_is_read_or_written_outside_of_the_arrays(loss: str) -> None:
    size = (4, 9, 7, 5, 3, 2)
    right, case = compiled(draw(loss, size, weighted=True), 1.0), draw(loss, size, weighted=True)
    hidden = []

    def inside(tensor: Tensor, between: float = math.nan) -> Tensor:
        """The same tensor in the middle of memory that holds something else."""
        memory = torch.full((tensor.numel() + 128,), between, dtype=tensor.dtype)
        hidden.append((memory, tensor.numel(), between))
        return memory[64:-64].view(tensor.shape).copy_(tensor)

    case = case._replace(
        sequences=[inside(s) for s in case.sequences],
        weight=inside(case.weight),
        bias=inside(case.bias),
        reads=[inside(r, 99) for r in case.reads],
        targets=inside(case.targets, 99),
        weights=inside(case.weights),
    )
    gradients = [inside(torch.zeros_like(t)) for t in (case.weight, case.bias, *case.sequences)]
    made = Ending(
        loss,
        steps=4,
        batch=9,
        units=7,
        answers=3,
        weight=case.weight,
        bias=case.bias,
        weight_gradient=gradients[0],
        bias_gradient=gradients[1],
        sequences=case.sequences,
        derivatives=gradients[2:],
    )
    assert made.run(case.reads, case.targets, case.weights, 1.0) == right.loss
    assert all(map(torch.equal, gradients, (right.weight, right.bias, *right.states)))
    made.clear()
    for memory, count, between in hidden:
        margin = torch.cat([memory[:64], memory[64 + count :]])
        assert torch.equal(margin.nan_to_num(99), torch.full_like(margin, between).nan_to_num(99))


@pytest.mark.parametrize("loss", LOSSES)
def test_same_inputs_give_the_same_bits_in_any_thread(loss: str) -> None:
    case = draw(loss, SIZES[2], weighted=True)
    first = compiled(case, 0.3)
    with ThreadPoolExecutor(2) as threads:
        others = [compiled(case, 0.3), *threads.map(lambda _: compiled(case, 0.3), range(2))]
    for other in others:
        assert all(map(torch.equal, tensors(first), tensors(other)))


def test_what_a_kernel_cannot_read_is_refused() -> None:
    case = draw("squared_error", SIZES[0])
    made, *_ = ending(case)
    for reads, targets, weights in (
        ([], case.targets, None),
        ([case.reads[0].int()], case.targets, None),
        (case.reads, case.targets[:1], None),
        (case.reads, case.targets.double(), None),
        (case.reads, case.targets, torch.ones(2, 4)),
        ([case.reads[0][:, :2]], case.targets[:, :2], None),
        ([case.reads[0][:0]], case.targets[:0], None),
    ):
        with pytest.raises(ValueError, match="squared_error: the steps read must be int64"):
            made.run(reads, targets, weights, 1.0)


def test_tensors_that_do_not_fit_are_refused() -> None:
    case = draw("squared_error", SIZES[0])
    with pytest.raises(ValueError, match=r"needs weight as contiguous float32 \[4, 5\]"):
        ending(case._replace(weight=case.weight.t().contiguous().t()))
    with pytest.raises(ValueError, match=r"needs sequence as contiguous float32 \[7, 3, 5\]"):
        ending(case._replace(sequences=[case.sequences[0].double()]))
    with pytest.raises(ValueError, match="loss must be one of squared_error, logistic_squared_error"):
        ending(case._replace(loss="hinge"))
