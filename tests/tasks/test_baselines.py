"""Fitted models reach the losses that can be derived, and no floor is above a model without memory."""

import math
from functools import cache
from itertools import pairwise
from typing import ClassVar

import pytest
import torch

import tasks.baselines
from tasks import Task
from tasks.baselines import MOST_SYMBOLS, _asked, baselines, fitted
from tasks.task import Batch, Classification, DataTask, MultiLabel, Regression, loss_form, one_hot

SYNTHETIC = sorted(name for name, cls in Task.registry.items() if cls.__module__.startswith("tasks.synthetic."))
LN = {k: math.log(k) for k in (2, 3, 4, 8)}


@pytest.fixture(autouse=True, scope="module")
def in_one_thread_on_few_sequences():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tasks.baselines, "SEQUENCES", 3000)
        patch.setattr(tasks.baselines, "MOST_TARGETS", 2**18)
        yield
    torch.set_num_threads(threads)


@cache
def found(name, **knobs):
    return {model.name: model for model in baselines(Task.registry[name](**knobs))}


def batch_of(inputs, targets, reads=None, **others):
    reads = torch.full(targets.shape[:2], len(inputs) - 1) if reads is None else reads
    return Batch(inputs, targets, reads, **others)


class Made(Classification):
    """Classes of sequences that a test hands over."""

    output_size = 3
    floor = math.log(3)


class MadeNumbers(Regression):
    """Numbers of sequences that a test hands over."""

    output_size = 2
    floor, solved_loss = 1.0, 0.1


class MadeLabels(MultiLabel):
    """Labels of sequences that a test hands over."""

    output_size = 3
    floor, solved_loss = 2.0, 0.1


# The floors of the registry.


@pytest.mark.parametrize("name", SYNTHETIC)
def test_no_floor_is_above_a_fitted_model_without_memory(name):
    task, models = Task.registry[name](), found(name)
    for model in models.values():
        if model.kind in ("no_input", "no_memory"):
            assert task.floor <= model.loss + 3 * model.error + 1e-3 * task.floor, model.name


@pytest.mark.parametrize("name", SYNTHETIC)
def test_every_synthetic_task_has_a_constant_a_memoryless_model_and_windows(name):
    kinds = {model.kind for model in found(name).values()}
    assert {"no_input", "no_memory"} <= kinds
    assert any(model.startswith("last 2 ") for model in found(name))
    assert any(model.startswith("last 4 ") for model in found(name))


@pytest.mark.parametrize("name", SYNTHETIC)
def test_a_longer_window_is_not_worse_than_a_shorter_one(name):
    models = [model for model in found(name).values() if model.metrics]  # fitted here, from the shortest on
    for shorter, longer in pairwise(models):
        assert longer.loss <= shorter.loss + 4 * shorter.error + 2e-3 * shorter.loss


# Closed forms.


def test_adding_without_input_is_the_variance_of_two_uniform_numbers():
    model = found("adding", lag=20)["no input"]
    assert model.loss == pytest.approx(1 / 6, abs=3 * model.error)


def test_the_error_of_a_loss_is_its_standard_error_over_the_sequences():
    fourth, variance = 1 / 15, 1 / 6  # moments of the sum of two uniform numbers about its mean
    exact = math.sqrt((fourth - variance**2) / 3000)
    assert found("adding", lag=20)["no input"].error == pytest.approx(exact, rel=0.6)  # from 20 parts: 16 % of its own


def test_a_mark_on_the_last_of_two_steps_halves_the_error_of_adding():
    model = found("adding", lag=2)["present input only"]
    assert model.loss == pytest.approx(1 / 12, abs=3 * model.error)


def test_the_last_2_of_two_steps_add_without_error():
    assert found("adding", lag=2)["last 2 inputs"].loss < 1e-6


@pytest.mark.parametrize("model", ["no input", "present input only", "last 2 inputs", "last 4 inputs"])
def test_delayed_recall_is_a_uniform_guess_for_every_simple_model(model):
    reached = found("delayed_recall", lag=20)[model]
    assert reached.loss == pytest.approx(math.log(8), abs=2e-3)
    assert reached.metrics["accuracy"] == pytest.approx(1 / 8, abs=0.015)


