"""A task that breaks the contract is refused by one sentence that names the task, the rule and the value."""

import math
import re

import numpy as np
import pytest
import torch

from tasks import Batch, Task
from tasks.contract import check_answers, check_batch, draw, try_out
from tasks.synthetic.adding import Adding
from tasks.synthetic.delayed_recall import DelayedRecall
from tasks.task import LOSS_FORMS, Classification, Regression, loss_form
from variants.engine.cpu.ending import LOSSES

STEPS, INPUTS, OUTPUTS, ANSWERS = 7, 3, 4, 2
FEW = 2  # what `try_out` draws


class Forecast(Regression):
    """A task of somebody else, which keeps the contract."""

    lag, input_size, output_size, floor, solved_loss = 6, INPUTS, OUTPUTS, 1.0, 0.1

    def batch(self, size, generator):
        inputs = torch.rand(STEPS, size, INPUTS, generator=generator)
        reads = torch.tensor([[2], [6]]).repeat(1, size)
        return Batch(inputs, torch.rand(ANSWERS, size, OUTPUTS, generator=generator), reads, torch.full((size,), 7))

    def solved(self, metrics):
        return metrics["loss"] < 0.1


class Digits(Classification):
    """Another one, whose answers are classes."""

    lag, input_size, output_size, floor = 6, INPUTS, OUTPUTS, math.log(4)

    def batch(self, size, generator):
        inputs = torch.rand(STEPS, size, INPUTS, generator=generator)
        return Batch(
            inputs,
            torch.randint(OUTPUTS, (ANSWERS, size), generator=generator),
            torch.tensor([[2], [6]]).repeat(1, size),
        )


def changed(kind, **parts):
    """A task whose batches have other parts: values, or functions of the right part."""

    class Wrong(kind):
        def batch(self, size, generator):
            batch = super().batch(size, generator)
            return batch._replace(**{n: v(getattr(batch, n)) if callable(v) else v for n, v in parts.items()})

    return Wrong()


def with_attributes(kind, **attributes):
    return type("Wrong", (kind,), attributes)()


def at(index, value):
    """A function that returns a tensor with another value at an index."""

    def change(tensor):
        tensor = tensor.clone()
        tensor[index] = value
        return tensor

    return change


@pytest.mark.parametrize("task", [Forecast(), Digits(), Adding(lag=5), DelayedRecall(lag=5)], ids=lambda t: t.name)
def test_a_task_that_keeps_the_contract_is_accepted(task):
    try_out(task)


@pytest.mark.parametrize("name", [n for n, c in Task.registry.items() if c.__module__.startswith("tasks.synthetic.")])
def test_a_checked_draw_is_the_draw_of_the_task(name):
    task = Task.registry[name](lag=40)
    checked, plain = (f(5, torch.Generator().manual_seed(3)) for f in (lambda n, g: draw(task, n, g), task.batch))
    assert all(a is b or torch.equal(a, b) for a, b in zip(checked, plain, strict=True))


