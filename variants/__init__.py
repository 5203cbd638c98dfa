"""Recurrent cells, declared once and run by several engines.

The cells of `variants/cells/` are registered by name (`Cell.registry["gru"]`) and can be imported from here by the name
of their class (`from variants import GRU`).
"""

from __future__ import annotations

import importlib
import sys
from importlib.metadata import version
from typing import Any, Unpack

# `python -m variants` starts in a checkout: answer help and a mistyped name before torch is imported
if __name__ == "variants" and sys.argv[:1] == ["-m"]:
    from runs.console.start import answer_catalogue

    answer_catalogue("variant")

from . import cells as cells
from .cell import Block, Cell, Gate, Source, Values, feed, knobs_of
from .cells.lstm import Vanilla
from .engine import select_steps
from .formula import cell as _formula  # noqa: F401, so that the variant `formula` is registered
from .initialisation import Scheme, Stream, streams
from .layers import matrix as _matrix  # noqa: F401, so that the variant `mlstm` is registered
from .layers.control import Control, ControlRecurrent
from .layers.memory import FlatMemory
from .layers.native import Native, NativeRecurrent
from .layers.options import GivenOptions, Options
from .layers.recurrent import Recurrent, count_parameters


def build(
    cell: Cell, input_size: int, hidden_size: int, **options: Unpack[GivenOptions]
) -> Recurrent | ControlRecurrent:
    """Build the sequence module of a cell: a `Recurrent`, or for a control a `ControlRecurrent`.

    cell: the declared cell, such as `Vanilla()`.
    input_size: number of inputs I.
    hidden_size: number of hidden units H of each layer.
    options: those of `Options`, as keyword arguments, such as `layers=2`. Two modules that are built without `stream`
        start with equal weights; give the second one `stream=streams(1)`.

    Returns a module of torch that maps inputs [T, B, I] to outputs [T, B, H] and a last state.
    Raises ValueError, naming the cell, for a size, an option or a declaration that is wrong.

    >>> import torch
    >>> module = build(Vanilla(), input_size=3, hidden_size=5)
    >>> outputs, state = module(torch.zeros(7, 2, 3))
    >>> outputs.shape, state[0].c.shape
    (torch.Size([7, 2, 5]), torch.Size([2, 5]))
    """
    if isinstance(cell, Control):
        return cell.recurrent(cell, input_size, hidden_size, **options)
    return Recurrent(cell, input_size, hidden_size, **options)


def __getattr__(name: str) -> Any:
    """Find a registered cell or initialisation by the name of its class, the module `nn`, and `__version__`.

    So `from variants import Peephole` works, and configurations name classes as `variants.Peephole`. The type is open,
    as each class has knobs of its own. `nn` is imported when it is first asked for, as it takes a second: torch then
    imports its compiler.

    Raises AttributeError for other names.
    """
    if name == "nn":
        return importlib.import_module(".nn", __name__)
    if name == "__version__":
        return version("lstm-variants")
    for cls in (*Cell.registry.values(), *Scheme.registry.values()):
        if cls.__name__ == name and cls.__module__.startswith(f"{__name__}."):
            return cls
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "Block",
    "Cell",
    "Control",
    "ControlRecurrent",
    "FlatMemory",
    "Gate",
    "Native",
    "NativeRecurrent",
    "Options",
    "Recurrent",
    "Scheme",
    "Source",
    "Stream",
    "Values",
    "Vanilla",
    "build",
    "count_parameters",
    "feed",
    "knobs_of",
    "select_steps",
    "streams",
]
