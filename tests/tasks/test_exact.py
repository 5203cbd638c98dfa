"""Floors and baselines that are computed exactly agree with enumeration, and with tables filled by counting."""

import math
from itertools import product

import pytest
import torch
from torch import Tensor

from tasks import Batch, Task
from tasks.exact import entropy, loss_without_order

SEQUENCES = 20_000


def drawn(name: str, **knobs) -> tuple[Task, Batch]:
    task = Task.registry[name](**knobs)
    return task, task.batch(SEQUENCES, torch.Generator().manual_seed(4))


def check_table(groups: Tensor, targets: Tensor, classes: int, exact: float) -> None:
    """Fit a table of the shares of the classes in each group to half of the answers [N], and compare its mean loss on
    the other half with what was computed: within 4 standard errors, and what the fit of each number costs.
    """
    groups = groups.unique(return_inverse=True)[1]
    fitted, tested = slice(0, None, 2), slice(1, None, 2)
    counts = torch.zeros(int(groups.max()) + 1, classes)
    counts.index_put_((groups[fitted], targets[fitted]), torch.tensor(1.0), accumulate=True)
    shares = (counts + 0.01) / (counts + 0.01).sum(1, keepdim=True)
    losses = -shares[groups[tested], targets[tested]].log()
    error = float(losses.std()) / math.sqrt(len(losses))
    fit = counts.numel() / (2 * len(losses))
    assert exact - 4 * error <= float(losses.mean()) <= exact + 4 * error + 2 * fit


def last_symbols(batch: Batch, count: int) -> Tensor:
    """The last `count` symbols [K, B] before each answer as one number, with a sign of their own before the start."""
    width = batch.inputs.shape[2]
    symbols = torch.where(batch.inputs.any(-1), batch.inputs.argmax(-1), width)
    code = torch.zeros_like(batch.reads)
    for age in range(count):
        step = batch.reads - age
        code = code * (width + 1) + torch.where(step >= 0, symbols.gather(0, step.clamp(min=0)), width)
    return code


@pytest.mark.parametrize(("draws", "symbols"), [(1, 5), (3, 4), (4, 3), (5, 2)])
def test_the_loss_without_order_is_that_of_all_draws(draws: int, symbols: int) -> None:
    found = [entropy(torch.bincount(torch.tensor(drawn)) / draws) for drawn in product(range(symbols), repeat=draws)]
    assert loss_without_order(draws, symbols) == pytest.approx(sum(found) / len(found))


@pytest.mark.parametrize("window", [1, 2, 4])
@pytest.mark.parametrize(
    ("name", "knobs"),
    [
        ("parity", {"lag": 7}),
        ("parity", {"lag": 7, "shortest": 3}),
        ("cycle", {"lag": 6}),
        ("cycle", {"lag": 6, "shortest": 6}),
    ],
    ids=str,
)
def test_a_table_of_the_last_symbols_of_a_walk_has_the_exact_loss(name: str, knobs: dict, window: int) -> None:
    task, batch = drawn(name, **knobs)
    check_table(last_symbols(batch, window)[0], batch.targets[0], task.places, task.loss_of_window(window))


@pytest.mark.parametrize(
    ("name", "window", "measured"),
    [("parity", 1, 0.696), ("parity", 2, 0.678), ("parity", 4, 0.640), ("cycle", 1, 1.61), ("cycle", 2, 1.58)],
)
def test_walks_of_up_to_40_moves_have_the_losses_that_small_tables_had(name: str, window: int, measured: float) -> None:
    assert Task.registry[name](lag=40).loss_of_window(window) == pytest.approx(measured, abs=0.015)


def test_the_floor_of_parity_is_that_of_its_docstring() -> None:
    for lag in (2, 9, 40):
        share = 1 / 2 + 1 / (2 * lag)
        assert Task.registry["parity"](lag=lag).floor == pytest.approx(entropy(torch.tensor([share, 1 - share])))
    assert Task.registry["parity"](lag=9, shortest=2).floor == pytest.approx(math.log(2))