WRONG_BATCHES = {
    "float64 inputs": (
        Forecast,
        {"inputs": torch.Tensor.double},
        "inputs must be torch.float32, got torch.float64; use .float()",
    ),
    "integer inputs": (
        Forecast,
        {"inputs": torch.Tensor.long},
        "inputs must be torch.float32, got torch.int64; use .float()",
    ),
    "numpy inputs": (
        Forecast,
        {"inputs": np.asarray},
        "inputs must be a torch.Tensor, got ndarray; use torch.as_tensor(...)",
    ),
    "batch first": (
        Forecast,
        {"inputs": lambda v: v.transpose(0, 1)},
        "inputs must be [T, B, I] = [T, 2, 3], time first, got [2, 7, 3]",
    ),
    "too wide": (
        Forecast,
        {"inputs": torch.zeros(STEPS, FEW, 5)},
        "inputs must be [T, B, I] = [T, 2, 3], time first, got [7, 2, 5]",
    ),
    "no steps": (
        Forecast,
        {"inputs": torch.zeros(0, FEW, INPUTS)},
        "inputs must be [T, B, I] = [T, 2, 3], time first, got [0, 2, 3]",
    ),
    "another number of sequences": (
        Forecast,
        {"inputs": torch.zeros(STEPS, 5, INPUTS)},
        "inputs must be [T, B, I] = [T, 2, 3], time first, got [7, 5, 3]",
    ),
    "nan in the inputs": (
        Forecast,
        {"inputs": at((3, 1, 2), math.nan)},
        "inputs must be finite, got nan at step 3 of sequence 1",
    ),
    "infinite inputs": (
        Digits,
        {"inputs": at((0, 0, 0), -math.inf)},
        "inputs must be finite, got -inf at step 0 of sequence 0",
    ),
    "float64 targets": (
        Forecast,
        {"targets": torch.Tensor.double},
        "targets must be torch.float32, got torch.float64; use .float()",
    ),
    "targets without O": (
        Forecast,
        {"targets": lambda v: v[..., 0]},
        "targets must be [K, B, O] = [2, 2, 4], got [2, 2]",
    ),
    "targets that would be broadcast": (
        Forecast,
        {"targets": lambda v: v[:, :1]},
        "targets must be [K, B, O] = [2, 2, 4], got [2, 1, 4]",
    ),
    "infinite targets": (
        Forecast,
        {"targets": at((1, 0, 3), math.inf)},
        "targets must be finite, got inf at answer 1 of sequence 0",
    ),
    "one-hot classes": (
        Digits,
        {"targets": torch.zeros(ANSWERS, FEW, OUTPUTS).long()},
        "targets must be classes [K, B] = [2, 2], got [2, 2, 4]",
    ),
    "int32 classes": (
        Digits,
        {"targets": torch.Tensor.int},
        "targets must be torch.int64, got torch.int32; use .long()",
    ),
    "class O": (Digits, {"targets": at((0, 1), 4)}, "targets must be classes, 0..3, got 4"),
    "class -100": (Digits, {"targets": at((0, 1), -100)}, "targets must be classes, 0..3, got -100"),
    "reads at T": (Forecast, {"reads": at((1, 1), 7)}, "reads must be steps of a sequence of 7, 0..6, got 7"),
    "reads at -1": (Digits, {"reads": at((0, 0), -1)}, "reads must be steps of a sequence of 7, 0..6, got -1"),
    "reads [K]": (Digits, {"reads": torch.tensor([2, 6])}, "reads must be [K, B] = [K, 2], got [2]"),
    "reads [B, K]": (Digits, {"reads": torch.zeros(FEW, 5).long()}, "reads must be [K, B] = [K, 2], got [2, 5]"),
    "inputs elsewhere": (Digits, {"inputs": lambda v: v.to("meta")}, "inputs must be on the cpu, got meta; use .cpu()"),
    "nothing to read": (Digits, {"reads": torch.zeros(0, FEW).long()}, "reads must be [K, B] = [K, 2], got [0, 2]"),
    "no reads": (Digits, {"reads": None}, "reads must be a torch.Tensor, got NoneType; use torch.as_tensor(...)"),
    "int32 reads": (Digits, {"reads": torch.Tensor.int}, "reads must be torch.int64, got torch.int32; use .long()"),
    "lengths of 0": (Forecast, {"lengths": torch.tensor([0, 7])}, "lengths must be numbers of steps, 1..7, got 0"),
    "lengths beyond T": (Forecast, {"lengths": torch.tensor([5, 8])}, "lengths must be numbers of steps, 1..7, got 8"),
    "float lengths": (
        Forecast,
        {"lengths": torch.tensor([5.0, 7.0])},
        "lengths must be torch.int64, got torch.float32; use .long()",
    ),
    "one length for all": (Forecast, {"lengths": torch.tensor([7])}, "lengths must be [B] = [2], got [1]"),
}


@pytest.mark.parametrize(("kind", "parts", "message"), WRONG_BATCHES.values(), ids=WRONG_BATCHES)
def test_a_wrong_batch_is_refused(kind, parts, message):
    with pytest.raises(ValueError, match=f"^{re.escape(f'Wrong: {message}')}$"):
        try_out(changed(kind, **parts))


