from __future__ import annotations

import numpy as np
import pytest

from analysis.load import tidy
from analysis.statistics import anova
from analysis.tables.importance import importance, value_at

from .synthetic import SPACE, study

ISHIGAMI = {"first": 0.314, "second": 0.442, "first and third": 0.244}  # Ishigami & Homma 1990, a = 7, b = 0.1


def ishigami(u):
    x = np.pi * (2 * u - 1)
    return np.sin(x[:, 0]) + 7 * np.sin(x[:, 1]) ** 2 + 0.1 * x[:, 2] ** 4 * np.sin(x[:, 0])


def additive(u):
    return 8 * (u[:, 0] - 0.6) ** 2 + u[:, 1] - 0.5 * u[:, 2]


def test_process_on_200_trials_finds_the_shares_of_ishigami():
    u = np.random.default_rng(0).random((200, 3))
    found = anova.analyse(u, ishigami(u), "abc", kind="process", jackknife=False)
    assert found.shares == pytest.approx([ISHIGAMI["first"], ISHIGAMI["second"], 0.0], abs=0.04)
    assert found.pairs[0, 2] == pytest.approx(ISHIGAMI["first and third"], abs=0.04)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_forest_on_1800_trials_finds_the_shares_of_ishigami(seed):
    u = np.random.default_rng(seed).random((1800, 3))
    found = anova.analyse(u, ishigami(u), "abc", kind="forest", jackknife=False)
    assert found.shares == pytest.approx([ISHIGAMI["first"], ISHIGAMI["second"], 0.0], abs=0.06)
    assert found.pairs[0, 2] == pytest.approx(ISHIGAMI["first and third"], abs=0.06)


@pytest.mark.parametrize("kind", ["forest", "process"])
def test_an_additive_function_has_no_pairs(kind):
    rng = np.random.default_rng(1)
    u = rng.random((200, 3))
    found = anova.analyse(u, additive(u) + 0.2 * rng.normal(size=200), "abc", kind=kind, jackknife=False)
    assert max(found.pairs.values()) < 0.03


def test_shares_are_of_the_cube_and_so_of_the_logarithm_of_a_log_scaled_hyperparameter():
    u = np.random.default_rng(2).random((200, 2))
    values = u[:, 0] + u[:, 1]  # as much in the logarithm of the one as in the other
    assert anova.analyse(u, values, "ab", kind="process", jackknife=False).shares == pytest.approx([0.5, 0.5], abs=0.03)


@pytest.mark.parametrize("kind", ["forest", "process"])
def test_surrogate_as_a_sum_of_products_equals_its_predictions(kind):
    rng = np.random.default_rng(3)
    u = rng.random((60, 2))
    y = ishigami(np.column_stack([u, u[:, 0]]))
    surface = anova.fit(u, y, kind).marginal(0, 1)
    model = anova._forest(u, y, 0) if kind == "forest" else anova._process(u, y, 0)
    fine = (np.arange(4 * anova.GRID) + 0.5) / (4 * anova.GRID)  # a forest's steps are averaged over a cell of the grid
    points = np.array(np.meshgrid(fine, fine, indexing="ij")).reshape(2, -1).T
    predicted = model.predict(points).reshape(anova.GRID, 4, anova.GRID, 4).mean(axis=(1, 3))
    assert np.abs(surface - predicted).max() < (0.1 if kind == "forest" else 0.02) * y.std()


@pytest.mark.parametrize("kind", ["forest", "process"])
def test_marginals_are_means_of_the_surface(kind):
    u = np.random.default_rng(4).random((60, 3))
    surrogate = anova.fit(u, additive(u), kind)
    assert surrogate.marginal(0, 2).mean(axis=1) == pytest.approx(surrogate.marginal(0))
    assert surrogate.marginal(1).mean() == pytest.approx(surrogate.marginal(2).mean())


def test_shares_of_a_forest_add_up_to_at_most_one():
    u = np.random.default_rng(5).random((80, 3))
    found = anova.analyse(u, ishigami(u), "abc", kind="forest", jackknife=False)
    assert found.shares.sum() + sum(found.pairs.values()) + found.rest == pytest.approx(1.0, abs=0.03)


def test_the_surrogate_that_predicts_better_is_taken():
    u = np.random.default_rng(6).random((80, 2))
    found = anova.analyse(u, additive(np.column_stack([u, u])), "ab", jackknife=False)
    assert set(found.r2) == {"forest", "process"}
    assert found.r2[found.kind] == max(found.r2.values())


def test_errors_shrink_with_the_trials():
    errors = []
    for trials in (50, 250):
        rng = np.random.default_rng(7)
        u = rng.random((trials, 2))
        values = additive(np.column_stack([u, u])) + 0.5 * rng.normal(size=trials)
        errors.append(anova.analyse(u, values, "ab", kind="process").curve_errors.mean())
    assert errors[1] < 0.7 * errors[0]


def test_a_constant_outcome_has_no_shares():
    u = np.random.default_rng(8).random((50, 2))
    found = anova.analyse(u, np.zeros(50), "ab", jackknife=False)
    assert found.shares.tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("shape", "high", "message"),
    [
        ((50, 3), 1.0, r"\[N, 2\]"),
        ((10, 2), 1.0, "at least 40 trials, got 10"),
        ((50, 2), 2.0, "must lie in the unit cube"),
    ],
)
def test_wrong_points_are_refused(shape, high, message):
    u = high * np.random.default_rng(9).random(shape)
    with pytest.raises(ValueError, match=message):
        anova.analyse(u, u[:, 0], "ab")


def test_importance_has_every_term_and_the_values_of_the_space():
    rows, design = study(("vanilla",), points=40)
    tables = importance(tidy(rows), design)
    assert tables["shares"]["term"].tolist()[:4] == [*SPACE, "learning_rate × size"]
    rates = tables["marginals"].query("hyperparameter == 'learning_rate' and response == 'score'")["value"]
    assert 1e-4 < rates.min() < 1.2e-4
    assert 0.09 < rates.max() < 0.1
    assert len(tables["surfaces"]) == 3 * 16 * 16


def test_importance_of_few_trials_is_empty():
    rows, design = study(("vanilla",), points=10)
    assert all(frame.empty for frame in importance(tidy(rows), design).values())


def test_coordinates_become_values_as_the_space_says():
    u = np.array([0.0, 0.5, 1.0])
    assert value_at({"low": 1e-4, "high": 1e-2, "log": True}, u) == pytest.approx([1e-4, 1e-3, 1e-2])
    assert value_at({"low": 0.01, "high": 1.0, "log": True, "complement": True}, u) == pytest.approx([0.99, 0.9, 0.0])
    assert value_at({"low": 0.0, "high": 0.5}, u) == pytest.approx([0.0, 0.25, 0.5])
