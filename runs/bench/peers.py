"""What other libraries offer beside the fused engine: torch.compile, torchrecurrent and JAX, where installed."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch
from torch import nn

from variants import Recurrent

TORCHRECURRENT = {"peephole": "PeepholeLSTM", "mut1": "MUT1", "mut2": "MUT2", "mut3": "MUT3"}
JAX = ("vanilla", "peephole", "gru", "rnn")


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

    name: of the variant; it must be one of `JAX`, which are written here a second time, else there is none.
    steps, batch, inputs, units: T, B, I and H.

    "jax" is `lax.scan`, compiled by XLA for the CPU.
    """
    if name not in JAX:
        return {}
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
    try:
        import jax
    except ImportError:
        return {}
    from jax import lax
    from jax import numpy as jnp

    gates = {"vanilla": 4, "peephole": 4, "gru": 3, "rnn": 1}[name]
    keys = iter(jax.random.split(jax.random.key(0), 8))
    s, tanh = jax.nn.sigmoid, jnp.tanh
    parameters = {
        "W": 0.1 * jax.random.normal(next(keys), (inputs, gates * units)),
        "R": 0.1 * jax.random.normal(next(keys), (units, gates * units)),
        "b": jnp.zeros(gates * units),
        "p": 0.1 * jax.random.normal(next(keys), (3, units)),
    }
    x = jax.random.normal(next(keys), (steps, batch, inputs))

    def lstm(p: Any, state: Any, row: Any) -> Any:
        y, c = state
        z, i, f, o = jnp.split(row + y @ p["R"], 4, axis=-1)
        seen = p["p"] if name == "peephole" else jnp.zeros_like(p["p"])
        new = s(f + seen[1] * c) * c + s(i + seen[0] * c) * tanh(z)
        y = s(o + seen[2] * new) * tanh(new)
        return (y, new), y

    def gru(p: Any, state: Any, row: Any) -> Any:
        (h,) = state
        heard = h @ p["R"][:, : 2 * units]
        r, u = jnp.split(s(row[:, : 2 * units] + heard), 2, axis=-1)
        n = tanh(row[:, 2 * units :] + (r * h) @ p["R"][:, 2 * units :])
        h = u * h + (1 - u) * n
        return (h,), h

    def rnn(p: Any, state: Any, row: Any) -> Any:
        h = tanh(row + state[0] @ p["R"])
        return (h,), h

    step = {"vanilla": lstm, "peephole": lstm, "gru": gru, "rnn": rnn}[name]
    zeros = jnp.zeros((batch, units))
    first = (zeros, zeros) if step is lstm else (zeros,)

    def total(p: Any) -> Any:
        _, outputs = lax.scan(lambda state, row: step(p, state, row), first, x @ p["W"] + p["b"])
        return outputs.sum()

    gradient = jax.jit(jax.grad(total))
    return {"jax": lambda: jax.block_until_ready(gradient(parameters))}