def test_a_tuple_is_no_batch():
    task = with_attributes(Forecast, batch=lambda self, size, generator: tuple(Forecast().batch(size, generator)))
    with pytest.raises(ValueError, match=r"^Wrong: batch must return a tasks\.Batch, got tuple$"):
        try_out(task)


def test_targets_of_a_task_of_another_kind_need_one_entry_for_each_answer():
    class Ranking(Task):
        lag, input_size, output_size, floor, solved_loss = 6, INPUTS, OUTPUTS, 1.0, 0.1

        def batch(self, size, generator):
            return Forecast().batch(size, generator)._replace(targets=torch.zeros(ANSWERS, size + 1, 5))

        loss = solved = Forecast.solved

    with pytest.raises(
        ValueError, match=r"^Ranking: targets must be \[K, B, \.\.\.\] = \[2, 2, \.\.\.\], got \[2, 3, 5\]$"
    ):
        try_out(Ranking())


@pytest.mark.parametrize(
    ("form", "targets", "message"),
    [
        ("cross_entropy", torch.full((2, 2), -100), "targets must be classes, 0..3, got -100"),
        ("logistic_squared_error", torch.full((2, 2), 4), "targets must be classes, 0..3, got 4"),
        (
            "squared_error",
            torch.zeros(2, 2, 4, dtype=torch.float64),
            "targets must be torch.float32, got torch.float64",
        ),
        ("binary_cross_entropy", torch.full((2, 2, 4), 1.5), "targets must be probabilities, 0..1, got 1.5"),
    ],
)
def test_targets_must_fit_the_form_of_the_loss(form, targets, message):
    class Formed(Task):
        lag, input_size, output_size, floor, solved_loss = 6, INPUTS, 4, 1.0, 0.1

        def batch(self, size, generator):
            return Forecast().batch(size, generator)._replace(targets=targets)

        @loss_form(lambda task: form)
        def loss(self, outputs, batch):
            return outputs.mean()

        solved = Forecast.solved

    with pytest.raises(ValueError, match=f"^Formed: {re.escape(message)}"):
        try_out(Formed())


def test_a_form_that_is_not_there_is_refused():
    class Mistyped(Forecast):
        @loss_form(lambda task: "squared_eror")
        def loss(self, outputs, batch):
            return super().loss(outputs, batch)

    with pytest.raises(ValueError, match=r"^Mistyped: the form of its loss must be one of .*, got 'squared_eror'$"):
        try_out(Mistyped())


def test_every_form_of_a_loss_can_be_compiled():
    assert tuple(dict.fromkeys(form.removesuffix("_sum") for form in LOSS_FORMS)) == LOSSES


def test_what_lies_behind_the_end_of_a_sequence_may_be_anything():
    reads = torch.tensor([[2, 2], [6, 3]])
    task = changed(Forecast, lengths=torch.tensor([7, 4]), reads=reads, inputs=at((slice(4, None), 1), math.nan))
    try_out(task)


def test_finite_inputs_whose_sum_is_not_finite_are_accepted():
    try_out(changed(Forecast, inputs=torch.full((STEPS, FEW, INPUTS), 3e38)))


WRONG_ATTRIBUTES = {
    "no floor": (
        {"floor": property(lambda self: self.absent)},
        "floor, the loss of the best model without memory, must be an attribute",
    ),
    "floor of infinity": (
        {"floor": math.inf},
        "floor, the loss of the best model without memory, must be a finite number, got inf",
    ),
    "floor of a tensor": ({"floor": torch.tensor(1.0)}, "must be a finite number, got tensor(1.)"),
    "floor of 0": ({"floor": 0.0}, "solved_loss must be between 0 and the floor 0.0, got 0.1"),
    "solved_loss above the floor": ({"solved_loss": 2.0}, "solved_loss must be between 0 and the floor 1.0, got 2.0"),
    "input_size of 0": (
        {"input_size": 0},
        "input_size, the width I of the inputs, must be a whole number of at least 1, got 0",
    ),
    "output_size of 1.5": (
        {"output_size": 1.5},
        "output_size, the width O of the answers, must be a whole number of at least 1, got 1.5",
    ),
    "evaluation_size of True": (
        {"evaluation_size": True},
        "evaluation_size, the number of sequences in a validation or test set, must",
    ),
    "lag of a text": (
        {"lag": "long"},
        "lag, the number of steps over which information must be kept, must be a whole number of at least 0",
    ),
    "no batch": ({"batch": Task.batch}, "batch must be defined"),
    "no loss": ({"loss": Task.loss}, "loss must be defined"),
    "no criterion": ({"solved": Task.solved}, "solved must be defined"),
}


