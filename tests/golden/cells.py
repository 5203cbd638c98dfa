"""Golden numbers of every variant: what its formula gave for parameters and inputs that depend on no random generator.

They change only when a formula does. `python -m tests.golden` writes them anew; a change belongs into the changelog.
"""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from variants import Cell, Recurrent

FOLDER = Path(__file__).parent / "variants"
STEPS, BATCH, INPUTS, HIDDEN = 7, 2, 3, 8


def path(name: str) -> Path:
    return FOLDER / f"{name}.json"


def wave(shape: tuple[int, ...], phase: float) -> Tensor:
    """Values in [-1, 1] that look irregular and are the same everywhere."""
    count = torch.Size(shape).numel()
    return torch.sin(torch.arange(count, dtype=torch.float64) ** 1.5 * 0.7 + phase).reshape(shape)


def numbers(name: str) -> dict[str, Any]:
    """Last outputs of two layers of a variant with its default knobs, and the gradient of each parameter, summed up."""
    module = Recurrent(Cell.registry[name](), INPUTS, HIDDEN, layers=2, engine="eager").double()
    parameters = dict(module.named_parameters())
    with torch.no_grad():
        for k, parameter in enumerate(parameters.values()):
            parameter.copy_(0.6 * wave(tuple(parameter.shape), float(k)))
    outputs, _ = module(wave((STEPS, BATCH, INPUTS), 0.5))
    (outputs**2).sum().backward()
    return {
        "outputs": outputs[-1].tolist(),
        "gradients": {n: float(p.grad.abs().sum()) for n, p in parameters.items() if p.grad is not None},
    }


def read(name: str) -> dict[str, Any]:
    return json.loads(path(name).read_text())


def write(name: str) -> None:
    FOLDER.mkdir(exist_ok=True)
    path(name).write_text(json.dumps(numbers(name), indent=1) + "\n")
