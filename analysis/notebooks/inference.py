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
# # Why the comparison is made as it is
#
# Simulated studies in which all variants are equal, so that every difference found is an error. Nothing here needs a
# study.

# %%
import numpy as np
import pandas as pd

from analysis.statistics.best import expected_best, greff_welch
from analysis.statistics.endpoints import mean_weights
from analysis.statistics.intervals import wilson
from analysis.statistics.resampling import compare


def equal_variants(rng: np.random.Generator, variants: int = 5, points: int = 200, noise: float = 0.7) -> np.ndarray:
    """Return losses [V, P] of equal variants that meet the same points: what the point gives, and luck of their own."""
    u = rng.random((3, points))
    surface = 2.0 * (1 - 6 * (u[0] - 0.6) ** 2) + 0.8 * u[1] - 0.5 * u[2] + 0.5 * rng.normal(size=points)
    return np.asarray(np.exp(-surface - noise * rng.normal(size=(variants, points))))


# %% [markdown]
# ## A test on the winners
#
# Greff et al. 2017 compare the best tenth of the trials of two variants by Welch's test. The best tenth are the
# smallest of 200 losses: they share a random threshold and are not a sample. How often does the test call two equal
# variants different, at a level of 5 %? Here the two searches are independent, as theirs were.

# %%
studies, rejected = 400, 0
rng = np.random.default_rng(0)
for _ in range(studies):
    a, b = (np.sort(equal_variants(rng, 1)[0])[:20] for _ in range(2))
    rejected += greff_welch(a, b) < 0.05
low, high = wilson(rejected, studies)
share = f"{100 * rejected / studies:.0f} % of studies ({100 * low:.0f}-{100 * high:.0f} %)"
print(f"Welch's test on the best deciles rejects a true null in {share}")

# %% [markdown]
# ## The comparison of this suite
#
# Labels are swapped at random, the same swaps for all variants; the largest quotient of a swap gives one critical value
# for the four comparisons together. An error is a study in which any interval excludes zero, which is where p is at
# most .05. `make calibrate` measures whole studies; see docs/statistics.md.

# %%
studies, errors = 200, 0
for k in range(studies):
    loss = equal_variants(np.random.default_rng(k))
    solved = (loss < np.quantile(loss, 0.3)).astype(float)
    found = compare(mean_weights, solved, loss, span=1.0, swaps=199, seed=k)
    errors += bool(((found.low > 0) | (found.high < 0)).any())
low, high = wilson(errors, studies)
print(f"an error in {errors} of {studies} studies ({100 * low:.0f}-{100 * high:.0f} %)")

# %% [markdown]
# ## What the same points are worth
#
# All variants get the same hyperparameters, seeds and data. The luck of a point then cancels in the difference. The
# same trials, once paired and once shuffled:

# %%
rows = []
for k in range(20):
    loss = equal_variants(np.random.default_rng(k), variants=2)
    solved = (loss < np.quantile(loss, 0.3)).astype(float)
    shuffled = np.array([solved[0], np.random.default_rng(k).permutation(solved[1])])
    widths = [
        (c.high - c.low)[0] / 2
        for c in (compare(mean_weights, s, loss, span=1.0, swaps=99, seed=k) for s in (solved, shuffled))
    ]
    rows.append(widths)
paired, unpaired = np.mean(rows, axis=0)
worth = (unpaired / paired) ** 2
print(f"half width paired ± {100 * paired:.1f} points, unpaired ± {100 * unpaired:.1f}")
print(f"pairing is worth {worth:.1f} times as many trials")

# %% [markdown]
# ## The best of n
#
# Reporting the best of all N trials rewards whoever ran more. The expected best of n does not depend on N, if it is
# estimated without replacement: averaged over many studies of size N it is the same for every N. Drawing with
# replacement is biased downwards, the more so the closer n is to N.

# %%
estimates = []
for points in (25, 50, 200):
    rng = np.random.default_rng(points)
    unbiased, biased, best = [], [], []
    for _ in range(2000):
        score = rng.random(points) ** 3
        unbiased.append(expected_best(score, -score, [20])[0])
        ranks = np.arange(1, points + 1)
        with_replacement = (ranks / points) ** 20 - ((ranks - 1) / points) ** 20
        biased.append(with_replacement @ np.sort(score))
        best.append(score.max())
    estimates.append(
        {
            "N": points,
            "best of all N": np.mean(best),
            "expected best of 20": np.mean(unbiased),
            "with replacement": np.mean(biased),
        }
    )
pd.DataFrame(estimates).set_index("N").round(3)
