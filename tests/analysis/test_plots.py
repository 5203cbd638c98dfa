from __future__ import annotations

import numpy as np
import pytest

from analysis.figures import pieces as draw
from analysis.figures import plots
from analysis.figures.gallery import FIGURES, parts
from analysis.load import tidy
from analysis.statistics.best import expected_best
from analysis.tables.comparisons import comparisons
from analysis.tables.summary import usable

from .synthetic import TASKS, TWENTY, explained, study

HARD = {
    "one trial": {"variants": ("vanilla",), "points": 1},
    "all failed, a variant without any": {
        "variants": ("vanilla", "gru"),
        "points": 3,
        "failed": 1.0,
        "missing": (("gru", "adding"),),
    },
    "unknown variant, failed trials, missing pair, nothing solved": {
        "variants": ("vanilla", "gru", "my_own_cell"),
        "tasks": ("adding", "temporal_order_3"),
        "points": 12,
        "failed": 0.3,
        "missing": (("gru", "adding"),),
    },
    "twenty variants": {"variants": TWENTY, "points": 6, "failed": 0.05},
    "seven tasks": {"variants": ("vanilla", "gru"), "tasks": tuple(TASKS), "points": 3},
}
ELSEWHERE = {
    "beside",
    "horizon_trials",
    "confirmation",
    "confirmed",
    "profiles",
    "gradients",
    "sequences",
}  # their figures have tests of their own
OF_THE_TRIALS = [spec for spec in FIGURES if not set(spec.needs) & ELSEWHERE]
# drawn as learning_curves are
SAME_CURVES = ("expected_best_trials", "expected_best_seconds", "solve_curves", "performance_profiles")
CASES = [
    (spec, case)
    for spec in OF_THE_TRIALS
    for case in HARD
    if spec.name not in SAME_CURVES or case.startswith("unknown")
]


def first_part(spec, table, design):
    """The figure as a report shows it; the first task of one that is drawn task by task."""
    tables = {"comparisons": comparisons(table, design, resamples=20, swaps=19)} if "comparisons" in spec.needs else {}
    tables |= explained(table, design) if set(spec.needs) & {"shares", "marginals", "surfaces"} else {}
    return spec.draw(*next(parts(spec, table, design, tables))[1])


@pytest.mark.parametrize(("spec", "case"), CASES, ids=[f"{spec.name}-{case}" for spec, case in CASES])
def test_figure_draws_and_fits_a_page(spec, case):
    rows, design = study(**HARD[case])
    drawn = first_part(spec, tidy(rows), design)
    drawn.figure.draw_without_rendering()
    width, height = drawn.figure.get_size_inches()
    assert width <= 7.3
    assert height <= 12.0


def texts(figure):
    from matplotlib.text import Text

    return " ".join(t.get_text() for t in figure.findobj(Text))


@pytest.mark.parametrize("spec", OF_THE_TRIALS, ids=lambda spec: spec.name)
def test_figure_says_how_many_trials_were_solved_and_diverged(spec, small):
    table, design = small
    shown = texts(first_part(spec, table, design).figure)
    assert "solved" in shown or "solve rate" in shown
    assert "diverged" in shown or "div." in shown


def test_plotted_trials_are_the_trials_of_the_table(small):
    table, design = small
    data = plots.boxes(table, design).data
    assert len(data[data["subset"] == "all trials"]) == len(usable(table))
    assert len(data[data["subset"] == "best decile"]) == 6 * 2


def test_expected_best_curve_is_the_estimator_of_stats(small):
    table, design = small
    data = plots.expected_best(table, design).data
    own = table[(table["task"] == "copying") & (table["variant"] == "gru")]
    curve = data[(data["task"] == "copying") & (data["variant"] == "gru")]
    assert curve["y"].tolist() == pytest.approx(
        expected_best(own["score"], own["validation_loss"], curve["n"]).tolist()
    )


def test_seconds_are_trials_times_their_mean_time(small):
    table, design = small
    trials, seconds = (plots.expected_best(table, design, budget).data for budget in ("trials", "seconds"))
    means = table.groupby(["task", "variant"])["seconds"].mean()
    expected = [row.x * means[row.task, row.variant] for row in trials.itertuples()]
    assert seconds["x"].tolist() == pytest.approx(expected)


def test_learning_curve_of_a_stopped_trial_keeps_its_last_loss_and_of_a_diverged_one_is_infinite():
    rows, _ = study(("vanilla",), points=2)
    first = {
        **rows[0],
        "status": "solved",
        "curve_steps": [0, 10, 20],
        "curve_losses": [1.0, 0.5, 0.1],
        "train_losses": [],
    }
    second = {**rows[1], "status": "diverged", "curve_steps": [0, 10], "curve_losses": [1.0, 0.7], "train_losses": []}
    losses = plots._settled(tidy([first, second]), np.array([0, 10, 20, 40]))
    assert losses.tolist() == [[1.0, 0.5, 0.1, 0.1], [1.0, 0.7, np.inf, np.inf]]


def test_colours_of_small_text_are_dark_enough():
    from matplotlib.colors import to_rgb

    from analysis.figures.style import LOOKS

    for variant, look in LOOKS.items():
        rgb = np.array(to_rgb(draw.readable(look.colour)))
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        assert 1.05 / (linear @ [0.2126, 0.7152, 0.0722] + 0.05) > 3.9, f"{variant}: contrast of its name on white"