@pytest.mark.parametrize(("attributes", "message"), WRONG_ATTRIBUTES.values(), ids=WRONG_ATTRIBUTES)
def test_a_wrong_attribute_is_refused(attributes, message):
    with pytest.raises(ValueError, match=rf"^Wrong: .*{re.escape(message.removeprefix('Wrong: '))}"):
        try_out(with_attributes(Forecast, **attributes))


def test_a_task_with_a_score_of_its_own_may_have_negative_losses():
    try_out(with_attributes(Forecast, floor=-1.0, solved_loss=-2.0, score=lambda self, loss: 0.5))


WRONG_ANSWERS = {
    "a loss for each sequence": (
        {"loss": lambda self, outputs, batch: (outputs - batch.targets).square().mean((0, 2))},
        "loss must return a scalar tensor, got a tensor [2]",
    ),
    "a loss that is a float": (
        {"loss": lambda self, outputs, batch: 0.5},
        "loss must return a scalar tensor, got float",
    ),
    "a loss without gradient": (
        {"loss": lambda self, outputs, batch: outputs.detach().mean()},
        "loss must depend on the outputs by operations of torch, got a tensor without gradient",
    ),
    "metrics without loss": (
        {"metrics": lambda self, outputs, batch: {"error": 1.0}},
        "metrics must return a dictionary with the key 'loss', got the keys error",
    ),
    "no metrics": (
        {"metrics": lambda self, outputs, batch: 1.0},
        "metrics must return a dictionary with the key 'loss', got float",
    ),
    "metrics that are tensors": (
        {"metrics": lambda self, outputs, batch: {"loss": torch.tensor(1.0)}},
        "metrics must be plain numbers, got Tensor for 'loss'; use float(...)",
    ),
    "a criterion without return": (
        {"solved": lambda self, metrics: None},
        "solved must return True or False, got None",
    ),
    "a criterion on another metric": (
        {"solved": lambda self, metrics: metrics["accuracy"] > 0.9},
        "solved must ask for metrics that there are (loss), got 'accuracy'",
    ),
    "a score of 3": ({"score": lambda self, loss: 3.0}, "score must be a number in 0..1, got 3.0 for the loss"),
    "a score that is a tensor": (
        {"score": lambda self, loss: torch.tensor(0.5)},
        "score must be a number in 0..1, got tensor(0.5000)",
    ),
}


@pytest.mark.parametrize(("attributes", "message"), WRONG_ANSWERS.values(), ids=WRONG_ANSWERS)
def test_answers_judged_wrongly_are_refused(attributes, message):
    with pytest.raises(ValueError, match=rf"^Wrong: {re.escape(message)}"):
        try_out(with_attributes(Forecast, **attributes))


def test_a_metric_that_needs_more_sequences_is_not_held_against_a_task_before_its_trial():
    def metrics(self, outputs, batch):
        return {"loss": 1.0, "seventh": float(outputs[0, 6, 0])}

    task = with_attributes(Forecast, metrics=metrics)
    try_out(task)
    with pytest.raises(IndexError):
        check_answers(task, task.batch(5, torch.Generator()))


def test_a_criterion_may_be_a_truth_value_of_numpy():
    try_out(with_attributes(Forecast, solved=lambda self, metrics: np.float64(metrics["loss"]) < 0.1))


def test_data_that_another_generator_draws_are_refused():
    with pytest.raises(
        ValueError,
        match=r"^Wrong: batch must draw from the generator alone, but inputs differ between two draws of one",
    ):
        try_out(changed(Forecast, inputs=torch.rand_like))


