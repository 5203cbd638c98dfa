"""The file of what was measured for a scorecard: the speed of a cell and the reach of its gradients, as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..files import write_whole
from ..names import file_name

FORMAT = "lstm-variants scorecard 1"
FOLDER = "score"
"""Of the files of scorecards, in the folder of a study."""


class Speed(NamedTuple):
    """The time of a training step of a cell, divided by that of torch.nn.LSTM, at one width.

    match: `width` where both have the same width, `parameters` where the cell has the width at which it comes closest
        to the parameters of the other.
    units: of torch.nn.LSTM.
    cell_units: of the cell.
    steps, batch: length and number of the sequences.
    ratio: median over the turns; below 1 the cell is faster.
    low, high: quartiles of the ratios of single turns.
    seconds: median of the cell.
    turns: how many were measured.
    """

    match: str
    units: int
    cell_units: int
    steps: int
    batch: int
    ratio: float
    low: float
    high: float
    seconds: float
    turns: int


class Reach(NamedTuple):
    """How large the gradient of the last answer's loss is by the state some steps before it, of one network.

    variant, trial_id: which network.
    point: of the study.
    hidden_size: its width.
    status: how its training ended.
    start, trained: norm at lags 1, 2, ... relative to lag 1, before and after the training.
    """

    variant: str
    trial_id: str
    point: int
    hidden_size: int
    status: str
    start: Sequence[float]
    trained: Sequence[float]


class Measured(NamedTuple):
    """All that was measured of a variant of a study.

    variant: its label.
    facts: commit, versions, processor and the day of the measurement.
    engine: that the cell ran by. why: it is not the fused one; empty where it is.
    speeds: of the cell. task: on which the gradients were measured, empty where they were not.
    reaches: of the cell, and of the baseline. notes: why something is missing.
    """

    variant: str
    facts: Mapping[str, Any]
    engine: str = ""
    why: str = ""
    speeds: tuple[Speed, ...] = ()
    task: str = ""
    reaches: tuple[Reach, ...] = ()
    notes: tuple[str, ...] = ()


def measured_file(folder: Path, variant: str) -> Path:
    """Return the file of what was measured of a variant.

    folder: of the study.
    variant: its label.
    """
    return folder / FOLDER / f"{file_name(variant)}.json"


def write_measured(path: Path, measured: Measured) -> None:
    """Write what was measured; a file of this name is replaced at once or not at all."""
    values = measured._asdict()
    values["speeds"] = [speed._asdict() for speed in measured.speeds]
    values["reaches"] = [reach._asdict() for reach in measured.reaches]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps({"format": FORMAT, **values}, indent=1) + "\n")


def read_measured(path: Path) -> Measured:
    """Return what a file holds. Raises ValueError where it is not one of these files."""
    try:
        values = json.loads(path.read_text())
        if values.pop("format", None) != FORMAT:
            raise ValueError(f"its format is not {FORMAT!r}")
        speeds = tuple(_checked(Speed(**speed)) for speed in values.pop("speeds"))
        reaches = tuple(_whole(Reach(**reach)) for reach in values.pop("reaches"))
        notes = tuple(str(note) for note in values.pop("notes"))
        found = Measured(speeds=speeds, reaches=reaches, notes=notes, **values)
        if not isinstance(found.facts, dict):
            raise ValueError("facts must be a table")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is not a file of python -m runs.score: {error}") from None
    return found


def _checked(speed: Speed) -> Speed:
    for name, value in speed._asdict().items():
        if name != "match" and not isinstance(value, int | float):
            raise ValueError(f"{name} must be a number, got {value!r}")
    return speed


def _whole(reach: Reach) -> Reach:
    return reach._replace(start=[float(x) for x in reach.start], trained=[float(x) for x in reach.trained])
