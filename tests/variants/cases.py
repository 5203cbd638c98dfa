"""What the tests of cells run over: every registered cell, with its default knobs and with others, and modules of odd
sizes.
"""

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor

from variants import Cell, Recurrent, knobs_of

T, B, INPUTS, H = 7, 3, 4, 5  # all different, so that a swapped axis fails; H grows where a cell has a rule


def other_peepholes(cls: type[Cell]) -> tuple[str, ...] | bool:
    """All gates of the cell, or only the last where all is the default."""
    if isinstance(cls().peepholes, bool):
        return not cls().peepholes
    present = tuple(g.name for g in cls().preactivations if g.name in ("i", "f", "o"))
    return present if cls().peepholes != present else present[-1:]


# A value for every knob that is not its default: a new knob needs a line here.
OTHER_KNOBS: dict[str, Any] = {
    "peepholes": other_peepholes,
    **dict.fromkeys(("input_gate", "forget_gate", "output_gate"), lambda cls: False),
    **dict.fromkeys(("input_activation", "output_activation"), lambda cls: False),
    **dict.fromkeys(("coupled", "gate_recurrence"), lambda cls: True),
    "keep_bias": lambda cls: cls().keep_bias + 2.0,
    "periods": lambda cls: (1, 3),
    "tied": lambda cls: not cls().tied,
    "input_gate_bias": lambda cls: (-1.0, -2.0),
    "positive": lambda cls: not cls().positive,
    "heads": lambda cls: 2,
    "projection": lambda cls: 2,
    "alpha": lambda cls: 0.5,
    "beta": lambda cls: 0.25,
    "dt": lambda cls: 0.5,
    "gamma": lambda cls: 2.7,
    "epsilon": lambda cls: 4.7,
    "r_min": lambda cls: 0.5,
    "r_max": lambda cls: 0.99,
    "max_phase": lambda cls: 3.0,
    "equations": lambda cls: "u = s(W x + R h' + b); h = u*h' + (1 - u)*tanh(W_n x + R_n (u*h') + b_n)",
}

REGISTERED: dict[str, type[Cell]] = {name: cls for name, cls in Cell.registry.items() if not cls.control}
DEFAULTS = [pytest.param(cls(), id=name) for name, cls in REGISTERED.items()]
KNOBS = [pytest.param(cls, knob, id=f"{name}-{knob}") for name, cls in REGISTERED.items() for knob in knobs_of(cls)]
START = ("keep_bias", "input_gate_bias", "r_min", "r_max", "max_phase")  # knobs that act at the start of training only
CASES = DEFAULTS + [
    pytest.param(cls(**{knob: OTHER_KNOBS[knob](cls)}), id=f"{name}-{knob}")
    for name, cls in REGISTERED.items()
    for knob in knobs_of(cls)
    if knob in OTHER_KNOBS and knob not in START
]


def fitting(cell: Cell, least: int = H) -> int:
    """The smallest hidden size from `least` on that the cell's own rule allows."""
    for size in itertools.count(least):
        try:
            cell.validate(size, max(2, cell.min_layers))
        except ValueError:
            continue
        return size
    raise AssertionError


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def fill(module: torch.nn.Module, seed: int = 0, std: float = 0.5) -> None:
    """Random values for all parameters, whatever the initialisation was."""
    source = generator(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(0.0, std, generator=source)


def module_of(cell: Cell, *, layers: int = 2, least: int = H, input_size: int = INPUTS, **options: Any) -> Recurrent:
    """A module of the cell in float64 with random parameters, run by the specification."""
    options = {"engine": "eager"} | options
    module = Recurrent(cell, input_size, fitting(cell, least), layers=max(layers, cell.min_layers), **options).double()
    fill(module)
    return module


def inputs_of(steps: int = T, batch: int = B, size: int = INPUTS, seed: int = 1) -> Tensor:
    return torch.randn(steps, batch, size, generator=generator(seed), dtype=torch.float64)


def state_of(module: Recurrent, batch: int = B, seed: int = 2) -> tuple[Any, ...]:
    """A state that is not 0 in what is memory; a counter stays at its start."""
    source = generator(seed)
    states = []
    for cell in module.cells:
        memory = cell.State._fields if cell.remembers is None else cell.remembers
        sizes = {n: (batch, cell.size_of(n, module.hidden_size)) for n in cell.State._fields}
        drawn = {n: torch.rand(sizes[n], generator=source, dtype=torch.float64) - 0.5 for n in memory}
        zeros = {n: torch.zeros(size, dtype=torch.float64) for n, size in sizes.items()}
        states.append(cell.State(**zeros | drawn))
    return tuple(states)


def same(actual: Tensor, expected: Tensor, message: str = "", tolerance: float = 1e-12) -> None:
    torch.testing.assert_close(
        actual, expected, rtol=tolerance, atol=tolerance, msg=(lambda m: f"{message}\n{m}") if message else None
    )
