"""What the baseline's first points say of a study, on made-up outcomes."""

import subprocess
import sys

import pytest

from runs.study.pilot import findings, pilot_points
from runs.study.plan import Search
from runs.trial.trial import Outcome
from tests.runs.conftest import make_design


def outcomes(solved, *scores):
    """So many solved outcomes, and unsolved ones with these scores."""
    return [Outcome(status="solved", score=1.0)] * solved + [Outcome(status="finished", score=s) for s in scores]


def series(*lags):
    nodes = {f"adding_{lag}": {"_target_": "tasks.Adding", "label": f"adding_{lag}", "lag": lag} for lag in lags}
    return make_design(tasks=nodes, levels={"adding": tuple(nodes)}, points=5)


@pytest.mark.parametrize(("points", "count"), [(1, 0), (2, 0), (3, 3), (4, 4), (5, 5), (200, 5)])
def test_the_pilot_is_the_first_five_points_of_a_study_of_at_least_three(points, count):
    assert pilot_points(Search(make_design(points=points))) == count


@pytest.mark.parametrize("changes", [{"sampler": "tpe"}, {"pruner": "asha"}])
def test_a_search_whose_variants_cannot_be_compared_has_no_pilot(changes):
    assert pilot_points(Search(make_design(points=9, **changes))) == 0


FINE = "pilot: vanilla solved some of its first points, or came off the floor:"
ANOTHER = "pilot: the study goes on; a changed one needs another name: name=study_2"


def test_a_task_on_which_nothing_is_learned_is_named_with_what_may_change_it():
    found = findings(make_design(), {"adding": outcomes(0, 0.03, 0.01, 0.0), "recall": outcomes(2, 0.0)})
    assert found == [
        "pilot: nothing is learned on adding: 0 of 3 points, best score .03; a larger training.budget, a shorter lag "
        "or wider learning rates may change it: tasks.adding.lag=2",
        ANOTHER,
        f"{FINE} recall (2 of 3 points)",
    ]


def test_a_task_that_is_always_solved_is_named_with_a_longer_lag():
    found = findings(make_design(), {"adding": outcomes(3), "recall": outcomes(0, 0.1, 0.05)})
    assert found == [
        "pilot: everything is solved on adding: 3 of 3 points; a longer lag would tell variants apart: "
        "tasks.adding.lag=8",
        ANOTHER,
        f"{FINE} recall (0 of 2 points, best score .10)",
    ]


def test_where_nothing_is_wrong_one_line_is_said():
    found = findings(make_design(), {"adding": outcomes(1, 0.0), "recall": outcomes(2, 0.0)})
    assert found == [f"{FINE} adding (1 of 2 points), recall (2 of 3 points)"]


def test_failed_trials_say_nothing_and_diverged_ones_are_not_solved():
    failed, diverged = Outcome(status="failed"), Outcome(status="diverged", score=0.0)
    found = findings(make_design(), {"adding": [failed, failed], "recall": [failed, diverged, *outcomes(1)]})
    assert found == [f"{FINE} recall (1 of 2 points)"]
    assert findings(make_design(), {"adding": [failed], "recall": [failed]}) == []


def test_a_series_is_fine_where_one_of_its_lags_is_neither_always_solved_nor_on_the_floor():
    found = findings(
        series(9, 18, 36),
        {"adding_9": outcomes(2), "adding_18": outcomes(1, 0.0), "adding_36": outcomes(0, 0.0, 0.02)},
    )
    assert found == [
        f"{FINE} adding_9 (2 of 2 points), adding_18 (1 of 2 points); it learned nothing at other lags: adding_36 (0 "
        "of 2 points, best score .02)"
    ]


@pytest.mark.parametrize(
    ("short", "long", "start", "end"),
    [
        (
            outcomes(0, 0.0),
            outcomes(0, 0.05),
            "nothing is learned on adding at any of its lags: lag 9: 0 of 1",
            "[4,18]",
        ),
        (outcomes(2), outcomes(2), "everything is solved on adding at all of its lags: lag 9: 2 of 2", "[18,72]"),
        (outcomes(2), outcomes(0, 0.0), "adding is either always solved or not learned: lag 9: 2 of 2", "[9,18,36]"),
    ],
)
def test_a_series_without_such_a_lag_is_named_with_other_lags(short, long, start, end):
    found = findings(series(9, 36), {"adding_9": short, "adding_36": long})
    assert found[0].startswith(f"pilot: {start}")
    assert found[0].endswith(f": tasks.adding.lag={end}")
    assert found[1:] == [ANOTHER]


def test_the_pilot_and_the_ranking_need_no_torch():
    code = "import sys, runs.study.pilot, runs.study.ranking; print('torch' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"


def without_criterion(*losses):
    said = {"solved_loss": None, "floor": 9.0, "unit": "nats per step", "unit_scale": 1.0}
    scores = [max(0.0, 9.0 - loss) for loss in losses]
    return [
        Outcome(status="finished", score=s, test_loss=loss, task=said) for s, loss in zip(scores, losses, strict=True)
    ]


def test_a_task_without_a_criterion_is_judged_by_its_losses():
    found = findings(make_design(), {"adding": without_criterion(9.5, 9.2), "recall": without_criterion(8.5, 9.7)})
    assert found == [
        "pilot: nothing is learned on adding: 9.2 nats per step at best, 9 without memory; more training or wider "
        "learning rates may change it",
        ANOTHER,
        f"{FINE} recall (8.5 nats per step at best, 9 without memory)",
    ]
