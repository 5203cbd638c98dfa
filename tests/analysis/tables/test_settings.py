from __future__ import annotations

import shlex

import numpy as np
import pytest

from analysis.tables.settings import recommended
from tests.analysis.synthetic import as_study, by_hand, study


@pytest.fixture(scope="module")
def settings():
    rows, design = study(
        ("vanilla", "gru"), ("adding", "copying"), points=60, failed=0.05, missing=(("gru", "copying"),)
    )
    made = as_study(rows, design)
    return made.table, recommended(made)


def test_the_best_three_by_steps_then_validation_are_shown_with_their_test_scores(settings):
    table, found = settings
    own = table[(table["task"] == "adding") & (table["variant"] == "gru") & (table["status"] != "failed")]
    best = own.assign(last=own["solved_step"].fillna(np.inf)).sort_values(["last", "validation_loss"]).head(3)
    shown = found[(found["task"] == "adding") & (found["variant"] == "gru")]
    assert shown["point"].tolist() == best["point"].tolist()
    assert shown["score"].tolist() == best["score"].tolist()
    assert shown["rank"].tolist() == [1, 2, 3]
    assert (shown["trials"] == len(own)).all()


def test_ranges_are_those_of_the_best_decile(settings):
    table, found = settings
    own = table[(table["task"] == "adding") & (table["variant"] == "vanilla") & (table["status"] != "failed")]
    ranked = own.assign(last=own["solved_step"].fillna(np.inf)).sort_values(["last", "validation_loss"])
    best = ranked.head(int(np.ceil(0.1 * own["validation_loss"].notna().sum())))["learning_rate"]
    row = found[(found["task"] == "adding") & (found["variant"] == "vanilla")].iloc[0]
    assert (row["learning_rate_low"], row["learning_rate_high"]) == (best.min(), best.max())


@pytest.mark.parametrize(("trials", "highest"), [(20, 0.05), (200, 0.2), (201, 0.21)])
def test_ranges_span_the_best_tenth_and_at_least_five_trials(trials, highest):
    """The trial of rank k has a learning rate of k hundredths."""
    ranked = [{"validation_loss": 1.0 + k, "learning_rate": (1 + k) / 100} for k in range(trials)]
    row = recommended(by_hand(*ranked[::-1])).iloc[0]
    assert (row["learning_rate_low"], row["learning_rate_high"]) == pytest.approx((0.01, highest))
    assert (row["trials"], row["rank"], row["learning_rate"]) == (trials, 1, 0.01)


def test_trials_without_a_loss_count_but_are_not_ranked():
    found = recommended(by_hand({"validation_loss": None, "status": "diverged"}, {"validation_loss": 1.0}))
    assert found[["trials", "rank", "point"]].to_numpy().tolist() == [[2, 1, 1]]


def test_a_pair_without_trials_has_no_recommendation(settings):
    _, found = settings
    assert found[(found["task"] == "copying") & (found["variant"] == "gru")].empty


def test_nothing_is_recommended_where_everything_failed():
    rows, design = study(("vanilla",), points=3, failed=1.0)
    assert recommended(as_study(rows, design)).empty


def test_the_command_runs_exactly_the_trial_that_it_recommends():
    from hydra import compose, initialize_config_dir

    from analysis.tables.trial_commands import command
    from runs.configuration.schema import register
    from runs.configuration.study import design_from
    from runs.configuration.trial import trial_from
    from runs.console.early import CONF

    register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        study = [
            "study=smoke",
            "variants=[vanilla,gru,greff_np]",
            "training=greff",
            "space=greff",
            "initialisation=gaussian",
            "seed=3",
        ]
        design = design_from(compose("sweep", overrides=[*study, "tasks.adding.lag=7"]))
        for variant in design.variants:
            trial = design.trial("adding", variant, 5)
            words = shlex.split(command(trial))[3:]
            choices = {w.partition("=")[0]: w.partition("=")[2] for w in words}
            assert trial_from(compose("trial", overrides=words), choices).id == trial.id, command(trial)