def test_a_window_as_long_as_the_walk_leaves_no_loss() -> None:
    task = Task.registry["cycle"](lag=6)
    assert task.loss_of_window(6) == 0
    assert task.loss_of_window(7) == 0


@pytest.mark.parametrize("window", [1, 2, 4])
def test_a_table_of_the_last_symbols_before_a_run_ends_has_the_exact_loss(window: int) -> None:
    task, batch = drawn("time_warp", lag=6, symbols=4, runs=3)
    exact = {"last 1 symbols": task.floor, **task.baselines()}[f"last {window} symbols"]
    check_table(last_symbols(batch, window).flatten(), batch.targets.flatten(), 4, exact)


def test_the_present_symbol_of_time_warp_tells_one_of_the_classes() -> None:
    task = Task.registry["time_warp"]()
    assert task.floor == pytest.approx(math.log(9))
    assert task.baselines() == pytest.approx(
        {"last 2 symbols": 0.95 * math.log(9), "last 4 symbols": 0.85 * math.log(9)}
    )


def test_more_symbols_than_a_run_has_leave_no_loss() -> None:
    assert Task.registry["time_warp"](lag=2).baselines()["last 4 symbols"] == 0


@pytest.mark.parametrize("digits", [1, 2, 3])
def test_the_answers_of_arithmetic_have_the_shares_of_all_sums_and_differences(digits: int) -> None:
    task, numbers = Task.registry["arithmetic"](digits=digits), torch.arange(10**digits)
    results = torch.cat([(numbers.view(-1, 1) + sign * numbers).flatten() for sign in (1, -1)])
    answers = [10 + (results < 0).long(), *task.written(results.abs(), digits + 1)]
    for share, answer in zip(task.shares(), answers, strict=True):
        torch.testing.assert_close(share, torch.bincount(answer, minlength=12) / len(results), check_dtype=False)
    assert task.floor == pytest.approx(sum(entropy(share) for share in task.shares()) / (digits + 2))


def test_a_table_of_the_present_symbol_and_the_question_has_the_floor_of_arithmetic() -> None:
    task, batch = drawn("arithmetic", lag=5)
    question = torch.arange(4).view(-1, 1)
    check_table((last_symbols(batch, 1) * 4 + question).flatten(), batch.targets.flatten(), 12, task.floor)


def test_many_digits_keep_the_shares_of_arithmetic_exact() -> None:
    for share in Task.registry["arithmetic"](digits=18, lag=37).shares():
        assert float(share.sum()) == pytest.approx(1)
        assert bool((share >= 0).all())


@pytest.mark.parametrize(
    ("name", "symbols", "knobs"),
    [
        ("associative_recall", 8, {"lag": 3}),
        ("associative_recall", 3, {"lag": 2, "pairs": 4, "values": 3, "queries": 1}),
        ("captioning", 4, {"lag": 3, "objects": 3, "colours": 4}),
        ("permuted_copying", 5, {"lag": 3, "length": 3, "symbols": 5}),
        ("selective_copying", 4, {"lag": 9}),
    ],
    ids=str,
)
def test_the_present_input_tells_nothing_and_the_set_of_symbols_what_was_computed(name: str, symbols: int, knobs: dict):
    task, batch = drawn(name, **knobs)
    targets = batch.targets.flatten()
    check_table(last_symbols(batch, 1).flatten(), targets, symbols, task.floor)
    assert task.floor == math.log(symbols)
    first = {"associative_recall": task.input_size - 1 - symbols, "captioning": 3}.get(name, 0)
    counts = batch.inputs[..., first : first + symbols].sum(0).long()
    bag = counts @ 8 ** torch.arange(symbols)
    (exact,) = task.baselines().values()
    check_table(bag.expand_as(batch.targets).flatten(), targets, symbols, exact)
