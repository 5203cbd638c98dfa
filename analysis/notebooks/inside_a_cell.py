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
# # Inside a cell
#
# What do the best networks of a study do with a sequence: how far back does the gradient reach, and when do which gates
# open? Choose the study with the environment variables `STUDY` and `RESULTS`. `python -m runs.inside study=...` saves
# what is read here.

# %%
import os
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd

from analysis.figures import activations, gradients
from analysis.load import archive_named
from analysis.study import Study
from analysis.tables import diagnosis
from runs.record.tracked import of_runs, tracked

results = Path(os.environ.get("RESULTS", "results"))
study = Study.read(archive_named(os.environ.get("STUDY", "quick"), results))
name = study.name
models = results / name / "models"
tables = diagnosis.read(models)
norms, sequences = tables["gradients"], tables["sequences"]
if norms.empty:
    print(f"nothing is saved in {models} yet: run python -m runs.inside study={name}")

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
# ## Which networks these are
#
# The trial with the lowest validation loss of each variant on each task. Where MLflow holds the study, the same choice
# can be made there.

# %%
best = study.table.loc[study.table.groupby(["task", "variant"])["validation_loss"].idxmin().dropna()]
best[
    ["task", "variant", "point", "status", "hidden_size", "parameters", "learning_rate", "best_step", "test_loss"]
].set_index(["task", "variant"])

# %% [markdown]
# ## How far back the gradient reaches
#
# The gradient of the last answer's loss by the state k steps before it, relative to k = 1. At the start it says what a
# variant brings along: whether the first updates can hear of the cue at all. After training it says what the network
# made of it.

# %%
gradients.FIGURE.drawn(study, norms)

# %% [markdown]
# In numbers: what is left of the gradient at half the longest lag, and at the longest.

# %%
longest = norms.groupby("task")["lag"].transform("max")
parts = [norms[norms["lag"] == lag].assign(at=at) for at, lag in (("half", longest // 2), ("longest", longest))]
left = pd.concat(parts).pivot_table(index=["task", "variant"], columns=["phase", "at"], values="relative", sort=False)
left.map("{:.2g}".format)

# %% [markdown]
# ## Gates and states over one sequence
#
# The first task. Black triangles above a map mark the inputs that decide the answer, those below the steps at which an
# answer is read.

# %%
task = next((t for t in study.tasks if t in set(sequences["task"])), "")
activations.FIGURE.drawn(study, sequences[sequences["task"] == task])

# %% [markdown]
# ## Do the gates open for what matters?
#
# Mean value of each sigmoid gate at the inputs that decide the answer and at all others, over one sequence. A gate that
# says the same at both is not used to select.

# %%
rows = []
for (on, variant), own in sequences[sequences["top"].astype(bool)].groupby(["task", "variant"], sort=False):
    marked = own.loc[own["kind"] == "mark", "values"].iloc[0] > 0
    for gate, units in own[own["function"] == "sigmoid"].groupby("name", sort=False):
        means = np.stack(units["values"].to_list()).mean(0)
        if marked.any() and not marked.all():
            rows.append(
                {
                    "task": on,
                    "variant": variant,
                    "gate": gate,
                    "deciding": means[marked].mean(),
                    "others": means[~marked].mean(),
                }
            )
selective = pd.DataFrame(rows, columns=["task", "variant", "gate", "deciding", "others"])
selective.assign(difference=selective["deciding"] - selective["others"]).set_index(["task", "variant", "gate"]).round(2)

# %% [markdown]
# ## A network by one call
#
# Weights are safetensors files that hold the whole configuration of their trial. What one loads is the network that was
# tested.

# %%
from runs import load_model
from runs.trial.classes import construct
from runs.trial.data import held_out
from runs.trial.evaluation import evaluate
from tasks import Task

for path in sorted(models.glob("*/[!.]*.safetensors"))[:3]:
    network, trial = load_model(path)
    problem = construct(trial.task, Task)
    loss = evaluate(network, problem, held_out(problem, trial, "test"))["loss"]
    recorded = study.table.loc[study.table["trial_id"] == trial.id, "test_loss"]
    known = ", ".join(f"{x:.6g}" for x in recorded)
    print(f"{trial.variant['label']} on {trial.task['label']}: test loss {loss:.6g}, on record {known}")