def test_a_window_that_reaches_the_cue_recalls_it():
    models = found("delayed_recall", lag=3)
    assert models["last 4 inputs"].loss < 0.1
    assert models["last 2 inputs"].loss == pytest.approx(math.log(8), abs=2e-3)


def test_a_logistic_answer_of_four_classes_is_a_quarter():
    model = found("temporal_order", lag=20, logistic=True)["no input"]
    assert model.loss == pytest.approx(3 / 16, abs=3 * model.error + 1e-4)


# Each form of a loss and of inputs.


def drawn(seed=0, size=400, steps=7):
    return torch.randn(steps, size, 4, generator=torch.Generator().manual_seed(seed))


def losses(task, make, windows=(0, 1, 2, 4)):
    models = fitted(task, make(0), make(1), list(windows))
    return {model.name: model.loss for model in models}


def test_real_inputs_of_a_regression_are_weighed_linearly():
    def make(seed):
        x = drawn(seed)
        return batch_of(x, torch.stack((x[-1, :, 0] + x[-2, :, 1], 2 * x[-1, :, 2]), -1).unsqueeze(0))

    reached = losses(MadeNumbers(), make)
    assert reached["no input"] == pytest.approx((2 + 4) / 2, rel=0.15)
    assert reached["present input only"] == pytest.approx(1 / 2, rel=0.15)
    assert reached["last 2 inputs"] < 1e-6


def test_a_linear_model_of_noise_is_shrunk():
    def make(seed):
        x = drawn(seed)
        return batch_of(x, torch.randn(1, 400, 2, generator=torch.Generator().manual_seed(seed + 10)))

    reached = losses(MadeNumbers(), make)  # 152 features; least squares would lose 1 / (1 - 152 / 400) = 1.6 times it
    assert reached["last 4 inputs"] < 1.15 * reached["no input"]


def test_products_of_few_real_inputs_are_seen():
    def make(seed):
        x = drawn(seed)
        return batch_of(x, torch.stack((x[-1, :, 0] * x[-1, :, 1], x[-1, :, 3] ** 2), -1).unsqueeze(0))

    assert losses(MadeNumbers(), make)["present input only"] < 1e-6


def test_classes_of_real_inputs_are_told_apart_by_a_logistic_model():
    def make(seed):
        x = drawn(seed)
        return batch_of(x, x[-2, :, :3].argmax(-1).unsqueeze(0))

    reached = losses(Made(), make)
    assert reached["present input only"] == pytest.approx(LN[3], abs=0.05)
    assert reached["last 2 inputs"] < 0.25


def test_labels_are_probabilities_of_their_own():
    def make(seed):
        x = drawn(seed)
        return batch_of(x, (x[-1, :, :3] > 0).float().unsqueeze(0))

    reached = losses(MadeLabels(), make)
    assert reached["no input"] == pytest.approx(3 * LN[2], abs=0.05)
    assert reached["present input only"] < 0.5


def test_contexts_of_few_symbols_are_counted():
    def make(seed):
        symbols = torch.randint(3, (7, 600), generator=torch.Generator().manual_seed(seed))
        return batch_of(one_hot(symbols, 3), (symbols[-1] + symbols[-2]).remainder(3).unsqueeze(0))

    reached = losses(Made(), make)
    assert reached["present input only"] == pytest.approx(LN[3], abs=0.02)
    assert reached["last 2 inputs"] < 0.05


def test_a_symbol_that_only_the_test_has_falls_back():
    def make(seed):
        symbols = torch.randint(3, (7, 600), generator=torch.Generator().manual_seed(seed))
        targets = symbols[-1].clone()  # so that the answer of any known symbol would be wrong for most of the unknown
        if seed == 1:
            symbols[-1] = 3
        return batch_of(one_hot(symbols, 4), targets.unsqueeze(0))

    assert losses(Made(), make)["present input only"] == pytest.approx(LN[3], abs=0.02)


