"""Made-up studies with the columns of real ones: skill, learning rate, size and luck decide what becomes of a trial."""

from __future__ import annotations

import json
from itertools import combinations
from typing import Any

import numpy as np

from analysis.study import Study
from runs.record.rows import tidy
from runs.study.design import Design

SPACE = {
    "learning_rate": {"low": 1e-4, "high": 1e-1, "log": True, "integer": False},
    "size": {"low": 8, "high": 128, "log": True, "integer": True},
    "input_noise": {"low": 0.0, "high": 0.5, "log": False, "integer": False},
}
TASKS = {  # lag, floor, solved loss, ease
    "adding": (50, 1 / 6, 0.01, 0.2),
    "copying": (20, 10 * np.log(8) / 40, 0.005, -0.5),
    "delayed_recall": (30, np.log(8), 0.03, 0.0),
    "temporal_order": (60, np.log(4), 0.04, -0.2),
    "multiplication": (50, 7 / 144, 0.005, -0.4),
    "adding_1997": (100, 1 / 24, 0.002, -0.6),
    "temporal_order_3": (100, np.log(8), 0.04, -2.5),
}
SKILL = {
    "vanilla": 0.0,
    "gru": 0.25,
    "coupled": 0.05,
    "no_forget_gate": -1.5,
    "peephole": 0.0,
    "rnn": -2.0,
    "no_output_activation": -0.6,
}
FIVE = ("vanilla", "gru", "coupled", "no_forget_gate", "peephole")
TWENTY = (
    *(
        "vanilla",
        "peephole",
        "coupled",
        "no_forget_gate",
        "no_input_gate",
        "no_output_gate",
        "no_input_activation",
        "no_output_activation",
    ),
    *(
        "full_gate_recurrence",
        "lstm_1997",
        "gru",
        "gru_reset_after",
        "rnn",
        "irnn",
        "mut1",
        "mut2",
        "mut3",
        "clockwork",
        "depth_gated",
    ),
    "my_own_cell",
)


