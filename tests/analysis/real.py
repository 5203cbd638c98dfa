"""Made-up studies of a task with a training set and without lag or criterion of success."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from analysis.study import Study
from runs.study.design import Design
from tests.analysis.synthetic import as_study, by_hand

GREFF = ("greff_v", "greff_nig", "greff_nfg", "greff_nog", "greff_niaf", "greff_noaf", "greff_np", "greff_cifg")
GREFF += ("greff_fgr",)
SPACE = {
    "learning_rate": {"low": 1e-6, "high": 1e-2, "log": True, "integer": False},
    "size": {"low": 20, "high": 200, "log": True, "integer": True},
    "input_noise": {"low": 0.0, "high": 1.0, "log": False, "integer": False},
    "momentum": {"low": 0.01, "high": 1.0, "log": True, "integer": False, "complement": True},
}
WORSE = {"greff_nfg": 0.35, "greff_noaf": 0.6, "greff_fgr": 0.1}  # nats per step
FLOOR, REFERENCE, UNTRAINED, UPDATES = 9.25, 8.38, 61.0, 229
FACTS = {"floor": FLOOR, "solved_loss": None, "reference": REFERENCE, "unit": "nats per step", "unit_scale": 1.0}
BASELINES = [
    {"name": "each key's frequency", "kind": "no_input", "loss": 10.79, "solved": None, "note": ""},
    {"name": "last frame, logistic", "kind": "no_memory", "loss": 9.25, "solved": None, "note": ""},
    {"name": "last 4 frames, logistic", "kind": "window", "loss": 8.93, "solved": None, "note": ""},
    {"name": "LSTM of Greff et al.", "kind": "published", "loss": 8.38, "solved": None, "note": ""},
]


def chorales(
    variants: Sequence[str] = GREFF, points: int = 16, seed: int = 0, name: str = "chorales_study"
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Rows and design of a study of the task `chorales` that never ran; some trials diverge, some explode."""
    cube = np.random.default_rng(seed).random((points, len(SPACE)))
    dimensions = Design.from_dict({"name": name, "space": SPACE}).space
    rows = [
        _row(name, variant, point, u, {h: dimensions[h].value(float(x)) for h, x in zip(SPACE, u, strict=True)})
        for variant in variants
        for point, u in enumerate(cube)
    ]
    design = {
        "name": name,
        "baseline": variants[0],
        "variants": list(variants),
        "tasks": ["chorales"],
        "points": points,
        "space": SPACE,
        "training": {"optimiser": "nesterov", "batch_size": 1},
        "baselines": {"chorales": BASELINES},
        "command": f"python -m runs.sweep study={name}",
    }
    return rows, design


def _row(study: str, variant: str, point: int, u: np.ndarray, values: dict[str, float]) -> dict[str, Any]:
    own = np.random.default_rng([point, *variant.encode()])
    epochs = int(own.integers(40, 61))
    rate, size = float(values["learning_rate"]), int(values["size"])
    best = 8.5 + WORSE.get(variant, 0.0) + 0.3 * abs(u[1] - 0.6) + 0.8 * u[2] + 0.06 * own.normal()
    best += 25 * max(0.0, 0.55 - u[0]) ** 2  # too slow to get there
    pace = 60 * 10 ** (2.5 * (0.8 - u[0]))
    at = np.arange(epochs + 1)
    fall = np.exp(-at * 60 / pace)
    over = max(0.0, 0.02 * (size / 60) * (u[0] - 0.3)) * np.maximum(at - 12, 0)
    train = best - 0.05 + (UNTRAINED - best) * fall - 1.6 * over
    curve = best + (UNTRAINED - best) * fall + over + 0.02 * own.normal(size=len(at))
    status = "finished"
    if rate > 3e-3 and own.random() < 0.3:
        status, stop = ("exploded", 9) if own.random() < 0.6 else ("diverged", 7)
        at, curve, train = at[:stop], curve[:stop].copy(), train[:stop].copy()
        curve[-1] = 778.0 if status == "exploded" else np.nan
    k = int(np.nanargmin(curve))
    test = float(curve[k] + 0.05 * own.normal())
    return {
        "study": study,
        "variant": variant,
        "task": "chorales",
        "point": point,
        "trial_id": f"{variant}-{point}",
        "seed": point,
        "status": status,
        "hidden_size": size,
        "parameters": 4 * size * (size + 89),
        "flops_per_step": 8 * size * (size + 88),
        "steps": UPDATES * int(at[-1]),
        "epochs": float(at[-1]),
        "sequences": UPDATES * int(at[-1]),
        "best_step": UPDATES * k,
        "solved_step": None,
        "budget": UPDATES * 60,
        "seconds": 0.3 * len(at) * (1 + size / 100),
        "engine": "fused",
        "error": "",
        "lag": 0,
        **FACTS,
        "batch_size": 1,
        **values,
        **{f"u_{h}": float(x) for h, x in zip(SPACE, u, strict=True)},
        "validation_loss": float(curve[k]),
        "test_loss": test,
        "score": float(np.clip((FLOOR - test) / (FLOOR - REFERENCE), 0, 1)),
        "curve_steps": [UPDATES * int(x) for x in at],
        "curve_losses": [float(x) for x in curve],
        "train_losses": [None, *(float(x) for x in train[1:])],
        "test_metrics": json.dumps({"loss": test, "sequence_loss": test - 0.03}),
    }


def chorale_study(variants: Sequence[str] = GREFF, points: int = 16) -> Study:
    """The study of these rows and their design."""
    return as_study(*chorales(variants, points))


def mixed(variants: Sequence[str], points: int = 20) -> Study:
    """A study of the task `chorales` and of one that can be solved, at the same points."""
    from tests.analysis.synthetic import study

    rows, design = chorales(variants, points)
    more, _ = study(tuple(variants), ("adding",), points=points)
    spaced = {"input_noise": 0.5, "momentum": 0.9, "u_momentum": 0.5}
    rows += [{**row, **spaced, "u_size": row["u_size"]} for row in more]
    return as_study(rows, {**design, "tasks": ["chorales", "adding"]})


def losses_by_hand(*rows: dict[str, Any], **design: Any) -> Study:
    """A study of trials of `chorales` of which only these columns matter."""
    usual = {"task": "chorales", "lag": 0, **FACTS, "epochs": 2.0, "steps": 20}
    usual |= {"curve_steps": [0, 10, 20], "curve_losses": [60.0, 9.0, 9.5], "train_losses": [None, 8.8, 8.0]}
    return by_hand(*({**usual, **row} for row in rows), **design)
