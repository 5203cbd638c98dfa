"""Studies and pages for the tests of the explorer."""

from __future__ import annotations

import base64
import gzip
import json
import re
from dataclasses import replace
from itertools import product
from typing import Any

import pandas as pd

from analysis.study import Study
from analysis.tables.trial_commands import trial_commands
from tests.analysis.synthetic import as_study, by_hand, study
from variants import Cell


def held(text: str) -> dict[str, Any]:
    """What a page holds, read from its text."""
    found = re.search(r'<script id="data" type="text/plain">([^<]*)</script>', text)
    assert found
    return json.loads(gzip.decompress(base64.b64decode(found.group(1))))


def demo() -> Study:
    """Three variants on two tasks; some trials diverged without a loss, and some failed."""
    return as_study(*study(("vanilla", "gru", "no_forget_gate"), ("adding", "copying"), points=20, failed=0.05))


def runnable(variants: list[str]) -> Study:
    """Two trials of each variant of the registry on adding, in a design that says enough to run them again."""
    rows, design = study(tuple(variants), ("adding",), points=2)
    space = {
        "learning_rate": {"key": "training.learning_rate", "low": 1e-4, "high": 1e-1, "log": True},
        "size": {"key": "model.hidden_size", "low": 8, "high": 128, "log": True, "integer": True},
        "input_noise": {"key": "training.input_noise", "low": 0.0, "high": 0.5},
    }
    nodes = {v: {"_target_": f"variants.{Cell.registry[v].__name__}", "label": v} for v in variants}
    tasks = {"adding": {"_target_": "tasks.Adding", "label": "adding"}}
    scheme = {"_target_": "variants.GlorotOrthogonal"}
    facts = {"variants": nodes, "tasks": tasks, "space": space, "initialisation": scheme}
    return as_study(rows, {**design, **facts})


def odd() -> Study:
    """A study whose table names a variant and a task as no design may."""
    rows, design = study(("vanilla", "gru"), ("adding",), points=3)
    label = "</script><b>x & y</b>"
    for row in rows:
        row["variant"] = label if row["variant"] == "gru" else row["variant"]
        row["error"] = "<i>'\"</i>"
    return as_study(rows, {**design, "variants": ["vanilla"]})


def series() -> Study:
    """Two variants on a task with three lags."""
    rows = [
        {"task": f"adding_{lag}", "lag": lag, "variant": variant, "status": status, "score": 0.5}
        for lag, variant, status in product((30, 60, 120), ("vanilla", "gru"), ("solved", "finished", "diverged"))
    ]
    return by_hand(*rows, levels={"adding": [f"adding_{lag}" for lag in (30, 60, 120)]})


def without_curves() -> Study:
    """A study whose trials have no learning curve."""
    bare = demo()
    empty = pd.Series([bare.every["curve_steps"].iloc[0][:0]] * len(bare.every), dtype="object")
    return replace(bare, every=bare.every.assign(curve_steps=empty, curve_losses=empty, train_losses=empty))


def command_of(every: Study, row: int) -> str:
    """The command of a trial, as `tables.trial_commands` writes it."""
    from analysis.tables.settings import trial_of

    values = every.table.iloc[row].to_dict()
    return trial_commands([trial_of(every, values["task"], values["variant"], values)])[0]
