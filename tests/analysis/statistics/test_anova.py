from __future__ import annotations

import numpy as np
import pytest

from analysis.statistics import anova, process, trees
from analysis.tables.importance import importance
from tests.analysis.synthetic import SPACE, as_study, study

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
    model = anova.model_of(u, y, kind, 0)
    fine = (np.arange(4 * anova.GRID) + 0.5) / (4 * anova.GRID)  # a forest's steps are averaged over a cell of the grid
    points = np.array(np.meshgrid(fine, fine, indexing="ij")).reshape(2, -1).T
    predicted = model.predict(points).reshape(anova.GRID, 4, anova.GRID, 4).mean(axis=(1, 3))
    assert np.abs(surface - predicted).max() < (0.1 if kind == "forest" else 0.02) * y.std()


@pytest.mark.parametrize(("trials", "dimensions"), [(41, 3), (90, 2)])
def test_trees_are_those_of_scikit_learn(trials, dimensions):
    from sklearn.ensemble import ExtraTreesRegressor

    rng = np.random.default_rng(6)
    u, y, others = rng.random((trials, dimensions)), rng.normal(size=trials), rng.random((37, dimensions))
    theirs = ExtraTreesRegressor(n_estimators=trees.TREES, random_state=4).fit(u, y).predict(others)
    assert trees.Forest.fit(u, y, 4).predict(others).tolist() == theirs.tolist()


def test_the_process_is_that_of_scikit_learn():
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

    rng = np.random.default_rng(7)
    u, others = rng.random((41, 3)), rng.random((37, 3))
    y = additive(u) + 0.2 * rng.normal(size=41)
    kernel = ConstantKernel(1.0, (1e-3, 1e3)) * RBF([0.4] * 3, (0.05, 30.0)) + WhiteKernel(0.1, (1e-6, 10.0))
    theirs = GaussianProcessRegressor(kernel, normalize_y=True).fit(u, y).predict(others)
    assert process.Process.fit(u, y).predict(others) == pytest.approx(theirs, rel=1e-9)


def test_a_forest_is_the_sum_of_its_leaves():
    rng = np.random.default_rng(8)
    forest, points = trees.Forest.fit(rng.random((41, 3)), rng.normal(size=41), 0), rng.random((29, 3))
    low, high, weights = forest.leaves()
    inside = ((low[..., None] < points.T[:, None]) & (points.T[:, None] <= high[..., None])).all(axis=0)
    assert weights @ inside == pytest.approx(forest.predict(points))


def test_kernels_are_searched_once_per_fold_and_once_for_all_trials(monkeypatch):
    count = []
    search = process.fit_kernel
    monkeypatch.setattr(process, "fit_kernel", lambda *data: count.append(1) or search(*data))
    u = np.random.default_rng(9).random((60, 2))
    assert anova.analyse(u, additive(np.column_stack([u, u])), "ab").kind == "process"
    assert len(count) == anova.FOLDS + 1


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


@pytest.fixture(scope="module")
def explained():
    """A study of forty points and its three tables."""
    made = as_study(*study(("vanilla",), points=40))
    return made, importance(made)


def test_importance_has_every_term(explained):
    assert explained[1]["shares"]["term"].tolist() == [
        "learning_rate",
        "size",
        "input_noise",
        "learning_rate × size",
        "learning_rate × input_noise",
        "size × input_noise",
        "rest",
    ]
    assert explained[1]["shares"]["order"].tolist() == [1, 1, 1, 2, 2, 2, 3]


def test_marginals_stand_at_the_values_that_a_trial_would_have(explained):
    marginals = explained[1]["marginals"].query("response == 'score'").groupby("hyperparameter")["value"].agg(list)
    grid = (np.arange(64) + 0.5) / 64
    assert marginals["learning_rate"] == pytest.approx((1e-4 * 1e3**grid).tolist())
    assert marginals["input_noise"] == pytest.approx((0.5 * grid).tolist())
    sizes = marginals["size"]
    assert (sizes[0], sizes[1], sizes[32], sizes[-1]) == (8, 8, 32, 126)  # whole, as trained: 8 is 7.5 * (128.5/7.5)^u
    assert all(float(size).is_integer() for size in sizes)


def test_tables_of_importance_are_those_of_the_analysis_of_the_scores(explained):
    made, tables = explained
    own = made.trials
    found = anova.analyse(own[[f"u_{name}" for name in SPACE]], own["score"], list(SPACE))
    shares = tables["shares"].set_index("term")
    assert shares["share"].tolist() == [*found.shares, *found.pairs.values(), found.rest]
    assert shares["error"].tolist()[:-1] == [*found.share_errors, *found.pair_errors.values()]
    assert (shares["surrogate"] == found.kind).all()
    r2 = max(0.0, found.r2[found.kind])
    assert shares["of_score"].tolist() == [share * r2 for share in shares["share"]]
    assert shares["of_score_error"].tolist()[:-1] == [error * r2 for error in shares["error"][:-1]]
    assert shares[["r2_forest", "r2_process"]].iloc[0].to_dict() == {f"r2_{k}": v for k, v in found.r2.items()}
    curve = tables["marginals"].query("hyperparameter == 'size' and response == 'score'")
    assert curve["mean"].tolist() == found.curves[1].tolist()
    assert curve["error"].tolist() == found.curve_errors[1].tolist()
    surface = tables["surfaces"].query("first == 'learning_rate' and second == 'size'")
    field = found.surfaces[0, 1][:4, 4:8].mean()  # 64 x 64 grid points in 16 x 16 fields
    assert surface["mean"].iloc[1] == pytest.approx(field)
    assert surface[["u_first", "u_second"]].iloc[1].tolist() == [1 / 32, 3 / 32]


def test_importance_of_few_trials_is_empty():
    tables = importance(as_study(*study(("vanilla",), points=39)))
    assert {name: len(table) for name, table in tables.items()} == {"shares": 0, "marginals": 0, "surfaces": 0}


def test_jackknife_error_is_that_of_the_groups_left_out():
    parts = [np.array([1.0]), np.array([2.0]), np.array([6.0])]  # mean 3, squares 4 + 1 + 9
    assert anova._jackknife(np.array([3.0]), parts) == pytest.approx([(2 / 3 * 14) ** 0.5])


def test_a_product_of_two_coordinates_is_taken_apart_exactly():
    grid = anova.midpoints()
    factors = np.stack([grid[None], grid[None]])  # f(u) = 3 u v
    whole = anova.Products(np.array([3.0]), factors, 1.0, 9 * np.outer(grid, grid).var())
    shares, pairs, surfaces, curves = anova._decompose(whole)
    total, alone = np.outer(grid, grid).var(), (grid / 2).var()
    assert curves[0] == pytest.approx(1 + 3 * grid / 2)
    assert surfaces[0, 1] == pytest.approx(1 + 3 * np.outer(grid, grid))
    assert shares == pytest.approx([alone / total] * 2)
    assert pairs[0, 1] == pytest.approx(1 - 2 * alone / total)
