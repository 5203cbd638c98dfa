"""Cells as a `lax.scan` of JAX, with random parameters to start from."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

GATES = {"vanilla": 4, "peephole": 4, "gru": 3, "rnn": 1}
"""The variants that are written here a second time, with the number of their gates."""

Parameters = Any  # arrays by name: "W" [I, G*H], "R" [H, G*H], "b" [G*H], "p" [3, H], and "V", "d" of the read-out


def load() -> Any:
    """Return the module jax, which computes in one thread if it is imported here first, or None if there is none."""
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
    try:
        import jax
    except ImportError:
        return None
    return jax


def start(name: str, inputs: int, units: int, answers: int = 1) -> Parameters:
    """Return parameters as random numbers.

    name: one of `GATES`.
    inputs, units, answers: I, H and O.
    """
    jax = load()
    keys = iter(jax.random.split(jax.random.key(0), 4))
    columns = GATES[name] * units
    return {
        "W": 0.1 * jax.random.normal(next(keys), (inputs, columns)),
        "R": 0.1 * jax.random.normal(next(keys), (units, columns)),
        "b": jax.numpy.zeros(columns),
        "p": 0.1 * jax.random.normal(next(keys), (3, units)),
        "V": 0.1 * jax.random.normal(next(keys), (units, answers)),
        "d": jax.numpy.zeros(answers),
    }


def step_of(name: str) -> Callable[..., Any]:
    """Return the step of a cell: it takes parameters, state and the row of x W + b, and returns state and output."""
    jax = load()
    from jax import numpy as jnp

    s, tanh = jax.nn.sigmoid, jnp.tanh

    def lstm(p: Any, state: Any, row: Any) -> Any:
        y, c = state
        z, i, f, o = jnp.split(row + y @ p["R"], 4, axis=-1)
        seen = p["p"] if name == "peephole" else jnp.zeros_like(p["p"])
        new = s(f + seen[1] * c) * c + s(i + seen[0] * c) * tanh(z)
        y = s(o + seen[2] * new) * tanh(new)
        return (y, new), y

    def gru(p: Any, state: Any, row: Any) -> Any:
        (h,) = state
        both = 2 * h.shape[-1]
        r, u = jnp.split(s(row[:, :both] + h @ p["R"][:, :both]), 2, axis=-1)
        n = tanh(row[:, both:] + (r * h) @ p["R"][:, both:])
        h = u * h + (1 - u) * n
        return (h,), h

    def rnn(p: Any, state: Any, row: Any) -> Any:
        h = tanh(row + state[0] @ p["R"])
        return (h,), h

    return {"vanilla": lstm, "peephole": lstm, "gru": gru, "rnn": rnn}[name]


def outputs(name: str, p: Parameters, x: Any) -> Any:
    """Return the outputs [T, B, H] of a cell for inputs x [T, B, I]."""
    load()
    from jax import lax
    from jax import numpy as jnp

    step, zeros = step_of(name), jnp.zeros((x.shape[1], p["R"].shape[0]))
    first = (zeros, zeros) if step.__name__ == "lstm" else (zeros,)
    return lax.scan(lambda state, row: step(p, state, row), first, x @ p["W"] + p["b"])[1]