def study(
    variants: tuple[str, ...] = FIVE,
    tasks: tuple[str, ...] = ("adding",),
    points: int = 50,
    seed: int = 0,
    *,
    failed: float = 0.0,
    missing: tuple[tuple[str, str], ...] = (),
    skill: dict[str, float] | None = None,
    name: str = "synthetic",
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Rows and design of a study of V x T x N trials that never ran.

    failed: share of failed trials. missing: (variant, task) pairs without any trial. skill: by variant, in place of
    `SKILL`.
    """
    rng = np.random.default_rng(seed)
    skill = SKILL if skill is None else skill
    budget = 2000
    steps = np.unique(np.concatenate([[0], np.round(np.geomspace(10, budget, 24))]).astype(int))
    rows = []
    for task in tasks:
        lag, floor, solved_loss, ease = TASKS[task]
        cube = rng.random((points, len(SPACE)))
        luck = rng.normal(size=points) * 0.5
        for variant in variants:
            own = np.random.default_rng([seed, *variant.encode(), *task.encode()])
            for point, u in enumerate(cube):
                rate, size, noise = 10 ** (-4 + 3 * u[0]), round(8 * 16 ** u[1]), 0.5 * u[2]
                quality = (
                    *(
                        1.0
                        + skill.get(variant, -0.3)
                        + ease
                        - 14 * (u[0] - 0.62) ** 2
                        + 0.8 * (u[1] - 0.5)
                        - 0.9 * u[2],
                    ),
                    *(luck[point], own.normal() * 0.6),
                )
                reach = 1 / (1 + np.exp(-2.5 * sum(quality)))  # how far down the log loss comes
                final = floor * (solved_loss / floor) ** (1.25 * reach) * np.exp(0.05 * own.normal())
                onset = budget * (0.9 - 0.75 * reach) * np.exp(0.2 * own.normal())
                fall = 1 / (1 + (np.maximum(steps, 1) / onset) ** -3.0)
                curve = 1.1 * floor * (final / (1.1 * floor)) ** fall * np.exp(0.03 * own.normal(size=len(steps)))
                status, last, solved_step = "finished", len(steps), np.nan
                below = curve < solved_loss
                if (below[:-1] & below[1:]).any():
                    first = int(np.argmax(below[:-1] & below[1:]))
                    status, last, solved_step = "solved", first + 2, float(steps[first])
                if u[0] > 0.85 and own.random() < 0.5:
                    status, solved_step, last = "diverged", np.nan, int(own.integers(1, 8))
                    curve = curve.copy()
                    curve[last - 1] = np.nan
                crashed = own.random() < failed
                if (variant, task) in missing:
                    continue
                row: dict[str, Any] = {
                    "study": name,
                    "variant": variant,
                    "task": task,
                    "point": point,
                    "trial_id": f"{variant}-{task}-{point}",
                    "seed": 1000 + point,
                    "status": "failed" if crashed else status,
                    "hidden_size": max(1, int(size * (1.15 if variant == "gru" else 1.0))),
                    "parameters": 4 * size * (size + 3),
                    "flops_per_step": 8 * size * (size + 3),
                    "steps": int(steps[last - 1]),
                    "sequences": 32 * int(steps[last - 1]),
                    "solved_step": solved_step,
                    "budget": budget,
                    "seconds": (0.5 + 0.004 * steps[last - 1] * (1 + size / 64)) * (0.8 if variant == "gru" else 1.0),
                    "engine": "fused",
                    "error": "",
                    "lag": lag,
                    "floor": floor,
                    "solved_loss": solved_loss,
                    "batch_size": 32,
                    "learning_rate": rate,
                    "size": size,
                    "input_noise": noise,
                    **{f"u_{h}": float(x) for h, x in zip(SPACE, u, strict=True)},
                }
                seen = curve[:last]
                best = int(np.nanargmin(seen)) if np.isfinite(seen).any() else 0
                loss = float(seen[best]) if np.isfinite(seen[best]) else None
                test = None if loss is None else float(loss * np.exp(0.04 * own.normal()))
                score = (
                    0.0 if test is None else float(np.clip(np.log(floor / test) / np.log(floor / solved_loss), 0, 1))
                )
                row |= {
                    "best_step": int(steps[best]),
                    "validation_loss": loss,
                    "test_loss": test,
                    "score": score,
                    "curve_steps": [int(s) for s in steps[:last]],
                    "curve_losses": [float(x) for x in seen],
                    "train_losses": [None, *(float(x) for x in seen[1:])],
                    "test_metrics": json.dumps({"loss": test}),
                }
                if crashed:
                    row |= dict.fromkeys(("steps", "sequences", "best_step", "parameters"), 0) | dict.fromkeys(
                        ("validation_loss", "test_loss")
                    )
                    row |= {
                        "solved_step": None,
                        "score": 0.0,
                        "seconds": 0.1,
                        "test_metrics": "{}",
                        "error": "ValueError: size must be even, got 7",
                    }
                    row |= {column: [] for column in ("curve_steps", "curve_losses", "train_losses")}
                rows.append(row)
    design = {
        "name": name,
        "baseline": "vanilla",
        "variants": list(variants),
        "tasks": list(tasks),
        "points": points,
        "space": SPACE,
        "training": {"optimiser": "adam", "budget": budget, "batch_size": 32, "evaluations": 24},
        "versions": {"python": "3.11.2", "torch": "2.13.0", "numpy": "2.4.6"},
        "commit": "0123456789abcdef0123456789abcdef01234567",
        "created": "2026-01-01T00:00:00+00:00",
        "command": f"python -m runs.sweep study={name}",
    }
    return rows, design


def as_study(rows: list[dict[str, Any]], design: dict[str, Any]) -> Study:
    """The study of rows and a design."""
    return Study.of(tidy(rows), design)


def by_hand(*rows: dict[str, Any], **design: Any) -> Study:
    """A study of trials of which only these columns matter; a trial is unsolved and has the first free point."""
    template, about = study(("vanilla",), points=1)
    usual = {**template[0], "status": "finished", "solved_step": None, "stage": "search"}
    points: dict[tuple[Any, ...], int] = {}
    full = []
    for row in rows:
        whole = {**usual, **row}
        place = (whole["stage"], whole["task"], whole["variant"])
        points[place] = points.get(place, -1) + 1
        full.append({**whole, "point": row.get("point", points[place])})
    names = {f"{axis}s": list(dict.fromkeys(row[axis] for row in full)) for axis in ("variant", "task")}
    return as_study(full, {**about, **names, **design})


def explained(table: Any, design: dict[str, Any]) -> dict[str, Any]:
    """Tables as `analysis.tables.importance` returns them, with made-up numbers, for the pairs of task and variant in a
    table of trials.
    """
    import pandas as pd

    from analysis.tables.importance import with_score

    space = Design.from_dict(design).space

    rng, names = np.random.default_rng(0), list(design["space"])
    grid, coarse = (np.arange(64) + 0.5) / 64, (np.arange(16) + 0.5) / 16
    shares, marginals, surfaces = [], [], []
    for task, variant in table[["task", "variant"]].drop_duplicates().itertuples(index=False):
        place = {"task": task, "variant": variant}
        terms = [*names, *(f"{a} × {b}" for a, b in combinations(names, 2)), "rest"]
        facts = {"surrogate": "forest", "trials": 50, "r2_forest": rng.uniform(0, 1), "r2_process": 0.1}
        for term, share in zip(terms, rng.dirichlet(np.ones(len(terms))), strict=True):
            level = 3 if term == "rest" else 2 if "×" in term else 1
            shares.append(
                {
                    **place,
                    "term": term,
                    "order": level,
                    "share": share,
                    "error": np.nan if term == "rest" else 0.05,
                    **facts,
                }
            )
        for name in names:
            curve = 0.4 + 0.3 * np.sin(5 * grid + rng.uniform(0, 6))
            value = [space[name].value(u) for u in grid]
            columns = {
                "response": "score",
                "hyperparameter": name,
                "u": grid,
                "value": value,
                "mean": curve,
                "error": 0.05,
            }
            marginals.append(pd.DataFrame({**place, **columns}))
        for first, second in combinations(names, 2):
            x, y = np.meshgrid(coarse, coarse, indexing="ij")
            columns = {
                "first": first,
                "second": second,
                "u_first": x.ravel(),
                "u_second": y.ravel(),
                "mean": (x * y).ravel(),
            }
            surfaces.append(pd.DataFrame({**place, **columns}))
    if not shares:
        nothing = pd.DataFrame(columns=["task", "variant", "term", "order", "hyperparameter", "response"])
        return {"shares": nothing, "marginals": nothing, "surfaces": nothing}
    return {
        "shares": with_score(pd.DataFrame(shares)),
        "marginals": pd.concat(marginals),
        "surfaces": pd.concat(surfaces),
    }


def staged(
    rows: list[dict[str, Any]], design: dict[str, Any], block_size: int = 5, runs_per_lag: int = 5, seed: int = 0
):
    """Rows and design of a study with both stages: winners lose some of their score, and each lag solves fewer runs
    than the one before.
    """
    rng, more = np.random.default_rng(seed), []
    blocks, repeats = min(10, design["points"] // block_size), 5
    cells: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        if row["status"] != "failed":
            cells.setdefault((row["task"], row["variant"]), []).append(row)
    for (_, variant), own in cells.items():
        best = sorted(own, key=lambda row: np.inf if row["validation_loss"] is None else row["validation_loss"])
        winners = [next((row for row in best if row["point"] // block_size == b), best[0]) for b in range(blocks)]
        for k, row in enumerate([*winners, *[best[0]] * repeats]):
            score = float(np.clip(row["score"] - abs(0.08 * rng.normal()), 0, 1))
            place = {"block": k, "replicate": 0} if k < blocks else {"block": -1, "replicate": k - blocks}
            more.append(
                {**row, "stage": "confirm", "score": score, "status": "solved" if score > 0.97 else "finished", **place}
            )
        for j, lag in enumerate(best[0]["lag"] // 2 * 2 ** np.arange(4)):
            for r in range(runs_per_lag):
                solved = rng.random() < 1 / (1 + np.exp(2.5 * (j - 1.5 - SKILL.get(variant, 0))))
                where = {"stage": "horizon", "lag": int(lag), "block": -1, "replicate": r}
                more.append({**best[0], **where, "status": "solved" if solved else "finished"})
    stages = {
        "confirm": {"points": design["points"], "knobs": {"blocks": 10, "block_size": block_size, "repeats": repeats}},
        "horizon": {
            "points": design["points"],
            "knobs": {"below": 1, "above": 2, "best": 3, "runs_per_lag": runs_per_lag},
        },
    }
    return [*rows, *more], {**design, "stages": stages}
