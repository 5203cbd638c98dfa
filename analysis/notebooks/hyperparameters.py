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
# # Which hyperparameters matter
#
# The functional analysis of variance takes the score, as a function over the search space, apart into what each
# hyperparameter explains alone, what pairs add, and the rest. Choose the study with the environment variables `STUDY`
# and `RESULTS`.

# %%
import os
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd

from analysis.figures import hyperparameters, marginals, shares
from analysis.load import archive_named
from analysis.statistics import anova
from analysis.study import Study
from analysis.tables.importance import importance
from runs.record.tracked import of_runs, tracked

# %% [markdown]
# ## A function whose shares are known
#
# Ishigami's function: .31 and .44 for the first two inputs alone, .24 for the first and third together, nothing else.
# The surrogate is chosen by how well it predicts trials that it has not seen (R²).

# %%
u = np.random.default_rng(0).random((200, 3))
x = np.pi * (2 * u - 1)
found = anova.analyse(
    u, np.sin(x[:, 0]) + 7 * np.sin(x[:, 1]) ** 2 + 0.1 * x[:, 2] ** 4 * np.sin(x[:, 0]), ["first", "second", "third"]
)
pairs = {f"{found.names[i]} × {found.names[j]}": share for (i, j), share in found.pairs.items()}
print(f"surrogate: {found.kind}, R² { ({k: round(v, 2) for k, v in found.r2.items()}) }")
pd.Series({**dict(zip(found.names, found.shares, strict=True)), **pairs, "rest": found.rest}).round(3)

# %% [markdown]
# ## A study
#
# Its axes are the search's own: a log-scaled hyperparameter is averaged in the logarithm. From 40 trials per variant
# and task on.

# %%
results = Path(os.environ.get("RESULTS", "results"))
study = Study.read(archive_named(os.environ.get("STUDY", "quick"), results))
name = study.name

# %% [markdown]
# MLflow, where the study was tracked, holds a run per trial; `of_runs` gives its columns the names of the table.

# %%
if uri := tracked(study.about, results):
    mlflow.set_tracking_uri(uri)
    runs = of_runs(mlflow.search_runs(experiment_names=[name]), study.design)
    print(f"{len(runs)} runs; the same numbers as in the table: {runs.equals(study.table[runs.columns])}")
else:
    print("this study was not tracked in an MLflow that is within reach")

# %%
tables = importance(study)
if tables["shares"].empty:
    print(f"{name} has fewer than {anova.FEWEST} trials per variant and task: too few for what follows")

# %%
shares.FIGURE.drawn(study, tables["shares"])

# %%
marginals.FIGURE.drawn(study, tables["marginals"])

# %% [markdown]
# ## Is the search space wide enough?

# %%
hyperparameters.FIGURE.drawn(study)
