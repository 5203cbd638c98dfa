"""Simple models against scikit-learn and against counts by hand; splits."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge

from tasks.data import models
from tasks.data.batches import every_step, rows_of
from tasks.data.models import Ngram, Rows, best_linear, fit_linear, mean_loss, squared_error, window
from tasks.data.split import split

N, F, C = 200, 5, 3
SOURCE = torch.Generator().manual_seed(0)
X = torch.randn(N, F, generator=SOURCE).double()
CLASSES = (X[:, :C] + torch.randn(N, C, generator=SOURCE)).argmax(1)
WEIGHTS = torch.rand(N, generator=SOURCE)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_softmax_regression_is_that_of_scikit_learn(weights):
    found = fit_linear(Rows(X, CLASSES, weights), models.cross_entropy, C, 0.01)
    total = N if weights is None else float(weights.sum())
    theirs = LogisticRegression(C=1 / (0.01 * total), tol=1e-10).fit(X, CLASSES, sample_weight=weights)
    np.testing.assert_allclose(found(X).softmax(1), theirs.predict_proba(X), atol=1e-4)


def test_logistic_regressions_are_those_of_scikit_learn():
    targets = torch.stack([CLASSES == 0, CLASSES == 1], 1).double()
    found = fit_linear(Rows(X, targets), models.binary_cross_entropy, 2, 0.01)(X).sigmoid()
    for output in range(2):
        theirs = LogisticRegression(C=1 / (0.01 * N), tol=1e-10).fit(X, targets[:, output])
        np.testing.assert_allclose(found[:, output], theirs.predict_proba(X)[:, 1], atol=1e-4)


def test_least_squares_are_those_of_scikit_learn():
    targets = X[:, :2] @ torch.tensor([[1.0, 2.0], [0.5, -1.0]]).double() + 3
    found = fit_linear(Rows(X, targets), models.squared_error, 2, 0.1)
    theirs = Ridge(alpha=0.1 * N).fit(X, targets)  # the mean over two outputs halves the loss of each
    np.testing.assert_allclose(found(X), theirs.predict(X), atol=1e-4)


def test_the_validation_part_chooses_the_penalty():
    few, many = Rows(X[:20], CLASSES[:20]), Rows(X[20:], CLASSES[20:])
    chosen = best_linear(few, many, models.cross_entropy, C)
    losses = [
        mean_loss(models.cross_entropy, fit_linear(few, models.cross_entropy, C, p)(many.features), many)
        for p in models.PENALTIES
    ]
    assert mean_loss(models.cross_entropy, chosen(many.features), many) == pytest.approx(min(losses), abs=1e-4)


def test_a_refit_uses_both_parts():
    ours, theirs = (Rows(torch.zeros(4, 1), torch.full((4, 1), value)) for value in (1.0, 3.0))
    both = best_linear(ours, theirs, squared_error, 1, refit=True)
    assert float(both(torch.zeros(1, 1))) == pytest.approx(2.0, abs=1e-4)


def test_a_refit_keeps_the_weights_of_both_parts():
    weighted = [
        Rows(torch.zeros(2, 1), torch.full((2, 1), v), torch.full((2,), w)) for v, w in ((1.0, 3.0), (3.0, 1.0))
    ]
    assert float(best_linear(*weighted, squared_error, 1, refit=True)(torch.zeros(1, 1))) == pytest.approx(
        1.5, abs=1e-4
    )


def test_an_ngram_backs_off_as_witten_and_bell_say():
    model = Ngram([np.array([0, 0, 1, 0, 2])], alphabet=4, order=1)
    start = (3 + 3 / 4) / 8, (1 + 3 / 4) / 8  # five symbols, three of them different
    after_0 = (1 + 3 * start[0]) / (3 + 3), (1 + 3 * start[1]) / (3 + 3)
    found = model.probabilities(np.array([0, 0, 2, 1]))
    assert found[1:] == pytest.approx([after_0[0], after_0[1], start[1]])


@pytest.mark.parametrize("order", [0, 1, 3])
def test_the_probabilities_of_an_ngram_add_up_to_one(order):
    text = np.random.default_rng(0).integers(0, 3, 50)
    model = Ngram([text], alphabet=5, order=order)
    context = np.array([0, 1, 2, 1])
    total = sum(model.probabilities(np.append(context, symbol))[-1] for symbol in range(5))
    assert total == pytest.approx(1)


def test_an_ngram_that_would_overflow_is_refused():
    with pytest.raises(ValueError, match=r"must be below 2 \*\* 63, got 78 and 12"):
        Ngram([np.array([0])], alphabet=78, order=12)


def test_rows_are_the_answers_that_are_asked_with_the_inputs_before_them():
    sequences = [torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([[7.0]])]
    batch = every_step(sequences, [values * 10 for values in sequences])
    rows = rows_of(batch, 2)
    assert sorted(torch.cat([rows.features, rows.targets], 1).tolist()) == [
        [1, 0, 10],
        [2, 1, 20],
        [3, 2, 30],
        [7, 0, 70],
    ]
    assert rows_of(batch, 0).features.shape == (4, 0)


def test_a_window_has_the_present_input_first():
    assert torch.equal(window(X.view(1, N, F), 1), X.view(1, N, F))


def test_groups_are_never_divided():
    names = [f"item {n}" for n in range(40)]
    groups = [n // 3 for n in range(40)]
    parts = split("some", names, groups, seed=0)
    held = [{groups[item] for item in items} for items in parts.values()]
    assert sorted(item for items in parts.values() for item in items) == list(range(40))
    assert sum(map(len, held)) == len(set(groups))


def test_a_part_that_is_left_empty_is_one_line():
    with pytest.raises(
        ValueError, match=r"^some: every part must have an item, but validation, test got none of 3 in 1 "
    ):
        split("some", ["a", "b", "c"], [0, 0, 0], seed=0)
