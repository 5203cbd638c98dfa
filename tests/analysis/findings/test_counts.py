"""The words of a page of findings that count trials, held against counts by hand."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.findings.counts import CountWords
from analysis.findings.results import Results
from tests.analysis import factored
from tests.analysis.synthetic import by_hand


def words(study):
    return CountWords(lambda name: Results(study))


@pytest.fixture(scope="module")
def solving():
    """At two lags the LSTM solves the first three of four points with keep biases 0, 1, 2.5 and 4, and the first."""
    rows = [
        {
            "task": f"adding_{lag}",
            "lag": lag,
            "variant": "vanilla",
            "status": "solved" if point < count else "finished",
        }
        for lag, count in ((30, 3), (60, 1))
        for point in range(4)
    ]
    study = by_hand(*rows, levels={"adding": ["adding_30", "adding_60"]})
    study.every["keep_bias"] = study.every["point"].map(dict(enumerate((0.0, 1.0, 2.5, 4.0))))
    return words(study)


def test_trials_are_counted_where_a_hyperparameter_lies(solving):
    assert solving.solved_where("x", "adding_30", "vanilla", "keep_bias") == "3 of 4"
    assert solving.solved_where("x", "adding_30", "vanilla", "keep_bias", below=2.5) == "2 of 2"
    assert solving.solved_where("x", "adding_30", "vanilla", "keep_bias", least=2.5) == "1 of 2"


def test_the_lags_of_a_series_are_counted_together(solving):
    assert solving.solved_where("x", "adding", "vanilla", "keep_bias", below=2.5) == "3 of 4"


def test_a_place_without_trials_is_an_error(solving):
    with pytest.raises(ValueError, match="no trials of vanilla on copying"):
        solving.solved_where("x", "copying", "vanilla", "keep_bias")


@pytest.fixture(scope="module")
def losses():
    """Twenty points; the two best of the LSTM have losses .50 and .52, three of the GRU are below their mean."""
    facts = {"task": "adding", "solved_loss": np.nan, "reference": 0.1, "floor": 1.0, "unit": "nats"}
    curves = {
        "vanilla": [0.50, 0.52, *np.linspace(0.6, 0.9, 16), 0.995, 1.2],
        "gru": [0.40, 0.45, 0.50, *np.linspace(0.6, 0.9, 16), np.nan],
    }
    rows = [
        {"variant": variant, "validation_loss": loss, "test_loss": loss, **facts}
        for variant, own in curves.items()
        for loss in own
    ]
    study = by_hand(*rows)
    study.every["learning_rate"] = 0.001 * (1 + study.every["point"])
    return words(study)


def test_settings_that_reach_the_best_decile_of_the_baseline(losses):
    assert losses.decile_size("x", "adding") == "2"
    assert losses.reaching("x", "adding", "gru") == "3 of 20"
    assert losses.where_reaching("x", "adding", "gru", "learning_rate") == "0.001 to 0.003"
    assert losses.reaching("x", "adding", "vanilla") == "1 of 20"


def test_a_gain_below_a_hundredth_and_a_missing_loss_are_no_gain(losses):
    assert losses.without_gain("x", "adding", "vanilla") == "2 of 20"
    assert losses.without_gain("x", "adding", "gru") == "1 of 20"


def test_ruined_trials_are_those_that_diverged_or_exploded_in_a_corner():
    study = factored.study(points=4)
    trials = study.trials  # which the study keeps
    trials["status"] = "finished"
    lacking = trials.index[trials["part_forget_gate"] == "no"]
    other = trials.index[trials["part_forget_gate"] == "yes"]
    trials.loc[[lacking[0], other[0]], "status"] = "diverged"
    trials.loc[lacking[1], "status"] = "exploded"
    found = words(study)
    assert found.ruined("x") == "3"
    assert found.ruined("x", forget_gate="no") == "2"