def test_a_task_that_draws_into_the_same_memory_again_is_refused():
    memory = torch.zeros(STEPS, FEW, INPUTS)
    with pytest.raises(
        ValueError,
        match=r"^Wrong: batch must draw into memory of its own, but inputs of one draw change with the next$",
    ):
        try_out(changed(Forecast, inputs=memory.copy_))


def test_a_loss_that_changes_the_batch_is_refused():
    def loss(self, outputs, batch):
        return (outputs - batch.targets.mul_(0.5)).square().mean()

    with pytest.raises(
        ValueError, match=r"^Wrong: loss and metrics must leave the batch as it is, but targets are changed$"
    ):
        try_out(with_attributes(Forecast, loss=loss))


def test_metrics_that_change_the_outputs_are_refused():
    def metrics(self, outputs, batch):
        return {"loss": float(outputs.round_().mean().abs())}

    with pytest.raises(
        ValueError, match=r"^Wrong: loss and metrics must leave the outputs as they are, but they are changed in place$"
    ):
        try_out(with_attributes(Forecast, metrics=metrics))


def test_an_answer_behind_the_end_of_its_sequence_is_refused():
    with pytest.raises(
        ValueError,
        match=r"^Wrong: reads must be steps within the length of their sequence, got 6 where the length is 5$",
    ):
        try_out(changed(Forecast, lengths=torch.tensor([7, 5])))


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (torch.Tensor.requires_grad_, "data without gradients"),
        (torch.Tensor.to_sparse, "a dense tensor, got torch.sparse_coo"),
    ],
    ids=["learned", "sparse"],
)
def test_inputs_that_are_no_plain_data_are_refused(inputs, message):
    with pytest.raises(ValueError, match=f"^Wrong: inputs must be {message}"):
        try_out(changed(Forecast, inputs=inputs))


def test_an_error_in_the_code_of_a_task_is_one_line_that_names_the_task():
    task = with_attributes(Forecast, batch=lambda self, size, generator: self.table[size])
    with pytest.raises(ValueError, match=r"^Wrong: batch raised AttributeError: .*'table'$"):
        try_out(task)


def test_a_loss_that_raises_is_one_line_that_names_the_task():
    def loss(self, outputs, batch):
        raise ValueError("not like this")

    with pytest.raises(ValueError, match=r"^Wrong: loss raised ValueError: not like this$"):
        try_out(with_attributes(Forecast, loss=loss))


def test_a_task_of_a_great_lag_is_not_drawn():
    try_out(with_attributes(Forecast, lag=10**9, batch=lambda self, size, generator: pytest.fail("drawn")))


def test_sequences_of_a_later_draw_may_have_another_number_of_steps():
    inputs = torch.zeros(STEPS + 4, 5, INPUTS)
    check_batch(Forecast(), Forecast().batch(5, torch.Generator())._replace(inputs=inputs), 5)


# The losses, called by anybody.


def test_a_regression_does_not_broadcast_targets():
    task = Adding(lag=10)
    batch = task.batch(8, torch.Generator().manual_seed(0))
    message = "adding: targets must have the shape of the answers, [K, B, O] = [1, 8, 1], got [1, 8]"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        task.loss(batch.targets, batch._replace(targets=batch.targets.squeeze(-1)))


@pytest.mark.parametrize("shape", [(8,), (8, 1), (1, 8, 1), (2, 4)])
def test_a_classification_takes_one_class_for_each_answer(shape):
    task = DelayedRecall(lag=3)
    batch = task.batch(8, torch.Generator().manual_seed(0))
    message = (
        f"delayed_recall: targets must be one class for each of the answers [K, B, O] = [1, 8, 8], got {list(shape)}"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        task.loss(torch.zeros(1, 8, 8), batch._replace(targets=batch.targets.view(shape)))


def test_a_task_without_a_name_is_called_by_its_class():
    class Mine(Adding):
        pass

    with pytest.raises(ValueError, match=r"^Mine: lag must be at least 2, got 1$"):
        Mine(lag=1)
