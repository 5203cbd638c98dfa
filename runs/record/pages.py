"""What the pages of MLflow show of a study: its description, its saved views, and their addresses."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..arguments import command
from ..study.design import Design

SUMMARIES = "summaries"
SINGLE_TRIALS = "trials"
VIEW = "trials"
"""The saved view on which the address of an experiment opens."""
NOTE = "mlflow.note.content"
KIND = {"mlflow.experimentKind": "custom_model_development"}
"""MLflow's tag of an experiment that is about training. The pages of 3.17 do not read it, see `address`."""
SAVED_VIEW = "mlflow.sharedViewState."
METRICS = ("test_loss", "score", "solved_step")
OF_TRIALS = ("tags.task", "tags.variant", "params.task.lag", "tags.status", *(f"metrics.{name}" for name in METRICS))
COUNTS = ("trials", "solved", "diverged", "exploded", "failed")
OF_SUMMARIES = ("tags.task", "tags.variant", *(f"metrics.{name}" for name in COUNTS))
WIDTHS = {"tags.task": 112, "tags.variant": 112, "params.task.lag": 66, "tags.status": 80, "metrics.solved_step": 100}
"""Of columns that are not 80 pixels wide; all of them together fit a window of 1,280 pixels."""
OPENINGS = ("The trials of study ", "One run for each study ", "Trials that were run one by one")
"""How our descriptions begin; a description that begins otherwise is somebody's own."""


def address(experiment: str, view: str = VIEW) -> str:
    """Return where MLflow shows the runs of an experiment, in a saved view; it stands after the address of the server.

    MLflow 3.17 shows traces instead of runs to a browser that has not chosen "Model training", whatever the experiment
    says of itself, so that the address must choose it.

    experiment: its id. view: one of `views`.

    >>> address("1")
    '#/experiments/1/runs?workflowType=machine_learning&viewStateShareKey=trials'
    """
    return f"#/experiments/{experiment}/runs?workflowType=machine_learning&viewStateShareKey={view}"


def views(experiment: str) -> dict[str, str]:
    """Return the saved views of an experiment, as its tags; MLflow lists them in a menu above the runs.

    They choose the columns that matter, in the order of their importance. In those of a study, one has the runs grouped
    by task and variant, and one has the failed ones only. MLflow's means are of the runs that it has loaded, which are
    100 until somebody loads more, so that the name of that view says so.

    experiment: its name.
    """
    if experiment == SUMMARIES:
        whole_first = {"orderByKey": "metrics.`trials`", "orderByAsc": False}
        return _tags({VIEW: ("Studies and variants", {**_state(OF_SUMMARIES), **whole_first})})
    trials = _state(OF_TRIALS)
    if experiment == SINGLE_TRIALS:
        return _tags({VIEW: ("Trials", trials)})
    keys = [{"mode": "tag", "groupByData": name} for name in ("task", "variant")]
    grouped = {**trials, "groupBy": {"aggregateFunction": "average", "groupByKeys": keys}}
    failed = {**trials, "searchFilter": "attributes.status = 'FAILED'"}
    diverged = {**trials, "searchFilter": "tags.status IN ('diverged', 'exploded')"}
    return _tags(
        {
            VIEW: ("Trials", trials),
            "means": ("By task and variant (means of loaded runs)", grouped),
            "failed": ("Failed trials", failed),
            "diverged": ("Diverged and exploded trials", diverged),
        }
    )


def _state(columns: tuple[str, ...]) -> dict[str, Any]:
    """Return the state of a table of runs with these columns, in the order in which the trials began."""
    names = ["{}.`{}`".format(*column.split(".", 1)) for column in columns]
    widths = {"attributes.`Created`": 120}
    widths |= {name: WIDTHS.get(column, 80) for name, column in zip(names, columns, strict=True)}
    # Run name and time stand first in the table, whatever is chosen.
    order = ["attributes.`Run Name`", "attributes.`Created`", *names]
    sorting = {"orderByKey": "attributes.start_time", "orderByAsc": True}
    return {"selectedColumns": names, "columnOrder": order, "columnWidths": widths, **sorting}


def _tags(views: Mapping[str, tuple[str, Mapping[str, Any]]]) -> dict[str, str]:
    """Return saved views as tags of an experiment. MLflow lists the one with the latest time first."""
    last = len(views)
    saved = {
        key: {"name": name, "createdAt": last - k, "updatedAt": last - k, "state": json.dumps(state)}
        for k, (key, (name, state)) in enumerate(views.items())
    }
    return {SAVED_VIEW + key: json.dumps(view) for key, view in saved.items()}


def about(name: str, experiment: str) -> str:
    """Return the description of an experiment about whose study nothing else is known.

    name: of the experiment. experiment: its id.
    """
    link = f"[open the runs]({address(experiment)})"
    if name == SUMMARIES:
        what = "One run for each study with its figures, tables and report, and one for each variant on each task"
    elif name == SINGLE_TRIALS:
        what = "Trials that were run one by one, by `python -m runs variant=... task=...`"
    else:
        what = f"The trials of study {name}"
    return f"{what}: {link}."


def about_study(design: Design, experiment: str, results: Path) -> str:
    """Return the description of the experiment of a study: what it asks, what is in it, and where its report is.

    design: of the study. experiment: its id in MLflow. results: the folder of all studies.
    """
    others = [f"`{label}`" for label in design.variants if label != design.baseline]
    tasks = ", ".join(_task(label, node) for label, node in design.tasks.items())
    if design.baseline and others:
        asks = f"How do {', '.join(others)} compare with `{design.baseline}` on {tasks}?"
    else:
        asks = f"How well do {', '.join(f'`{label}`' for label in design.variants)} learn {tasks}?"
    names = [
        f"[{json.loads(view)['name']}]({address(experiment, key.removeprefix(SAVED_VIEW))})"
        for key, view in views(design.name).items()
    ]
    task, variant = design.pairs[0]
    folder = results / design.name
    lines = [
        about(design.name, experiment),
        f"{asks} Each variant has {design.points} trials on each task, {len(design.pairs) * design.points} in all.",
        f"Views: {', '.join(names)}. A filter in the search field: "
        f"`tags.task = '{task}' and tags.variant = '{variant}'`. "
        "MLflow loads 100 runs at a time; a button below the last one loads more.",
        f"Report: `{folder / 'report.html'}`; explorer: `{folder / 'explorer.html'}`; both are written by "
        f"`{command('analysis', study=design.name, results=results)}`.",
    ]
    return "\n\n".join(lines)


def _task(label: str, node: Mapping[str, Any]) -> str:
    lag = node.get("lag")
    return f"`{label}` (lag {lag})" if isinstance(lag, int) else f"`{label}`"


def is_ours(note: str) -> bool:
    """Return whether a description may be replaced: it is empty or begins like one of ours.

    >>> is_ours("The trials of study quick, one run each."), is_ours("Do not delete, for the paper.")
    (True, False)
    """
    return not note or note.startswith(OPENINGS)
