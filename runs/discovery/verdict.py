"""The verdict on a search: its best cells once more, in an ordinary study with fresh points and seeds."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..files import subfolder, write_whole
from ..names import checked_name
from ..study.design import seed_for
from .plan import CellPlan
from .scoring import Member

KNOWN = ("gru", "vanilla", "mut1", "mut2", "mut3")
"""The cells with which those that were found are compared: the GRU, the LSTM, and what Jozefowicz et al. 2015 found."""
VERDICT = "verdict.json"
"""The file in the folder of a search."""


def verdict_name(plan: CellPlan) -> str:
    """Return the name of the study."""
    return checked_name(f"{plan.design.name}_verdict", "name of the study of the verdict")


def found_label(key: str) -> str:
    """Return the label of a cell that was found.

    >>> found_label("0a36f1a1e4")
    'found_0a36f1a1e4'
    """
    return f"found_{key}"


def study_of(plan: CellPlan, best: Sequence[Member], points: int) -> dict[str, Any]:
    """Return the study, as a preset writes it.

    best: the cells to be confirmed. points: hyperparameter points of the study.

    Tasks, space and width are those of the search. Seeds are other ones. The budget is the largest one of the search.
    """
    design = plan.design
    found = [{found_label(m.first.key): {"variant": "formula", "equations": m.first.equations}} for m in best]
    budget = max(plan.budget(task) for task in plan.tasks)
    looks = max(1, round(design.training.evaluations * budget / design.training.budget))  # at the same distances
    return {
        "name": verdict_name(plan),
        "variants": [*KNOWN, *found],
        "baseline": design.baseline,
        "tasks": {task: _task(design.tasks[task]) for task in plan.tasks},
        "points": points,
        "space": {name: vars(dimension) for name, dimension in design.space.items()},
        "model": dict(vars(design.model)),
        "training": {**vars(design.training), "budget": budget, "evaluations": looks},
        "confirm": {"repeats": 3},
        "seed": seed_for(design.seed, "verdict") % 2**31,
    }


def _task(node: Mapping[str, Any]) -> dict[str, Any]:
    """Return a task as a study writes it: its class and its knobs."""
    knobs = {knob: value for knob, value in node.items() if knob not in ("_target_", "label", "sha256")}
    return {"task": node["_target_"], **knobs}


def write_study(plan: CellPlan, best: Sequence[Member], points: int, folder: Path) -> Path:
    """Write the preset of the study into the folder of a search; returns the folder that Hydra finds it in."""
    presets = subfolder(folder, "verdict")
    values = study_of(plan, best, points)
    text = (
        "# @package _global_\n"
        f"# The best {len(best)} cells of search {plan.design.name} with fresh points and seeds.\n"
        "defaults:\n  - override /space: none\n"
        f"{_entries(values)}"
    )
    write_whole(subfolder(presets, "study") / f"{values['name']}.yaml", text)
    return presets


def _entries(values: Mapping[str, Any]) -> str:
    """Return the entries of a preset, one a line; JSON is YAML."""
    return "".join(f"{key}: {json.dumps(value)}\n" for key, value in values.items())


Reached = Mapping[str, Mapping[str, Mapping[int, float]]]
"""What was reached in the runs that confirm: by variant, by task and by block."""


def reached_in(plan: CellPlan, rows: Iterable[Mapping[str, Any]]) -> Reached:
    """Return what was reached in the runs that confirm, see `_value`.

    rows: of the study with its stage confirm. Each block of points is a search of its own, whose winner was run once
        more; repeats of the best configuration are left out.
    """
    found: dict[str, dict[str, dict[int, float]]] = {}
    for row in rows:
        if row["stage"] == "confirm" and row["block"] >= 0:
            found.setdefault(row["variant"], {}).setdefault(row["task"], {})[row["block"]] = _value(plan, row)
    return found


def confirmed(reached: Reached, baseline: str) -> dict[str, float]:
    """Return by variant the smallest of the ratios to the GRU, over the tasks, of the means over all blocks.

    reached: see `reached_in`. baseline: the label of the GRU.
    """
    means = {v: {task: sum(own.values()) / len(own) for task, own in of.items()} for v, of in reached.items()}
    gru = means.get(baseline, {})
    return {
        variant: min((own.get(task, 0.0) / best if best > 0 else 0.0 for task, best in gru.items()), default=0.0)
        for variant, own in means.items()
    }


def _value(plan: CellPlan, row: Mapping[str, Any]) -> float:
    """Return what a run reached within the budget of the search; a later solution counts as the score, 1."""
    budget, step = plan.budget(row["task"]), row["solved_step"]
    if step is not None and step == step and step <= budget:
        return float(2.0 - step / budget)
    return float(row["score"])


def verdicts(best: Sequence[Member], reached: Reached, baseline: str) -> list[dict[str, Any]]:
    """Return what is to be said of every cell of the study, the best first.

    best: the cells that were found. reached: see `reached_in`. baseline: the label of the GRU.

    Each has the keys variant, search (the score of the search, None for a known cell), confirmed, optimism (their
    difference), equations, and reached: by task what was reached in each block, in their order. The blocks of all cells
    have the same points, so that differences to the GRU are paired.
    """
    searched = {found_label(member.first.key): member for member in best}
    found = []
    for variant, score in sorted(confirmed(reached, baseline).items(), key=lambda item: -item[1]):
        member = searched.get(variant)
        known = None if member is None else member.score
        found.append(
            {
                "variant": variant,
                "search": known,
                "confirmed": score,
                "optimism": None if known is None else known - score,
                "equations": "" if member is None else member.first.equations,
                "reached": {task: [of[k] for k in sorted(of)] for task, of in reached[variant].items()},
            }
        )
    return found
