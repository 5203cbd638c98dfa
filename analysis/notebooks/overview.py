# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Overview: from a study to a verdict
#
# A study trains every variant at the same points of a search space, on the same data. This notebook goes from its
# archive to what may be concluded, step by step. Choose the study with the environment variables `STUDY` and `RESULTS`.

# %%
import os
from pathlib import Path

import mlflow

from analysis.figures import boxes, expected_best_trials, forest, solve_curves
from analysis.load import archive_named
from analysis.report.sentences import verdicts
from analysis.study import Study
from analysis.tables.comparisons import comparisons, resolution
from runs.record.tracked import of_runs, tracked

results = Path(os.environ.get("RESULTS", "results"))
study = Study.read(archive_named(os.environ.get("STUDY", "quick"), results))
name = study.name
print(f"{len(study.table)} trials of {', '.join(study.variants)} on {', '.join(study.tasks)}")

# %% [markdown]
# MLflow, where the study was tracked, holds a run per trial; `of_runs` gives its columns the names of the table.

# %%
if uri := tracked(study.about, results):
    mlflow.set_tracking_uri(uri)
    runs = of_runs(mlflow.search_runs(experiment_names=[name]), study.design)
    print(f"{len(runs)} runs; the same numbers as in the table: {runs.equals(study.table[runs.columns])}")
else:
    print("this study was not tracked in an MLflow that is within reach")

# %% [markdown]
# ## What became of the trials
#
# `solved` trials met the task's criterion, also on fresh sequences; `finished` ones spent their budget; `diverged`
# ones count as unsolved with their whole budget. `failed` means that the program broke: those say nothing about a
# variant and are left out.

# %%
study.table.groupby(["task", "variant", "status"]).size().unstack(fill_value=0)

# %% [markdown]
# ## All trials, and the best tenth
#
# The search draws hyperparameters at random, so most trials of a good variant are bad. Left all of them, right those
# that a search would keep: the best tenth by validation loss, shown with their loss on test data.

# %%
boxes.FIGURE.drawn(study)

# %% [markdown]
# How long does training take to succeed?

# %%
solve_curves.FIGURE.drawn(study)

# %% [markdown]
# ## What a search of n trials can expect
#
# The trial with the best validation loss out of n, averaged over all subsets of n trials: the question of somebody with
# a budget.

# %%
expected_best_trials.FIGURE.drawn(study)

# %% [markdown]
# ## Differences
#
# The share of solved trials, pooled over all variants, chooses what a task is judged by; the rule is fixed beforehand.
# Variants are compared with the baseline point by point. Intervals hold for all variants of a task together.

# %%
found = comparisons(study)
forest.FIGURE.drawn(study, found)

# %%
for sentence in verdicts(study, found):
    print(sentence, end="\n\n")

# %% [markdown]
# ## How small a difference can be seen?
#
# Half the width of an interval is the smallest difference that this study can distinguish from none. It shrinks with
# the root of the number of points: for half of it, run four times as many.

# %%
resolution(found)

# %%
columns = [
    "task",
    "variant",
    "trials",
    "solved",
    "diverged",
    "solve_rate",
    "restricted_steps",
    "decile_score",
    "expected_best_20",
    "seconds",
]
study.summary.reindex(columns=columns).round(3)
