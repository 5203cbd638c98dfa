"""What other libraries offer beside the fused engine: torch.compile, torchrecurrent and JAX, where installed."""

from __future__ import annotations

import copy
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version

import torch
from torch import nn

from variants import Recurrent

from . import scan

TORCHRECURRENT = {  # layers of the same cell by the name of the variant; their LEM, NAS and SCRN are other cells
    "peephole": "PeepholeLSTM",
    "mut1": "MUT1",
    "mut2": "MUT2",
    "mut3": "MUT3",
    "mgu": "MGU",
    "ugrnn": "UGRNN",
    "li_gru": "LiGRU",
    "janet": "JANET",
    "star": "STAR",
    "ran": "RAN",
    "cfn": "CFN",
    "strongly_typed": "TRNN",
    "multiplicative_lstm": "MultiplicativeLSTM",
    "cornn": "coRNN",
    "antisymmetric_rnn": "AntisymmetricRNN",
}


def installed() -> str:
    """Return which libraries take part, with their versions."""
    found = [f"torch.compile {torch.__version__}"]
    for package in ("jax", "torchrecurrent"):
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            found.append(f"{package} is not installed")
    return ", ".join(found)


def modules(eager: Recurrent) -> dict[str, nn.Module]:
    """Return modules of other libraries that run the same cell, by the name of the library.

    eager: a module of the eager engine of one or more layers; it is left as it is.

    "torch.compile" is the eager engine with a compiled step, "torchrecurrent" is there where it has such a layer.
    """
    found: dict[str, nn.Module] = {"torch.compile": _compiled(eager)}
    name = TORCHRECURRENT.get(eager.cell.name)
    if name is not None:
        try:
            import torchrecurrent
        except ImportError:
            return found
        found["torchrecurrent"] = getattr(torchrecurrent, name)(eager.input_size, eager.hidden_size)
    return found


def _compiled(eager: Recurrent) -> Recurrent:
    """Return the eager engine with every cell's elementwise step compiled.

    A chunk of several steps would take minutes to compile.
    """
    module = copy.deepcopy(eager)
    for cell in module.cells:
        cell.step = torch.compile(cell.step, dynamic=False)  # type: ignore[method-assign]
    return module


def functions(name: str, steps: int, batch: int, inputs: int, units: int) -> dict[str, Callable[[], object]]:
    """Return training steps that are no modules of torch, by the name of the library.

    name: of the variant; it must be one of `scan.GATES`, which are written there a second time, else there is none.
    steps, batch, inputs, units: T, B, I and H.

    "jax" is `lax.scan`, compiled by XLA for the CPU.
    """
    jax = scan.load()
    if name not in scan.GATES or jax is None:
        return {}
    parameters = {key: value for key, value in scan.start(name, inputs, units).items() if key not in ("V", "d")}
    x = jax.random.normal(jax.random.key(1), (steps, batch, inputs))
    gradient = jax.jit(jax.grad(lambda p: scan.outputs(name, p, x).sum()))
    return {"jax": lambda: jax.block_until_ready(gradient(parameters))}