def test_many_different_inputs_are_no_symbols():
    def make(seed):
        x = drawn(seed, size=4 * MOST_SYMBOLS + 4)
        return batch_of(x, (x[-1, :, 0] > 0).long().unsqueeze(0))

    assert losses(Made(), make)["present input only"] < 0.3


def test_answers_without_weight_are_not_fitted_and_weights_count():
    def make(seed):
        x, targets = drawn(seed, size=300), torch.zeros(2, 300, 2)
        targets[1] = 100.0
        weights = torch.ones(2, 300)
        weights[1] = 0.0
        return batch_of(x, targets, weights=weights)

    assert losses(MadeNumbers(), make)["no input"] == 0.0


def test_a_window_has_the_present_input_first_and_zeros_before_the_first_step():
    inputs = torch.tensor([5.0, 7.0]).view(2, 1, 1)
    batch = batch_of(inputs, torch.zeros(2, 1, 2), reads=torch.tensor([[0], [1]]))
    assert _asked(MadeNumbers(), batch).window(3).squeeze(2).tolist() == [[5, 0, 0], [7, 5, 0]]


def test_a_window_longer_than_the_sequence_is_filled_with_zeros():
    def make(seed):
        x = drawn(seed, steps=1)
        return batch_of(x, torch.stack((x[0, :, 0], x[0, :, 1]), -1).unsqueeze(0))

    assert losses(MadeNumbers(), make)["last 4 inputs"] < 1e-6


class Finite(DataTask, Regression):
    """A data set whose training part has the mean 1 and whose test part has the mean 3."""

    input_size, output_size, floor, reference, fingerprint = 4, 2, 1.0, 0.5, "0"

    def part(self, name):
        x = drawn(7, size=40) if name == "train" else drawn(8, size=60)
        return batch_of(x, torch.full((1, x.shape[1], 2), {"train": 1.0, "test": 3.0}[name]))


def test_a_data_set_is_fitted_on_train_and_measured_on_test():
    assert baselines(Finite())[0].loss == pytest.approx(4.0)


# What the task itself says.


class Stating(Made):
    """A task that knows two models."""

    input_size = 4
    known: ClassVar[dict[str, float]] = {"last 2 symbols": 0.7, "best possible": 0.5}

    def batch(self, size, generator):
        x = torch.randn(5, size, 4, generator=generator)
        return batch_of(x, torch.randint(3, (1, size), generator=generator))

    def baselines(self):
        return self.known


def test_what_a_task_states_comes_last_and_replaces_the_same_window():
    names = [(model.name, model.kind) for model in baselines(Stating())]
    assert names == [
        ("no input", "no_input"),
        ("present input only", "no_memory"),
        ("last 4 inputs", "window"),
        ("last 2 symbols", "window"),
        ("best possible", "published"),
    ]


def test_a_window_that_the_task_states_is_not_fitted(monkeypatch):
    fit, windows = tasks.baselines._of_features, []

    def counted(form, ours, theirs, window):
        windows.append(window)
        return fit(form, ours, theirs, window)

    monkeypatch.setattr(tasks.baselines, "_of_features", counted)
    baselines(Stating())
    assert windows == [1, 4]


def test_nothing_is_fitted_to_a_loss_of_its_own():
    class Own(Stating):
        def loss(self, outputs, batch):
            return super().loss(outputs, batch) + 1

    assert [model.name for model in baselines(Own())] == ["last 2 symbols", "best possible"]


def test_the_same_losses_come_twice():
    task = Task.registry["delayed_recall"](lag=5)
    assert baselines(task) == baselines(task)


def test_a_squared_error_of_classes_is_fitted_by_their_shares():
    class Squared(Made):
        @loss_form(lambda task: "logistic_squared_error")
        def loss(self, outputs, batch):
            return torch.nn.functional.mse_loss(outputs.sigmoid(), one_hot(batch.targets, 3))

    def make(seed):
        return batch_of(drawn(seed), torch.tensor([[0, 1, 1, 2]] * 100).view(1, -1))

    shares = torch.tensor([0.25, 0.5, 0.25])
    assert losses(Squared(), make)["no input"] == pytest.approx(float((shares * (1 - shares)).mean()), abs=1e-3)
