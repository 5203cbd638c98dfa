"""Every task keeps the contract, has the floor it states, and asks for information that is `lag` steps old.

Most claims run over the registry. A new task is covered once it has an entry in `LEAST` and in `AGE`.
"""

import ast
import inspect
import math
import re
import string
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor

import tasks
from tasks import Batch, Task
from tasks.task import Classification, Density, Regression

SYNTHETIC = sorted(name for name, cls in Task.registry.items() if cls.__module__.startswith("tasks.synthetic."))
NAMES = [name for name in SYNTHETIC if not issubclass(Task.registry[name], Density)]
"""Tasks with a right answer; `test_densities.py` has the others."""
LAGS = (40, 75)
MANY = 10_000
TOLERANCE = 0.05
"""Relative, of losses measured on MANY sequences: the standard error is at most 1.3 %, and a last input that
says something (`adding`: it
may be marked) may lower the loss by 1 / lag = 2.5 %."""

FEWER = {"arithmetic": 4000, "associative_recall": 4000, "time_warp": 3000, "xml": 3000}
"""How many sequences stand for MANY where a sequence has many steps and several answers."""

LEAST = {
    "adding": {"lag": 2},
    "adding_1997": {"lag": 20},
    "arithmetic": {"lag": 5, "digits": 1, "distractors": 1},
    "associative_recall": {"lag": 1, "pairs": 1, "keys": 1, "values": 2, "queries": 0},
    "captioning": {"lag": 1, "objects": 1, "colours": 2},
    "copying": {"lag": 1, "length": 1, "symbols": 2},
    "cycle": {"lag": 2, "shortest": 1},
    "delayed_recall": {"lag": 1, "symbols": 2, "distractors": 1, "cues": 1},
    "embedded_reber": {"lag": 5},
    "joint_bits": {"lag": 1, "after": 1},
    "long_lag": {"lag": 1, "distractors": 1},
    "long_lag_next": {"lag": 2},
    "multiplication": {"lag": 20},
    "parity": {"lag": 2, "shortest": 1},
    "permuted_copying": {"lag": 1, "length": 1, "symbols": 2},
    "selective_copying": {"lag": 1, "length": 1, "symbols": 2},
    "temporal_order": {"lag": 10},
    "temporal_order_3": {"lag": 10},
    "time_warp": {"lag": 1, "symbols": 3, "runs": 2},
    "xml": {"lag": 15, "tags": 1, "length": 1, "letters": 2},
    "two_sequence": {"lag": 2, "signals": 1},
}
"""Smallest value of every knob that is a number."""

OF_THE_LOSS = {"logistic"}
"""Knobs, true or false, that change the loss and not the batch."""

TOLD_BY_THE_LAST_INPUT = {"cycle", "parity", "time_warp"}
"""Tasks whose last input tells a little of the answer, which their floor takes into account."""

BLANK = {"associative_recall", "captioning", "copying", "permuted_copying", "selective_copying", "xml"}
"""Tasks whose inputs are all the same where they are not relevant."""

WHOLE = {"cycle", "parity", "time_warp"}
"""Tasks in which every input is relevant."""

SWITCHES = {"noisy_signals", "noisy_targets", "random"}
"""Knobs, true or false, that change the batch."""

WIDE = {"long_lag": 1000, "long_lag_next": 1000}
"""How many sequences are drawn instead of MANY where they would fill the memory."""

GAUSSIAN = {"two_sequence"}
"""Tasks whose inputs have no largest value."""


def first_mark(batch: Batch) -> Tensor:
    return (batch.inputs[..., 1] == 1).int().argmax(0)


def first_relevant_symbol(batch: Batch) -> Tensor:
    return (batch.inputs[..., 6:].sum(-1) == 1).int().argmax(0)


def position_in_list(batch: Batch) -> Tensor:
    return torch.arange(10).view(-1, 1)


def asked_cue(batch: Batch) -> Tensor:
    return torch.zeros_like(batch.reads[0])


def first_step(batch: Batch) -> Tensor:
    return torch.zeros_like(batch.reads)


def first_character(batch: Batch) -> Tensor:
    return (batch.inputs[..., :12].sum(-1) == 1).int().argmax(0)


def value_of_the_key(batch: Batch) -> Tensor:
    """One step after the key was first seen."""
    keys = batch.inputs[..., :8]
    asked = keys.gather(0, batch.reads.unsqueeze(-1).expand(-1, -1, 8))
    return 1 + torch.einsum("tbk,qbk->qtb", keys, asked).argmax(1)


def object_of_the_kind(batch: Batch) -> Tensor:
    return batch.inputs[:5, :, :5].argmax(0).T


def place_that_is_asked(batch: Batch) -> Tensor:
    return batch.inputs[-5:, :, 8:13].argmax(-1)


def outermost_name(batch: Batch) -> Tensor:
    """That of the last answer."""
    return torch.ones_like(batch.reads[-1:])


def kept_symbols(batch: Batch) -> Tensor:
    steps = (batch.inputs[..., :4].sum(-1) == 1).T.nonzero()[:, 1]
    return steps.view(batch.inputs.shape[1], -1).T


def end_of_the_run_before(batch: Batch) -> Tensor:
    same = (batch.inputs * batch.inputs.gather(0, batch.reads[-1].view(1, -1, 1).expand(1, -1, 10))).sum(-1)
    steps = torch.arange(len(same)).view(-1, 1)
    return torch.where((same == 0) & (steps < batch.reads[-1]), steps, -1).amax(0, keepdim=True)


def second_symbol(batch: Batch) -> Tensor:
    return torch.ones_like(batch.reads[0])


