"""The tasks of a study, and the series among them: tasks that are given several lags."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..rules import require
from ..study.design import Node
from .nodes import labelled


def task_nodes(entries: Mapping[str, Any]) -> tuple[dict[str, Node], dict[str, tuple[str, ...]]]:
    """Return the configuration of each task of a study by its label, and the tasks of each series.

    A task that is given several lags becomes a series: one task for each lag, `<label>_<lag>`, the shortest first. A
    list of one lag is that lag.

    entries: label to knobs, as a user writes them.
    Raises ValueError for lags that are none, or twice; for a list where the knob takes one value; and for two tasks of
    the same label.
    """
    nodes: dict[str, Node] = {}
    levels: dict[str, tuple[str, ...]] = {}
    for entry, knobs in entries.items():
        label = str(entry)
        lags = _lags(label, knobs)
        _refuse_lists(label, knobs)
        own: dict[str, Any] = {label: {**knobs, "lag": lags[0]} if lags else knobs}
        if len(lags) > 1:
            own = {f"{label}_{lag}": {"task": label, **knobs, "lag": lag} for lag in lags}
            levels[label] = tuple(own)
        for name, given in own.items():
            taken = name in nodes or (name != label and name in entries)
            rule = f"tasks must have different names, and tasks.{label}.lag={lags} makes one of this name"
            require(not taken, rule, name)
            nodes[name] = labelled("task", name, given)
    return nodes, levels


def _lags(label: str, knobs: Any) -> list[int]:
    """Return the lags of a task that are given as a list, the shortest first; empty where there is no such list."""
    lags = knobs.get("lag") if isinstance(knobs, dict) else None
    if not isinstance(lags, list):
        return []
    require(len(lags) > 0, f"tasks.{label}.lag must be a lag or a list of lags", lags)
    whole = all(isinstance(lag, int) and not isinstance(lag, bool) for lag in lags)
    require(whole, f"tasks.{label}.lag must have whole numbers", lags)
    require(len(set(lags)) == len(lags), f"tasks.{label}.lag must have each lag once", lags)
    return sorted(lags)


def _refuse_lists(label: str, knobs: Any) -> None:
    """Raise ValueError for a list of values of another knob than the lag, unless the knob takes a list."""
    lists = [knob for knob, value in knobs.items() if isinstance(value, list)] if isinstance(knobs, dict) else []
    others = [knob for knob in lists if knob != "lag"]
    if not others:
        return
    usual = labelled("task", label, {knob: value for knob, value in knobs.items() if knob not in lists})
    for knob in others:
        one = knob in usual and not isinstance(usual[knob], list | tuple)
        require(not one, f"tasks.{label}.{knob} must be one value; only the lag of a task may be a list", knobs[knob])
