"""The page of a walk: its sentences, its diagram and its data."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tasks import Batch
from variants.catalogue import relation, summary

from ..standalone import for_script, standalone
from ..typeset import readable
from ..words import spoken
from .data import Moment, View, page_data
from .drawing import drawn
from .interpreter import Numbers
from .network import Trained
from .parts import SHOWN

LETTERS = (
    "x is the input, W and R are matrices that are learned, b is a bias; ′ marks a value of the step before, σ is the "
    "logistic function. W x is a sum over all inputs, and R times the output of the step before is a sum over all "
    "units: there the units hear each other."
)

OPTIMISERS = {"adam": "Adam", "nesterov": "SGD with Nesterov momentum", "sgd": "plain SGD"}


class Asked(NamedTuple):
    """What the page says of itself.

    command: with which it can be made again.
    source: the file of weights, empty where the network was trained for the page.
    gallery: the address of the page of all cells, empty where there is none.
    chosen: whether the unit was chosen as the most telling one.
    """

    command: Sequence[str]
    source: str = ""
    gallery: str = ""
    chosen: bool = False


def page(trained: Trained, moments: Sequence[Moment], view: View, batch: Batch, asked: Asked) -> str:
    """Return the page as HTML.

    trained: the network and its training.
    moments: its numbers before and after.
    view: what of it is shown.
    batch: the sequence.
    asked: what was asked for.
    """
    layer = moments[-1].numbers.layers[view.layer]
    data = page_data(moments, view, trained.task, batch)
    drawing, width, why = drawn(layer.cell, layer.derivation)
    cls = type(trained.after.recurrent.cell)
    trial, layers = trained.trial, trained.after.recurrent.layers
    return standalone(
        Path(__file__).parent / "templates",
        "walk.html.jinja",
        variant=spoken(trial.variant["label"]),
        task=spoken(trial.task["label"]),
        about=readable(" ".join(filter(None, (summary(cls), relation(cls))))),
        units=trial.model.hidden_size,
        where="the only layer" if layers == 1 else f"layer {view.layer + 1} of {layers}",
        length=len(batch.inputs),
        telling=" It is the one whose output moves the answer most; others can be chosen." if asked.chosen else "",
        equations=[p["equation"] for p in data["parts"] if p["kind"] in SHOWN and p["name"]],
        notices=_notices(data, moments, trial.model.hidden_size, len(batch.inputs)),
        data=data,
        marks=" A dot marks a step whose input decides the answer." if any(data["marked"]) else "",
        drawing=drawing,
        width=round(width),
        why=why,
        advice=_advice(data),
        letters=LETTERS,
        training=_training(trained, asked),
        check=_check([m.numbers for m in moments]),
        command=shlex.join(["python", "-m", "analysis.walk", *asked.command]),
        gallery=asked.gallery,
        json=for_script(data),
    )


def _notices(data: dict[str, Any], moments: Sequence[Moment], units: int, length: int) -> list[str]:
    """Return what a reader must know before the numbers are believed."""
    lines = []
    if not data["trusted"]:
        lines.append(
            "The derivatives are left out: this cell cuts or changes its gradient inside a step, so that those of its "
            "formula are not those that the training uses."
        )
    if len(data["kept"]) < units:
        lines.append(f"{len(data['kept'])} of {units} units are in this page, which would be too large with all.")
    if data["steps"] < length:
        lines.append(f"The first {data['steps']} of {length} steps are shown; the derivatives are those of the whole.")
    if not all(map(_finite, (m.numbers for m in moments))):
        lines.append("Some numbers are not finite: the training has diverged.")
    return lines


def _finite(numbers: Numbers) -> bool:
    return bool(numbers.answers.isfinite().all())


def _advice(data: dict[str, Any]) -> list[str]:
    """Return what a reader can try with this cell."""
    names = {part["kind"]: [p["name"] for p in data["parts"] if p["kind"] == part["kind"]] for part in data["parts"]}
    lines = []
    if any(data["marked"]):
        lines.append(
            "Step through the sequence with the arrow keys. At the steps with a dot the input decides the answer: "
            "which parts of the unit change there, and which stay still in between?"
        )
    else:
        lines.append(
            "Step through the sequence with the arrow keys. Which parts change with the input, and which stay?"
        )
    if names.get("gate"):
        lines.append(
            "Choose “before training”, then “after training”: has this unit learned to open and shut its gates at "
            "particular steps, or are they half open all the time?"
        )
    else:
        lines.append("Choose “before training”, then “after training”: what has the unit learned to react to?")
    if data["trusted"]:
        lines.append(
            "Look at the red rows from right to left. Where a red number stays large over many steps, the network can "
            "learn what stood far back; where it fades to 0, it cannot. Multiplications make it fade, sums do not."
        )
    if len(data["kept"]) > 1:
        lines.append("Choose another unit. Units share the work: some keep one number, some count, some do little.")
    lines.append("Point at a part of the cell: the box says its equation, once in letters and once in numbers.")
    return lines


def _training(trained: Trained, asked: Asked) -> str:
    """Return how the network was trained, and what it lost before and after."""
    outcome, trial = trained.outcome, trained.trial
    said = outcome.task
    began = f"The weights are those of {asked.source}" if asked.source else "The network was trained for this page"
    size = f"{outcome.parameters:,} parameters"
    ended = "until the task was solved"
    if outcome.status != "solved":
        ended = "and the task was not solved" + ("" if outcome.status == "finished" else f" ({outcome.status})")
    if said.get("solved_loss") is None and outcome.status == "finished":
        ended = "of a task that has no criterion of success"
    line = (
        f"{began}: {size}, {outcome.steps:,} updates of {trial.training.batch_size} sequences with "
        f"{OPTIMISERS[trial.training.optimiser]} and a learning rate of {trial.training.learning_rate:g}, {ended}."
    )
    if outcome.curve_losses and outcome.test_loss is not None:
        line += (
            f" Its mean loss on sequences that it had not seen was {outcome.in_unit(outcome.curve_losses[0])} before "
            f"the training and {outcome.in_unit(outcome.test_loss)} after it"
        )
        line += f"; the best answer without memory has {outcome.in_unit(said['floor'])}."
    return line


def _check(found: Sequence[Numbers]) -> str:
    """Return how well the numbers agree with the engine that defines the cell."""
    error, slope = (max(getattr(n, name) for n in found) for name in ("error", "slope_error"))
    return (
        "All numbers come from the same graph as the diagram and the fast kernels, computed step by step in double "
        "precision, derivatives by autograd. Compared with the engine that runs the written step, the answers differ "
        f"by less than {_bound(error)} and the derivatives by the parameters by a share of less than {_bound(slope)}."
    )


def _bound(error: float) -> str:
    """Return the power of ten above an error.

    >>> _bound(3e-16), _bound(0.0), _bound(2e-7)
    ('1e-15', '1e-15', '1e-6')
    """
    return f"1e{math.floor(math.log10(max(error, 2e-16))) + 1}"
