"""The least time that the arithmetic of an update needs, and how long the pieces of our update take."""

from __future__ import annotations

import ctypes
import statistics
import time
from collections import Counter
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from variants import Recurrent, build
from variants.engine.cpu import machine

from ..networks.building import untrained
from ..trial.data import batches
from ..trial.optimiser import Flat
from ..trial.trial import Trial
from ..trial.update import Compiled, update_of

KERNELS = ("forward", "backward")
"""The pieces of an update that are arithmetic: the two passes over time, the second with dR, dW and db."""

SERIES = 12
"""Guessed: instructions of a sigmoid, a hyperbolic tangent or an exponential function, which are polynomials."""
INSTRUCTIONS = {
    **dict.fromkeys(("sigmoid", "tanh", "exp"), SERIES),
    **dict.fromkeys(("sigmoid_backward", "tanh_backward"), 3),
    **dict.fromkeys(("add", "sub", "rsub", "mul", "div", "neg", "relu", "threshold_backward", "where", "maximum"), 1),
}
"""Guessed: instructions for one result of each elementwise operation; what is not here counts nothing."""


# The peak of this processor
# ----------------------------------------------------------------------------------------------------------------

LOOP = """
define float @peak(i64 %n, float %a, float %b) {{
entry:
  %a0 = insertelement {vector} poison, float %a, i32 0
  %as = shufflevector {vector} %a0, {vector} poison, <{width} x i32> zeroinitializer
  %b0 = insertelement {vector} poison, float %b, i32 0
  %bs = shufflevector {vector} %b0, {vector} poison, <{width} x i32> zeroinitializer
  br label %loop
loop:
  %k = phi i64 [0, %entry], [%next, %loop]
  {sums}
  {products}
  %next = add i64 %k, 1
  %more = icmp ult i64 %next, %n
  br i1 %more, label %loop, label %end
end:
  {total}
  %result = extractelement {vector} %u{last}, i32 0
  ret float %result
}}
declare {vector} @llvm.fma.v{width}f32({vector}, {vector}, {vector})
"""
"""A loop of fused multiplications and additions that do not wait for each other."""


def loop(width: int, count: int) -> str:
    """Return LLVM code of the loop with so many sums of so many numbers each."""
    vector, fma = f"<{width} x float>", f"@llvm.fma.v{width}f32"

    def start(k: int) -> str:
        return "<" + ", ".join(f"float {k}.0" for _ in range(width)) + ">"

    sums = [f"%s{k} = phi {vector} [{start(k)}, %entry], [%t{k}, %loop]" for k in range(count)]
    products = [f"%t{k} = call {vector} {fma}({vector} %s{k}, {vector} %as, {vector} %bs)" for k in range(count)]
    total = [f"%u0 = fadd {vector} %t0, %t0"]
    total += [f"%u{k} = fadd {vector} %u{k - 1}, %t{k}" for k in range(1, count)]
    text = {"sums": sums, "products": products, "total": total}
    lines = {name: "\n  ".join(each) for name, each in text.items()}
    return LOOP.format(vector=vector, width=width, last=count - 1, **lines)


@cache
def peak() -> float:
    """Return the most floating-point operations in a second that one core reaches in the compiled loop.

    It is the best of several widths of vectors, numbers of sums and repetitions.
    """
    best = 0.0
    for width in (4, 8, 16):
        for count in (8, 12, 24):
            kind = ctypes.CFUNCTYPE(ctypes.c_float, ctypes.c_int64, ctypes.c_float, ctypes.c_float)
            run, rounds = kind(machine.load(loop(width, count), "peak")), 2**18 // count
            for _ in range(7):
                start = time.perf_counter()
                run(rounds, 1.0, 1e-9)
                best = max(best, 2 * width * count * rounds / (time.perf_counter() - start))
    return best


# The arithmetic of an update
# ----------------------------------------------------------------------------------------------------------------


def product_flops(recurrent: Recurrent, steps: int, batch: int) -> int:
    """Return the floating-point operations of all products of an update.

    recurrent: the layers; the read-out is left out.
    steps, batch: T and B.

    Each weight of a matrix is multiplied and added once in the forward pass and twice in the backward pass, in which
    the first layer needs no derivative of its input.
    """
    matrices = {name: p.numel() for name, p in recurrent.named_parameters() if p.dim() == 2}
    first = "project." if recurrent.cell.projects_input else "parts.0.W"
    of_input = sum(count for name, count in matrices.items() if name.startswith(first))
    return 2 * steps * batch * (3 * sum(matrices.values()) - of_input)


class _Counting(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the results of every operation that torch carries out, by its name."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.results = Counter[str]()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        if isinstance(found, torch.Tensor):
            self.results[func.overloadpacket.__name__.rstrip("_")] += found.numel()
        return found


def elementwise_instructions(recurrent: Recurrent, steps: int, batch: int) -> int:
    """Return how many elementwise instructions for single numbers the two passes of an update need, as guessed.

    recurrent: the layers; their cell runs once on the eager engine, where the operations are counted.
    steps, batch: T and B.
    """
    cell, units = recurrent.cell, recurrent.hidden_size
    module = build(cell, recurrent.input_size, units, layers=len(recurrent.cells), engine="eager")

    def counted(length: int, size: int) -> int:
        module.zero_grad()  # else gradients of the call before are added
        with _Counting() as counting:
            outputs, _ = module(torch.zeros(length, size, recurrent.input_size))
            outputs.sum().backward()
        return sum(INSTRUCTIONS.get(name, 0) * count for name, count in counting.results.items())

    # what is left is due to one more step of one more sequence: sums of gradients over time are none of it
    return steps * batch * (counted(3, 3) - counted(2, 3) - counted(3, 2) + counted(2, 2))


def floor(trial: Trial, steps: int) -> float:
    """Return the seconds that the arithmetic of an update of a trial takes at least; T is its length in steps.

    The products run at the peak of the processor, and elementwise instructions as fast as those of the products, each
    of which is two operations.
    """
    recurrent, batch = untrained(trial)[0].recurrent, trial.training.batch_size
    assert isinstance(recurrent, Recurrent)
    elementwise = 2 * elementwise_instructions(recurrent, steps, batch)
    return (product_flops(recurrent, steps, batch) + elementwise) / peak()


# The pieces of our update
# ----------------------------------------------------------------------------------------------------------------


Pieces = Mapping[str, Callable[[], object]]


def pieces_of(trial: Trial) -> Pieces:
    """Return the pieces of an update of a trial: forward, ending, backward, finish, and then a whole update.

    Each piece is a function that runs it again on the batch of the last update; the update draws its own. There is none
    where the trainer takes the way of autograd.
    """
    network, task = untrained(trial)
    update, data = update_of(network, task, trial.training, Flat(network)), batches(task, trial)

    def whole() -> None:
        update.loss(next(data))
        update.step()

    whole()
    return {**update.pieces(), "update": whole} if isinstance(update, Compiled) else {}


def piece_seconds(pieces: Pieces, rounds: int = 50) -> dict[str, float]:
    """Return the median seconds of each piece, which run one after the other in every round."""
    times: dict[str, list[float]] = {name: [] for name in pieces}
    for _ in range(rounds):
        for name, piece in pieces.items():
            start = time.process_time()
            piece()
            times[name].append(time.process_time() - start)
    return {name: statistics.median(values) for name, values in times.items()}
