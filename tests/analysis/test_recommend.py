from __future__ import annotations

import shlex

import numpy as np
import pytest

from analysis.load import tidy
from analysis.tables.settings import recommended

from .synthetic import study


@pytest.fixture(scope="module")
def settings():
    rows, design = study(
        ("vanilla", "gru"), ("adding", "copying"), points=60, failed=0.05, missing=(("gru", "copying"),)
    )
    table = tidy(rows)
    return table, recommended(table, design)


def test_the_best_three_by_validation_are_shown_with_their_test_scores(settings):
    table, found = settings
    own = table[(table["task"] == "adding") & (table["variant"] == "gru") & (table["status"] != "failed")]
    best = own.nsmallest(3, "validation_loss")
    shown = found[(found["task"] == "adding") & (found["variant"] == "gru")]
    assert shown["point"].tolist() == best["point"].tolist()
    assert shown["score"].tolist() == best["score"].tolist()
    assert shown["rank"].tolist() == [1, 2, 3]
    assert (shown["trials"] == len(own)).all()


def test_ranges_are_those_of_the_best_decile(settings):
    table, found = settings
    own = table[(table["task"] == "adding") & (table["variant"] == "vanilla") & (table["status"] != "failed")]
    best = own.nsmallest(int(np.ceil(0.1 * own["validation_loss"].notna().sum())), "validation_loss")["learning_rate"]
    row = found[(found["task"] == "adding") & (found["variant"] == "vanilla")].iloc[0]
    assert (row["learning_rate_low"], row["learning_rate_high"]) == (best.min(), best.max())


def test_a_pair_without_trials_has_no_recommendation(settings):
    _, found = settings
    assert found[(found["task"] == "copying") & (found["variant"] == "gru")].empty


def test_nothing_is_recommended_where_everything_failed():
    rows, design = study(("vanilla",), points=3, failed=1.0)
    assert recommended(tidy(rows), design).empty


def test_the_command_runs_exactly_the_trial_that_it_recommends():
    from hydra import compose, initialize_config_dir

    from analysis.tables.settings import command
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