AGE = {
    "adding": (first_mark, lambda lag: (lag - lag // 2, lag - 1)),
    "adding_1997": (first_mark, lambda lag: (lag - lag // 2, lag + lag // 10 - 2)),
    "arithmetic": (first_character, lambda lag: (5, lag + 3)),
    "associative_recall": (value_of_the_key, lambda lag: (lag, lag + 6)),
    "captioning": (object_of_the_kind, lambda lag: (lag, lag + 8)),
    "copying": (position_in_list, lambda lag: (lag + 10, lag + 10)),
    "cycle": (first_step, lambda lag: (0, lag - 1)),
    "delayed_recall": (asked_cue, lambda lag: (lag, lag)),
    "embedded_reber": (second_symbol, lambda lag: (lag, lag)),
    "long_lag": (second_symbol, lambda lag: (lag + 1, math.inf)),
    "long_lag_next": (asked_cue, lambda lag: (lag - 1, lag - 1)),
    "multiplication": (first_mark, lambda lag: (lag - lag // 2, lag + lag // 10 - 2)),
    "parity": (first_step, lambda lag: (0, lag - 1)),
    "permuted_copying": (place_that_is_asked, lambda lag: (lag, lag + 8)),
    "selective_copying": (kept_symbols, lambda lag: (3, lag)),
    "temporal_order": (first_relevant_symbol, lambda lag: (0.8 * lag - 1, lag)),
    "temporal_order_3": (first_relevant_symbol, lambda lag: (0.8 * lag - 1, lag)),
    "time_warp": (end_of_the_run_before, lambda lag: (1, lag)),
    "xml": (outermost_name, lambda lag: (lag - 2, lag - 2)),
    "two_sequence": (asked_cue, lambda lag: (lag - 1, lag + lag // 10 - 1)),
}
"""The earliest step that each answer needs, and the least and greatest number of steps between it and the answer."""

RECALLED = {"embedded_reber": slice(-2, -1), "long_lag_next": slice(-1, None)}
"""The answers that need the memory, where others are asked as well."""


def recalled(name: str, values: Tensor) -> Tensor:
    """Targets or reads of the answers that need the memory."""
    return values[RECALLED.get(name, slice(None))]


def draw(task: Task, size: int = 5, seed: int = 1) -> Batch:
    return task.batch(size, torch.Generator().manual_seed(seed))


@cache
def large(name: str, lag: int, size: int = MANY) -> tuple[Task, Batch]:
    task = Task.registry[name](lag=lag)
    return task, draw(task, min(size, FEWER.get(name, size), WIDE.get(name, size)))


def perfect(task: Task, batch: Batch) -> Tensor:
    """The answers of a model that has found the rule."""
    answers = task.oracle(batch)
    if isinstance(task, Classification):
        return 50.0 * torch.nn.functional.one_hot(answers, task.output_size).float()
    return answers


def best_constant(task: Task, batch: Batch) -> Tensor:
    """The best answers that do not depend on the sequence, one for each question, fitted to the batch itself."""
    if isinstance(task, Classification):
        shares = torch.nn.functional.one_hot(batch.targets, task.output_size).float().mean(1, keepdim=True)
        answers = shares.clamp(min=1e-9).log()
    else:
        answers = batch.targets.mean(1, keepdim=True)
    return answers.expand(-1, batch.inputs.shape[1], -1)


def best_from_last_input(task: Task, batch: Batch) -> Tensor:
    """The best answers that depend on the question and the input at the step of the answer only, fitted to the batch
    itself. To predict the next step such a model needs no question, and does not know at which step it is.
    """
    inputs = batch.inputs.gather(0, batch.reads.unsqueeze(-1).expand(-1, -1, task.input_size))
    if isinstance(task, Classification):
        kind = inputs.argmax(-1)
        wanted = torch.nn.functional.one_hot(batch.targets, task.output_size).float()
    else:
        kind = ((inputs[..., 0].clamp(-1, 1) + 1) * 5).long() * 3 + inputs[..., 1:].sum(-1).long() + 1
        wanted = batch.targets
    group = kind if task.causal else kind + torch.arange(len(kind)).view(-1, 1) * (int(kind.max()) + 1)
    groups = int(group.max()) + 1
    totals = torch.zeros(groups, wanted.shape[-1]).index_add_(0, group.flatten(), wanted.flatten(0, 1))
    means = totals / torch.bincount(group.flatten(), minlength=groups).clamp(min=1).view(-1, 1)
    answers = means[group]
    return answers.clamp(min=1e-9).log() if isinstance(task, Classification) else answers


def best_without_memory(task: Task, batch: Batch) -> Tensor:
    return best_from_last_input(task, batch) if task.causal else best_constant(task, batch)


def with_probability(task: Task, batch: Batch, probability: float) -> Tensor:
    """Log-probabilities that give every right answer `probability`, and 1 where the answer is the same for all
    sequences.
    """
    right = torch.nn.functional.one_hot(batch.targets, task.output_size).bool()
    answers = torch.where(right, probability, (1 - probability) / (task.output_size - 1))
    known = (batch.targets == batch.targets[:, :1]).all(1)
    answers[known] = right[known].float()
    return answers.clamp(min=1e-30).log()


def knobs(name: str) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(Task.registry[name]).parameters)


# The contract.


@pytest.mark.parametrize("lag", LAGS)
@pytest.mark.parametrize("name", SYNTHETIC)
def test_shapes_and_types_are_those_of_the_contract(name, lag):
    task = Task.registry[name](lag=lag)
    inputs, targets, reads, lengths, *_ = draw(task, size=5)
    answers, steps = len(reads), len(inputs)
    assert inputs.shape == (steps, 5, task.input_size)
    assert inputs.dtype == torch.float32
    assert reads.shape == (answers, 5)
    assert reads.dtype == torch.int64
    if isinstance(task, Regression | Density):
        assert targets.shape == (answers, 5, task.output_size)
        assert targets.dtype == torch.float32
    else:
        assert targets.shape == (answers, 5)
        assert targets.dtype == torch.int64
        assert 0 <= int(targets.min()) <= int(targets.max()) < task.output_size
    if lengths is not None:
        assert lengths.shape == (5,)
        assert lengths.dtype == torch.int64


@pytest.mark.parametrize("lag", LAGS)
@pytest.mark.parametrize("name", SYNTHETIC)
def test_inputs_are_finite_and_at_most_one(name, lag):
    _, batch = large(name, lag)
    assert float(batch.inputs.abs().max()) == 1 or name in GAUSSIAN
    assert bool(batch.inputs.isfinite().all())


@pytest.mark.parametrize("lag", LAGS)
@pytest.mark.parametrize("name", SYNTHETIC)
def test_every_answer_is_read_within_the_sequence(name, lag):
    _, batch = large(name, lag)
    ends = len(batch.inputs) if batch.lengths is None else batch.lengths
    assert bool((batch.reads >= 0).all())
    assert bool((batch.reads < ends).all())


@pytest.mark.parametrize("name", SYNTHETIC)
def test_the_last_answer_is_read_at_the_last_step(name):
    _, batch = large(name, 40)
    ends = len(batch.inputs) if batch.lengths is None else batch.lengths
    assert bool((batch.reads[-1] == ends - 1).all())


@pytest.mark.parametrize("lag", LAGS)
@pytest.mark.parametrize("name", SYNTHETIC)
def test_inputs_after_the_end_of_a_sequence_are_zero(name, lag):
    _, batch = large(name, lag)
    if batch.lengths is not None:
        after = torch.arange(len(batch.inputs)).view(-1, 1) >= batch.lengths
        assert not batch.inputs[after].any()


@pytest.mark.parametrize("lag", LAGS)
@pytest.mark.parametrize(
    "name", ["adding_1997", "multiplication", "temporal_order", "temporal_order_3", "two_sequence"]
)
def test_random_lengths_cover_lag_to_a_tenth_more(name, lag):
    _, batch = large(name, lag)
    assert batch.lengths.unique().tolist() == list(range(lag, lag + lag // 10 + 1))
    assert len(batch.inputs) == lag + lag // 10, "the number of steps must not depend on the lengths drawn"


@pytest.mark.parametrize("lag", LAGS)
@pytest.mark.parametrize("name", NAMES)
def test_the_oracle_reads_the_targets_off_the_inputs(name, lag):
    task, batch = large(name, lag)
    torch.testing.assert_close(task.oracle(batch), batch.targets, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", SYNTHETIC)
def test_loss_is_a_scalar_that_gradients_flow_through(name):
    task = Task.registry[name](lag=40)
    batch = draw(task, size=3)
    answers = torch.zeros(*batch.reads.shape, task.output_size, requires_grad=True)
    loss = task.loss(answers, batch)
    assert loss.shape == ()
    loss.backward()
    assert bool(answers.grad.any())


@pytest.mark.parametrize("name", SYNTHETIC)
def test_metrics_are_plain_numbers_and_hold_the_loss(name):
    task = Task.registry[name](lag=40)
    batch = draw(task, size=3)
    answers = torch.randn(*batch.reads.shape, task.output_size, generator=torch.Generator().manual_seed(2))
    metrics = task.metrics(answers, batch)
    assert {type(v) for v in metrics.values()} == {float}
    assert metrics["loss"] == pytest.approx(float(task.loss(answers, batch)))


# Floors.


@pytest.mark.parametrize("lag", LAGS)
@pytest.mark.parametrize("name", NAMES)
def test_the_best_answer_without_memory_has_the_floor_loss(name, lag):
    task, batch = large(name, lag)
    best = best_from_last_input if name in TOLD_BY_THE_LAST_INPUT else best_without_memory
    assert float(task.loss(best(task, batch), batch)) == pytest.approx(task.floor, rel=TOLERANCE)


@pytest.mark.parametrize("lag", LAGS)
@pytest.mark.parametrize("name", NAMES)
def test_seeing_the_last_input_does_not_beat_the_floor(name, lag):
    task, batch = large(name, lag)
    loss = float(task.loss(best_from_last_input(task, batch), batch))
    assert loss > (1 - TOLERANCE) * task.floor, (
        f"{name} can be answered from the last input: {loss} is below the floor {task.floor}"
    )


@pytest.mark.parametrize("name", sorted(TOLD_BY_THE_LAST_INPUT))
def test_a_constant_answer_is_worse_than_a_floor_that_counts_the_last_input(name):
    task = Task.registry[name](lag=4)
    batch = draw(task, MANY)
    assert float(task.loss(best_constant(task, batch), batch)) > 1.005 * task.floor


@pytest.mark.parametrize(
    ("name", "floor"),
    [
        ("adding", (1 - 1 / 100) / 6),
        ("adding_1997", (2 - 0.1 - 0.9 / 49) / 48),
        ("arithmetic", 1.4209),
        ("associative_recall", math.log(8)),
        ("captioning", math.log(8)),
        ("cycle", 1.6061),
        ("parity", 0.6928),
        ("permuted_copying", math.log(8)),
        ("selective_copying", math.log(4)),
        ("time_warp", math.log(9)),
        ("xml", math.log(8)),
        ("multiplication", 0.0592),
        ("copying", 10 * math.log(8) / 120),
        ("delayed_recall", math.log(8)),
        ("embedded_reber", 1.1071),
        ("long_lag", math.log(2)),
        ("long_lag_next", 4.612),
        ("temporal_order", math.log(4)),
        ("temporal_order_3", math.log(8)),
        ("two_sequence", 0.25),
    ],
)
def test_floor_of_default_knobs_is_the_documented_number(name, floor):
    assert Task.registry[name]().floor == pytest.approx(floor, rel=1e-3)


@pytest.mark.parametrize("lag", [2, 5, 30])
def test_the_best_model_of_the_last_input_of_adding_knows_one_number_where_it_is_marked(lag):
    task = Task.registry["adding"](lag=lag)
    batch = draw(task, MANY)
    last, marked = batch.inputs[-1].unbind(-1)
    best = torch.where(marked == 1, last + 0.5, 1.0).view(1, -1, 1)
    assert float(task.loss(best, batch)) == pytest.approx(task.floor, rel=TOLERANCE)


def test_1997_floors_without_lost_marks_are_those_of_two_uniform_numbers():
    assert Task.registry["adding_1997"]().variance(0.0) == pytest.approx(1 / 24)
    assert Task.registry["multiplication"]().variance(0.0) == pytest.approx(7 / 144)


def test_knowing_one_of_two_numbers_halves_the_floor_of_adding():
    task, batch = large("adding", 40)
    values, markers = batch.inputs.unbind(-1)
    known = (values * markers)[:20].sum(0).view(1, -1, 1)
    assert float(task.loss(known + 0.5, batch)) == pytest.approx(1 / 12, rel=TOLERANCE)


# Criteria and score.


@pytest.mark.parametrize("lag", LAGS)
@pytest.mark.parametrize("name", NAMES)
def test_right_answers_count_as_solved(name, lag):
    task, batch = large(name, lag)
    metrics = task.metrics(perfect(task, batch), batch)
    assert task.solved(metrics)
    assert metrics.get("published", 1.0) == 1.0


@pytest.mark.parametrize("lag", LAGS)
@pytest.mark.parametrize("name", NAMES)
def test_the_best_answer_without_memory_does_not_count_as_solved(name, lag):
    task, batch = large(name, lag)
    metrics = task.metrics(best_constant(task, batch), batch)
    assert not task.solved(metrics)
    assert metrics.get("published", 0.0) == 0.0


@pytest.mark.parametrize("lag", LAGS)
@pytest.mark.parametrize("name", SYNTHETIC)
def test_answers_that_are_not_numbers_do_not_count_as_solved(name, lag):
    task, batch = large(name, lag, 500)
    answers = torch.full((*batch.reads.shape, task.output_size), math.nan)
    metrics = task.metrics(answers, batch)
    assert not task.solved(metrics)
    assert metrics.get("published", 0.0) == 0.0


@pytest.mark.parametrize("lag", LAGS)
@pytest.mark.parametrize("name", SYNTHETIC)
def test_score_is_0_at_the_floor_and_1_at_solved(name, lag):
    task = Task.registry[name](lag=lag)
    assert task.score(task.floor) == 0
    assert task.score(task.solved_loss) == 1


@pytest.mark.parametrize("name", SYNTHETIC)
def test_score_falls_with_the_loss_and_stays_within_0_and_1(name):
    task = Task.registry[name]()
    losses = [
        0.0,
        task.solved_loss / 2,
        *torch.linspace(task.solved_loss, task.floor, 9).tolist(),
        2 * task.floor,
        math.inf,
    ]
    scores = [task.score(loss) for loss in losses]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] == 1
    assert scores[-1] == 0
    assert 0 < task.score((task.solved_loss + task.floor) / 2) < 1


@pytest.mark.parametrize("name", SYNTHETIC)
def test_score_of_a_diverged_loss_is_0(name):
    assert Task.registry[name]().score(math.nan) == 0


@pytest.mark.parametrize("lag", LAGS)
@pytest.mark.parametrize(
    "name", [n for n in NAMES if issubclass(Task.registry[n], Classification) and n not in RECALLED]
)
def test_solved_loss_is_the_loss_of_right_answers_with_probability_99_percent(name, lag):
    task, batch = large(name, lag)
    assert float(task.loss(with_probability(task, batch, 0.99), batch)) == pytest.approx(task.solved_loss, rel=1e-3)


@pytest.mark.parametrize("name", [n for n in NAMES if issubclass(Task.registry[n], Classification)])
def test_classification_is_solved_at_99_percent_of_the_asked_answers(name):
    task, batch = large(name, 40)
    varying = ~(batch.targets == batch.targets[:, :1]).all(1)
    for share, expected in ((0.005, True), (0.02, False)):
        answers = perfect(task, batch).clone()
        sequences = batch.inputs.shape[1]
        missed = varying.view(-1, 1) & (torch.arange(sequences) < share * sequences)
        answers[missed] = answers[missed].roll(1, -1)
        assert task.solved(task.metrics(answers, batch)) is expected


@pytest.mark.parametrize(("error", "solved"), [(0.099, True), (0.101, False)])
def test_adding_is_solved_below_a_squared_error_of_a_hundredth(error, solved):
    task, batch = large("adding", 40)
    assert task.solved(task.metrics(batch.targets + error, batch)) is solved


@pytest.mark.parametrize(
    ("error", "wrong", "solved"),
    [(0.009, 0, True), (0.009, 1, False), (0.011, 0, False)],
    ids=["all right and a small mean error", "one of 2000 wrong", "mean error too large"],
)
def test_adding_1997_is_solved_as_published(error, wrong, solved):
    task = Task.registry["adding_1997"]()
    batch = draw(task, task.evaluation_size)
    answers = batch.targets + error
    answers[:, :wrong] += 0.04
    metrics = task.metrics(answers, batch)
    assert metrics["wrong"] == pytest.approx(wrong / 2000)
    assert metrics["published"] == solved
    assert task.solved(metrics) is solved


@pytest.mark.parametrize(
    ("error", "wrong", "published", "solved"),
    [(1.0, 139, True, True), (1.0, 140, False, False), (0.065, 2000, False, True), (0.075, 2000, False, False)],
    ids=["139 of 2000 wrong", "140 of 2000 wrong", "squared error below .005", "squared error above .005"],
)
def test_multiplication_is_solved_as_published_or_below_its_squared_error(error, wrong, published, solved):
    task = Task.registry["multiplication"]()
    batch = draw(task, task.evaluation_size)
    answers = batch.targets.clone()
    answers[:, :wrong] += error
    metrics = task.metrics(answers, batch)
    assert metrics["published"] == published
    assert task.solved(metrics) is solved


@pytest.mark.parametrize("name", ["temporal_order", "temporal_order_3"])
@pytest.mark.parametrize(
    ("probability", "worst", "published"),
    [(0.91, 0.71, 1.0), (0.91, 0.69, 0.0), (0.89, 0.89, 0.0)],
    ids=["all right and a small mean error", "one of 2000 wrong", "mean error too large"],
)
def test_temporal_order_reports_the_published_criterion(name, probability, worst, published):
    task = Task.registry[name]()
    batch = draw(task, task.evaluation_size)
    answers = with_probability(task, batch, probability)
    answers[:, :1] = with_probability(task, batch, worst)[:, :1]
    metrics = task.metrics(answers, batch)
    assert metrics["accuracy"] == 1
    assert metrics["published"] == published


@pytest.mark.parametrize("name", ["temporal_order", "temporal_order_3"])
def test_temporal_order_error_is_the_largest_over_the_outputs(name):
    task, batch = large(name, 40, 500)
    answers = torch.randn(1, 500, task.output_size, generator=torch.Generator().manual_seed(3))
    wanted = torch.nn.functional.one_hot(batch.targets, task.output_size)
    largest = (answers.softmax(-1) - wanted).abs().amax(-1)
    metrics = task.metrics(answers, batch)
    assert metrics["absolute_error"] == pytest.approx(float(largest.mean()), rel=1e-5)
    assert metrics["wrong"] == pytest.approx(float((largest >= 0.3).float().mean()))


# Logistic outputs.


@pytest.mark.parametrize("name", ["adding_1997", "multiplication"])
def test_a_logistic_answer_is_that_of_the_squashed_output(name):
    linear, squashed = Task.registry[name](), Task.registry[name](logistic=True)
    batch = draw(linear, 7)
    outputs = torch.randn(1, 7, 1, generator=torch.Generator().manual_seed(2))
    assert squashed.metrics(outputs, batch) == linear.metrics(1 / (1 + torch.exp(-outputs)), batch)
    assert float(squashed.loss(outputs, batch)) == float(linear.loss(outputs.sigmoid(), batch))


@pytest.mark.parametrize(("name", "floor"), [("temporal_order", 3 / 16), ("temporal_order_3", 7 / 64)])
def test_four_or_eight_logistic_outputs_without_memory_have_the_documented_loss(name, floor):
    task = Task.registry[name](logistic=True)
    batch = draw(task, 5)
    constant = torch.full((1, 5, task.output_size), -math.log(task.output_size - 1))  # s of it is 1 / outputs
    assert task.floor == floor
    assert float(task.loss(constant, batch)) == pytest.approx(floor, rel=1e-6)


def test_logistic_outputs_learn_one_for_the_right_class_by_the_mean_squared_error():
    task = Task.registry["temporal_order"](logistic=True)
    batch = draw(task, 1)._replace(targets=torch.tensor([[2]]))
    outputs = torch.log(torch.tensor([[[0.1 / 0.9, 0.2 / 0.8, 0.6 / 0.4, 0.5 / 0.5]]]))
    metrics = task.metrics(outputs, batch)
    assert metrics["loss"] == pytest.approx((0.01 + 0.04 + 0.16 + 0.25) / 4)
    assert metrics["absolute_error"] == pytest.approx((0.1 + 0.2 + 0.4 + 0.5) / 4)
    assert (metrics["wrong"], metrics["accuracy"], metrics["published"]) == (1.0, 1.0, 0.0)


@pytest.mark.parametrize(
    ("error", "worst", "solved"),
    [(0.09, 0.29, True), (0.09, 0.31, False), (0.11, 0.11, False)],
    ids=["all right and a small mean error", "one of 2000 wrong", "mean error too large"],
)
def test_temporal_order_with_logistic_outputs_is_solved_as_published(error, worst, solved):
    task = Task.registry["temporal_order"](logistic=True)
    batch = draw(task, task.evaluation_size)
    wanted = torch.nn.functional.one_hot(batch.targets, 4).float()
    answers = wanted + error * (1 - 2 * wanted)
    answers[:, 0, 0] = (wanted + worst * (1 - 2 * wanted))[:, 0, 0]
    metrics = task.metrics(torch.logit(answers), batch)
    assert metrics["published"] == solved
    assert task.solved(metrics) is solved


@pytest.mark.parametrize("name", ["adding_1997", "multiplication", "temporal_order", "temporal_order_3"])
def test_published_criteria_are_judged_on_2000_sequences(name):
    assert Task.registry[name].evaluation_size == 2000


def test_copying_reports_the_recall_beside_all_answers():
    task, batch = large("copying", 40)
    blank = torch.zeros(*batch.reads.shape, 9)
    blank[..., 8] = 50.0
    metrics = task.metrics(blank, batch)
    assert metrics["accuracy"] == pytest.approx(50 / 60)
    assert metrics["recall_accuracy"] == 0
    assert task.metrics(best_constant(task, batch), batch)["recall_loss"] == pytest.approx(math.log(8), rel=TOLERANCE)


# Randomness.


@pytest.mark.parametrize("name", SYNTHETIC)
def test_same_generator_state_same_batch(name):
    task = Task.registry[name](lag=40)
    for one, other in zip(draw(task, seed=7), draw(task, seed=7), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0) if one is not None else None


@pytest.mark.parametrize("name", SYNTHETIC)
def test_different_seeds_different_batches(name):
    task = Task.registry[name](lag=40)
    assert not torch.equal(draw(task, seed=7).inputs, draw(task, seed=8).inputs)


@pytest.mark.parametrize("name", SYNTHETIC)
def test_batches_drawn_one_after_the_other_differ(name):
    task, generator = Task.registry[name](lag=40), torch.Generator().manual_seed(7)
    assert not torch.equal(task.batch(5, generator).inputs, task.batch(5, generator).inputs)


@pytest.mark.parametrize("name", SYNTHETIC)
def test_drawing_leaves_the_global_generator_alone(name):
    before = torch.get_rng_state()
    draw(Task.registry[name](lag=40))
    assert torch.equal(torch.get_rng_state(), before), "pass generator= to every draw"


@pytest.mark.parametrize("name", SYNTHETIC)
def test_sequences_of_a_batch_differ(name):
    _, batch = large(name, 40, 500)
    sequences = batch.inputs.transpose(0, 1)
    if batch.lengths is not None:
        sequences = sequences[batch.lengths >= 20]  # shorter ones may be the same by chance
    assert len(sequences.unique(dim=0)) > 0.98 * len(sequences)


# Lag and the other knobs.


def drawn_twice(task: Task) -> tuple[Batch, Batch]:
    """Two batches of different seeds, the shorter of them followed by zeros up to the length of the other."""
    drawn = [draw(task, size=64, seed=seed) for seed in (1, 2)]
    steps = max(len(batch.inputs) for batch in drawn)
    padding = [torch.zeros(steps - len(batch.inputs), 64, task.input_size) for batch in drawn]
    one, other = (b._replace(inputs=torch.cat((b.inputs, p))) for b, p in zip(drawn, padding, strict=True))
    return one, other


@pytest.mark.parametrize("name", sorted({*NAMES} - WHOLE))
def test_inputs_that_are_not_relevant_do_not_change_the_answers(name):
    task = Task.registry[name](lag=40)
    ours, theirs = drawn_twice(task)
    end = torch.arange(len(ours.inputs)).view(-1, 1) >= 39  # lengths differ from here on
    free = ~(task.relevant(ours) | task.relevant(theirs) | end)
    assert free.float().mean() > 0.2
    mixed = ours._replace(inputs=torch.where(free.unsqueeze(-1), theirs.inputs, ours.inputs))
    torch.testing.assert_close(recalled(name, task.oracle(mixed)), recalled(name, ours.targets))
    assert (name in BLANK) == torch.equal(mixed.inputs, ours.inputs)


@pytest.mark.parametrize("name", sorted(WHOLE))
def test_every_step_within_a_sequence_is_relevant_where_all_inputs_count(name):
    task = Task.registry[name](lag=40)
    batch = draw(task, size=64)
    assert torch.equal(task.relevant(batch), torch.arange(len(batch.inputs)).view(-1, 1) < batch.lengths)


@pytest.mark.parametrize("name", NAMES)
def test_relevant_inputs_of_another_sequence_give_its_answers(name):
    task = Task.registry[name](lag=40)
    ours, theirs = drawn_twice(task)
    # the same marks, whatever comes after; only what is before the shortest end is exchanged
    if ours.lengths is not None:
        theirs = theirs._replace(lengths=ours.lengths)
    swap = task.relevant(ours) | task.relevant(theirs)
    mixed = ours._replace(inputs=torch.where(swap.unsqueeze(-1), theirs.inputs, ours.inputs))
    torch.testing.assert_close(recalled(name, task.oracle(mixed)), recalled(name, theirs.targets))


@pytest.mark.parametrize("lag", LAGS)
@pytest.mark.parametrize("name", NAMES)
def test_the_earliest_input_an_answer_needs_is_about_lag_steps_old(name, lag):
    _, batch = large(name, lag)
    earliest, bounds = AGE[name]
    needed = earliest(batch)
    least, greatest = bounds(lag)
    reads = recalled(name, batch.reads)
    age = reads[-len(needed) :] - needed if needed.dim() == 2 else reads - needed
    assert least <= int(age.min())
    assert int(age.max()) <= greatest
    assert 0.45 * lag <= age.float().median() <= 1.3 * lag  # half of it where the age is uniform over 1 .. lag


@pytest.mark.parametrize(("name", "knob"), [(n, k) for n in SYNTHETIC for k in knobs(n) if k not in OF_THE_LOSS])
def test_every_knob_changes_the_batch(name, knob):
    default = knobs(name)[knob].default
    changed = not default if knob in SWITCHES else default + 1
    one, other = draw(Task.registry[name]()), draw(Task.registry[name](**{knob: changed}))
    same = one.inputs.shape == other.inputs.shape and torch.equal(one.inputs, other.inputs)
    assert not (same and torch.equal(one.targets, other.targets))


@pytest.mark.parametrize(("name", "knob"), [(n, k) for n in SYNTHETIC for k in knobs(n)])
def test_knobs_are_keyword_only_typed_and_have_defaults(name, knob):
    parameter = knobs(name)[knob]
    assert parameter.kind is parameter.KEYWORD_ONLY
    kind = bool if knob in OF_THE_LOSS | SWITCHES else int
    assert parameter.annotation.removesuffix(" | None") == kind.__name__
    assert type(parameter.default) is kind


@pytest.mark.parametrize("below", [1, 1000])
@pytest.mark.parametrize(
    ("name", "knob"), [(n, k) for n in SYNTHETIC for k in knobs(n) if k not in OF_THE_LOSS | SWITCHES]
)
def test_a_bad_knob_raises_naming_task_knob_rule_and_value(name, knob, below):
    least = LEAST[name][knob]
    with pytest.raises(ValueError, match=rf"^{name}: {knob} must be at least {least}, got {least - below}$"):
        Task.registry[name](**{knob: least - below})


@pytest.mark.parametrize("name", NAMES)
def test_the_smallest_knobs_give_a_task_that_can_be_solved(name):
    task = Task.registry[name](**LEAST[name])
    batch = draw(task, size=300)
    torch.testing.assert_close(task.oracle(batch), batch.targets, rtol=0, atol=1e-6)
    assert task.solved(task.metrics(perfect(task, batch), batch))


@pytest.mark.parametrize("name", NAMES)
def test_one_sequence_is_a_batch(name):
    task = Task.registry[name](lag=40)
    batch = draw(task, size=1)
    torch.testing.assert_close(task.oracle(batch), batch.targets, rtol=0, atol=1e-6)


# The definitions, one by one.


def test_adding_marks_one_number_in_each_half():
    _, batch = large("adding", 75)
    markers = batch.inputs[..., 1]
    assert bool((markers[:37].sum(0) == 1).all())
    assert bool((markers[37:].sum(0) == 1).all())


@pytest.mark.parametrize("name", ["adding_1997", "multiplication"])
def test_1997_pairs_begin_and_end_with_marker_minus_one(name):
    _, batch = large(name, 40)
    minus = (batch.inputs[..., 1] == -1).nonzero()
    ends = {(0, b) for b in range(MANY)} | {(int(end), b) for b, end in enumerate(batch.lengths - 1)}
    assert {tuple(pair) for pair in minus.tolist()} == ends


@pytest.mark.parametrize("lag", LAGS)
@pytest.mark.parametrize("name", ["adding_1997", "multiplication"])
def test_1997_marks_fall_on_the_unseen_first_pair_as_often_as_stated(name, lag):
    _, batch = large(name, lag)
    seen = (batch.inputs[..., 1] == 1).sum(0)
    assert set(seen.tolist()) == {1, 2}
    assert float((seen == 1).float().mean()) == pytest.approx(0.1 + 0.9 / (lag // 2 - 1), abs=0.015)


@pytest.mark.parametrize("name", ["adding_1997", "multiplication"])
def test_1997_second_mark_reaches_the_end_of_the_first_half_and_not_beyond(name):
    _, batch = large(name, 75)
    assert (batch.inputs[..., 1] == 1).any(1).nonzero().flatten().tolist() == list(range(1, 37))


@pytest.mark.parametrize(("name", "lowest"), [("adding_1997", -1), ("multiplication", 0)])
def test_1997_values_are_uniform_over_their_interval(name, lowest):
    _, batch = large(name, 40)
    values = batch.inputs[:40, :, 0]
    assert float(values.min()) == pytest.approx(lowest, abs=1e-3)
    assert float(values.max()) == pytest.approx(1, abs=1e-3)
    assert float(values.mean()) == pytest.approx((1 + lowest) / 2, abs=0.01)


def test_adding_1997_targets_lie_between_0_and_1():
    _, batch = large("adding_1997", 40)
    assert 0 <= float(batch.targets.min()) < 0.05
    assert 0.95 < float(batch.targets.max()) <= 1


def test_copying_asks_for_the_first_symbol_one_step_after_the_delimiter():
    task, batch = large("copying", 40)
    symbols = batch.inputs.argmax(-1)
    delimiter = (symbols == 9).int().argmax(0)
    columns = torch.arange(MANY)
    assert bool((delimiter == task.lag + 9).all())
    assert bool((batch.targets[delimiter, columns] == 8).all())
    assert torch.equal(batch.targets[delimiter + 1, columns], symbols[0])


def test_copying_input_is_ten_symbols_blanks_a_delimiter_and_ten_blanks():
    _, batch = large("copying", 40)
    symbols = batch.inputs.argmax(-1)
    assert symbols[:10].unique().tolist() == list(range(8))
    assert symbols[10:49].unique().tolist() == [8]
    assert symbols[49].unique().tolist() == [9]
    assert symbols[50:].unique().tolist() == [8]
    assert len(symbols) == 60


def test_delayed_recall_input_is_cues_distractors_and_a_query():
    task = Task.registry["delayed_recall"](lag=11, symbols=4, distractors=3, cues=2)
    symbols = draw(task, 500).inputs.argmax(-1)
    assert symbols[:2].unique().tolist() == [0, 1, 2, 3]
    assert symbols[2:12].unique().tolist() == [4, 5, 6]
    assert symbols[12].unique().tolist() == [7, 8]
    assert len(symbols) == 13


def test_delayed_recall_asks_for_the_cue_that_the_query_names():
    task = Task.registry["delayed_recall"](lag=11, symbols=4, distractors=3, cues=2)
    batch = draw(task, 500)
    symbols = batch.inputs.argmax(-1)
    named = torch.where(symbols[-1] == 7, symbols[0], symbols[1])
    assert torch.equal(batch.targets[0], named)
    assert torch.equal(task.oracle(batch), batch.targets)


@pytest.mark.parametrize(("symbols", "cues"), [(4, 2), (5, 3)])
def test_delayed_recall_keeps_its_floor_with_several_cues(symbols, cues):
    task = Task.registry["delayed_recall"](lag=13, symbols=symbols, cues=cues)
    batch = draw(task, MANY)
    assert task.floor == math.log(symbols)
    assert float(task.loss(best_from_last_input(task, batch), batch)) == pytest.approx(task.floor, rel=TOLERANCE)


def test_associative_recall_asks_for_the_value_that_followed_the_key():
    task = Task.registry["associative_recall"](lag=6, pairs=3, keys=5, values=4, queries=2)
    batch = draw(task, 50)
    assert len(batch.inputs) == 2 * 3 + 5 + 2
    for b in range(50):
        symbols = batch.inputs[:, b].argmax(-1).tolist()
        value = dict(zip(symbols[0:6:2], symbols[1:6:2], strict=True))
        assert len(value) == 3, "keys must differ"
        assert symbols[6:11] == [9] * 5
        assert [value[key] - 5 for key in symbols[11:]] == batch.targets[:, b].tolist()


def test_associative_recall_asks_for_all_keys_each_once_in_any_order():
    _, batch = large("associative_recall", 40)
    symbols = batch.inputs.argmax(-1)
    order = (symbols[-3:].unsqueeze(1) == symbols[0:6:2]).int().argmax(1)
    assert len(order.T.unique(dim=0)) == 6
    assert bool((order.sort(0).values == torch.arange(3).view(-1, 1)).all())


def test_selective_copying_spreads_its_symbols_over_all_places_alike():
    task = Task.registry["selective_copying"](lag=7, length=3)
    seen = draw(task, MANY).inputs[:7, :, :4].sum(-1).mean(1)
    assert seen.tolist() == pytest.approx([3 / 7] * 7, abs=0.02)


@pytest.mark.parametrize("name", ["parity", "cycle"])
@pytest.mark.parametrize(("lag", "shortest"), [(9, 1), (9, 5), (6, 6)])
def test_lengths_of_walks_are_uniform_from_the_shortest_to_the_lag(name, lag, shortest):
    batch = draw(Task.registry[name](lag=lag, shortest=shortest), MANY)
    shares = torch.bincount(batch.lengths, minlength=lag + 1) / MANY
    expected = [0.0] * shortest + [1 / (lag + 1 - shortest)] * (lag + 1 - shortest)
    assert shares.tolist() == pytest.approx(expected, abs=0.025)
    assert len(batch.inputs) == lag


def test_parity_is_that_of_the_number_of_ones_and_a_cycle_ends_at_the_sum_of_its_moves_modulo_5():
    for name, moves in (("parity", [0, 1]), ("cycle", [0, 1, -1])):
        _, batch = large(name, 40, 100)
        for b, length in enumerate(batch.lengths.tolist()):
            walk = [moves[symbol] for symbol in batch.inputs[:length, b].argmax(-1).tolist()]
            assert sum(walk) % {"parity": 2, "cycle": 5}[name] == int(batch.targets[0, b])


@pytest.mark.parametrize("name", ["parity", "cycle"])
def test_walks_are_tested_at_ten_times_the_training_length(name):
    task = Task.registry[name](lag=7)
    (further,) = task.further_tests(50, torch.Generator().manual_seed(1)).items()
    assert further[0] == "x10"
    assert further[1].lengths.tolist() == [70] * 50
    assert torch.equal(task.oracle(further[1]), further[1].targets)
    assert further[1].targets.unique().tolist() == list(range(task.output_size))


def test_time_warp_names_the_symbol_before_at_the_end_of_each_run():
    task = Task.registry["time_warp"](lag=4, symbols=5, runs=3)
    batch = draw(task, 200)
    assert len(batch.inputs) == 12
    for b, length in enumerate(batch.lengths.tolist()):
        symbols = batch.inputs[:length, b].argmax(-1).tolist()
        ends = [t for t in range(length) if t + 1 == length or symbols[t] != symbols[t + 1]]
        assert len(ends) == 3
        assert max(end - start for start, end in zip([-1, *ends], ends, strict=False)) <= 4
        assert batch.reads[:, b].tolist() == ends[1:]
        assert batch.targets[:, b].tolist() == [symbols[end] for end in ends[:-1]]


def test_arithmetic_writes_sign_and_digits_of_the_result():
    task = Task.registry["arithmetic"](lag=9, digits=2)
    batch = draw(task, 300)
    for b in range(300):
        text = "".join("0123456789+-=_"[s] for s in batch.inputs[:, b].argmax(-1).tolist() if s < 14)
        first, operation, second, end = text[:2], text[2], text[3:5], text[5:]
        result = int(first) + int(second) if operation == "+" else int(first) - int(second)
        assert end == "=___"
        assert "".join("0123456789+-"[s] for s in batch.targets[:, b].tolist()) == f"{result:+04d}"


def test_arithmetic_reports_the_results_without_a_mistake():
    task, batch = large("arithmetic", 40, 40)
    answers = perfect(task, batch).clone()
    answers[:2, :10] = answers[:2, :10].roll(1, -1)
    metrics = task.metrics(answers, batch)
    assert metrics["all_right"] == pytest.approx(30 / 40)
    assert metrics["accuracy"] == pytest.approx(1 - 20 / 160)


def test_xml_names_the_tag_that_each_slash_closes():
    task = Task.registry["xml"](lag=40, tags=4, length=2)
    batch = draw(task, 200)
    for b in range(200):
        text = "".join("ABCDEFGH</."[s] for s in batch.inputs[:, b].argmax(-1).tolist()).replace(".", "")
        due = iter("".join("ABCDEFGH"[s] for s in batch.targets[:, b].tolist()))
        shortened = re.compile(r"<(..)/\1")
        text += text[1:3][-1]  # the letter that the document does not show
        closed = re.findall(r"/(..)", text)
        assert closed == [next(due) + next(due) for _ in range(4)]
        while "<" in text:
            assert shortened.search(text), f"tags are not nested: {text}"
            text = shortened.sub("", text)


def test_xml_nests_its_tags_in_all_ways_alike():
    nested = Task.registry["xml"](tags=4).nested(MANY, torch.Generator().manual_seed(1))
    shapes, counts = nested.T.unique(dim=0, return_counts=True)
    assert len(shapes) == 5, "the Catalan number of three tags"
    assert (counts / MANY).tolist() == pytest.approx([0.2] * 5, abs=0.02)


@pytest.mark.parametrize(("tags", "known"), [(1, 1.0), (3, 0.5), (5, 0.5)])
def test_xml_closes_the_tag_that_was_opened_last_as_often_as_its_baseline_says(tags, known):
    task = Task.registry["xml"](tags=tags)
    nested = task.nested(MANY, torch.Generator().manual_seed(1))
    assert float((nested[1:] == nested[:-1]).sum() / nested.shape[1] / tags) == pytest.approx(known, abs=0.01)
    assert task.baselines() == {"tag opened last": (1 - known) * math.log(8)}


@pytest.mark.parametrize(
    ("name", "knobs", "message"),
    [
        ("associative_recall", {"keys": 2}, "pairs must be at most the number of keys, 2, got 3"),
        ("associative_recall", {"queries": 4}, "queries must be at most the number of pairs, 3, got 4"),
        ("selective_copying", {"lag": 2}, "length must be at most lag, 2, got 3"),
        ("parity", {"lag": 5, "shortest": 6}, "shortest must be at most lag, 5, got 6"),
        ("cycle", {"lag": 5, "shortest": 6}, "shortest must be at most lag, 5, got 6"),
        ("arithmetic", {"digits": 19, "lag": 99}, "digits must be at most 18, got 19"),
        ("arithmetic", {"digits": 3, "lag": 6}, "lag must be at least 7, got 6"),
        ("xml", {"tags": 3, "length": 2, "lag": 16}, "lag must be at least 17, got 16"),
    ],
)
def test_knobs_that_do_not_fit_each_other_are_one_line(name, knobs, message):
    with pytest.raises(ValueError, match=f"^{name}: {message}$"):
        Task.registry[name](**knobs)


@pytest.mark.parametrize(("lag", "scale"), [(100, 1), (200, 2)])
@pytest.mark.parametrize(
    ("name", "windows"),
    [("temporal_order", ((10, 20), (50, 60))), ("temporal_order_3", ((10, 20), (33, 43), (66, 76)))],
)
def test_temporal_order_places_its_symbols_in_the_published_windows(name, windows, lag, scale):
    _, batch = large(name, lag, 3000)
    seen = batch.inputs[..., 6:].sum((1, 2)).nonzero().flatten().tolist()
    assert seen == [step for first, last in windows for step in range(scale * first, scale * last + 1)]


@pytest.mark.parametrize(
    ("name", "classes"),
    [
        ("temporal_order", {"XX": "Q", "XY": "R", "YX": "S", "YY": "U"}),
        (
            "temporal_order_3",
            {"XXX": "Q", "XXY": "R", "XYX": "S", "XYY": "U", "YXX": "V", "YXY": "A", "YYX": "B", "YYY": "C"},
        ),
    ],
)
def test_temporal_order_names_the_published_classes(name, classes):
    _, batch = large(name, 40, 500)
    numbers = {c: number for number, c in enumerate(classes.values())}
    for b, target in enumerate(batch.targets[0].tolist()):
        letters = ["EBabcdXY"[s] for s in batch.inputs[: batch.lengths[b], b].argmax(-1).tolist()]
        assert letters[0] == "E"
        assert letters[-1] == "B"
        order = "".join(letter for letter in letters if letter in "XY")
        assert numbers[classes[order]] == target
        assert set(letters[1:-1]) <= set("abcdXY")


# Completeness.


@pytest.mark.parametrize("name", NAMES)
def test_every_task_with_right_answers_has_their_age_in_this_file(name):
    assert name in AGE, f"add {name} to AGE: the earliest step its answers need"


@pytest.mark.parametrize("name", SYNTHETIC)
def test_every_task_has_the_smallest_values_of_its_knobs_in_this_file(name):
    assert set(LEAST[name]) == set(knobs(name)) - OF_THE_LOSS - SWITCHES, (
        f"give the smallest value of every knob of {name} in LEAST"
    )


@pytest.mark.parametrize("name", SYNTHETIC)
def test_every_docstring_draws_an_example_with_inputs_above_targets(name):
    lines = [line.split() for line in inspect.cleandoc(Task.registry[name].__doc__).splitlines()]
    heads = [line[0] if line else "" for line in lines]
    target = heads.index("target")
    above = [heads.index(word) for word in ("input", "value") if word in heads]
    assert above, f"draw the inputs of {name} in a line that begins with 'input' or 'value'"
    assert min(above) < target


@pytest.mark.parametrize("word", ["without memory", "olved", "Source:", "lag:"])
@pytest.mark.parametrize("name", SYNTHETIC)
def test_every_docstring_says_floor_criterion_source_and_lag(name, word):
    assert word in Task.registry[name].__doc__


@pytest.mark.parametrize(("name", "knob"), [(n, k) for n in SYNTHETIC for k in knobs(n)])
def test_every_docstring_explains_every_knob(name, knob):
    assert f"\n{knob}: " in inspect.getdoc(Task.registry[name])


@pytest.mark.parametrize("name", SYNTHETIC)
def test_every_task_names_its_own_source_and_sizes(name):
    cls, task = Task.registry[name], Task.registry[name]()
    assert "source" in vars(cls)
    assert any(letter in string.digits for letter in cls.source), "a source has a year"
    assert task.input_size >= 1
    assert task.output_size >= 1
    assert 0 < task.solved_loss < task.floor


def test_every_file_of_the_folder_defines_a_registered_task():
    folder = Path(tasks.__file__).parent / "synthetic"
    files = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    assert {
        cls.__module__.rpartition(".")[2]
        for cls in Task.registry.values()
        if cls.__module__.startswith("tasks.synthetic.")
    } == files


def test_every_file_of_the_folder_opens_with_one_line():
    for path in Path(tasks.__file__).parent.rglob("*.py"):
        opening = ast.get_docstring(ast.parse(path.read_text()))
        assert opening, f"{path.name} needs a docstring"
        assert opening.splitlines()[0].endswith("."), f"{path.name} should open with a sentence on one line"


def test_a_class_without_a_name_is_not_registered():
    before = dict(Task.registry)

    class Nameless(Task):
        pass

    assert Task.registry == before


def test_copying_of_few_symbols_has_their_entropy_as_floor():
    task = Task.registry["copying"](lag=5, length=3, symbols=4)
    assert task.floor == pytest.approx(3 * math.log(4) / 11)


def test_copying_of_few_symbols_asks_for_them():
    batch = draw(task := Task.registry["copying"](lag=5, length=3, symbols=4))
    assert torch.equal(batch.targets[-3:], batch.inputs[:3].argmax(-1))
    assert batch.inputs.shape[-1] == task.input_size == 6


@pytest.mark.parametrize("name", SYNTHETIC)
def test_a_registered_class_can_be_imported_from_the_package(name):
    cls = Task.registry[name]
    assert getattr(tasks, cls.__name__) is cls


def test_the_package_has_no_other_names():
    with pytest.raises(AttributeError, match="module 'tasks' has no attribute 'Addin'"):
        getattr(tasks, "Addin")  # noqa: B009
