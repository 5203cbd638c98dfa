"""The speed of a cell beside torch.nn.LSTM: training steps of both in turns, in one process of one thread."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from variants import Cell, build
from variants.layers.recurrent import count_parameters

from ..bench.measure import INPUTS, YARDSTICK, Step, training_step, update
from ..study.plan import nearest_accepted
from ..trial.classes import construct
from ..trial.trial import Model
from .measured import Speed

WIDTHS = (32, 128)
"""Units of torch.nn.LSTM: about those of the studies, and more."""
STEPS, BATCH, TURNS, SECONDS = 100, 32, 31, 6.0
"""Length and number of the sequences; turns, of which there are fewer where they take longer than so many seconds."""
FEWEST = 5
MATCHES = ("width", "parameters")


def speeds(node: Mapping[str, Any]) -> tuple[str, str, tuple[Speed, ...], tuple[str, ...]]:
    """Return the engine of a cell, why it is not the fused one, its speeds, and what could not be measured.

    node: of the variant in a design.
    """
    cell = construct(node, Cell)
    found, notes, engine, why = [], [], "", ""
    for units in WIDTHS:
        for match in MATCHES:
            try:
                own = cell_units(cell, units, match)
                engine, why, speed = _measured(cell, own, units, match)
            except ValueError as error:
                notes.append(f"speed at {units} units (equal {match}): {error}")
                continue
            found.append(speed)
    return engine, why, tuple(found), tuple(notes)


def cell_units(cell: Cell, units: int, match: str) -> int:
    """Return the width of a cell beside torch.nn.LSTM: the same, or that of as many parameters.

    cell: whose width it is.
    units: of torch.nn.LSTM.
    match: width or parameters.

    Raises ValueError where the cell accepts no width near it.

    >>> cell_units(Cell.registry["gru"](), 32, "width"), cell_units(Cell.registry["gru"](), 32, "parameters")
    (32, 37)
    """
    layers = max(1, cell.min_layers)
    model = Model(layers=layers, hidden_size=units)
    if match == "width":
        return nearest_accepted(cell, model, units, lambda width: abs(width - units))
    wanted = count_parameters(Cell.registry["vanilla"](), INPUTS, units)  # one bias a gate, as the trainer has it
    size = 1
    while count_parameters(cell, INPUTS, size, layers=layers) < wanted:
        size += 1
    return nearest_accepted(
        cell, model, size, lambda width: abs(count_parameters(cell, INPUTS, width, layers=layers) - wanted)
    )


def _measured(cell: Cell, own: int, units: int, match: str) -> tuple[str, str, Speed]:
    inputs = torch.randn(STEPS, BATCH, INPUTS)
    layers = max(1, cell.min_layers)
    engine, why = "fused", ""
    try:
        module = build(cell, INPUTS, own, layers=layers, engine="fused")
        mine = update(module, inputs)
    except ValueError as error:
        module = build(cell, INPUTS, own, layers=layers)
        engine, why = "torch" if module.engine == "native" else "eager", str(error)
        mine = training_step(module, inputs)
    other = training_step(build(Cell.registry[YARDSTICK](), INPUTS, units), inputs)
    times = in_turns(mine, other)
    ratios = times[:, 0] / times[:, 1]
    low, ratio, high = np.quantile(ratios, (0.25, 0.5, 0.75)).tolist()
    seconds = float(np.median(times[:, 0]))
    return engine, why, Speed(match, units, own, STEPS, BATCH, ratio, low, high, seconds, len(times))


def in_turns(mine: Step, other: Step, turns: int = TURNS, seconds: float = SECONDS) -> np.ndarray:
    """Return the seconds of two steps [turns, 2], which are timed in turns; the first turn is not counted.

    A change of the machine's speed meets both, so that the ratio within a turn is better known than each of the times.

    mine, other: the steps.
    turns: how many.
    seconds: after which there are no more turns, if there are five already.
    """
    times, begun = [], time.perf_counter()
    for turn in range(turns + 1):
        moments = [time.perf_counter()]
        for step in (mine, other):
            step()
            moments.append(time.perf_counter())
        if turn:
            times.append(np.diff(moments))
        if turn >= FEWEST and time.perf_counter() - begun > seconds:
            break
    return np.array(times)
