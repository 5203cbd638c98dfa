"""The eager engine: autograd over the written step, on any device and in any dtype.

It is the specification of a cell.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from ..cell import Values
from .inputs import Request


def run(request: Request) -> tuple[NamedTuple, NamedTuple | None]:
    """Run one layer in one direction over a sequence, as `Request` and `Engine` say."""
    cell, state, normalise, active = request.cell, request.state, request.normalise, request.active
    names = [gate.name for gate in cell.preactivations]
    sources = cell.sources
    shapes = [field.shape for field in state]  # [B, H]
    preactivations = request.inputs.preactivations(cell.preactivations, request.units)  # [T, B, G * H]
    products = [_product(request.recurrent[s.name], cell.heads) for s in sources]
    p = Values(**request.values)
    # Before a source is known, the gates that hear it must not be used: they are missing from `a` until it is.
    ready = cell.ready_after
    keeps = {field: mask.expand(len(preactivations), -1, -1) for field, mask in request.keep.items()}
    steps = []

    def complete(name: str, v: Tensor) -> Tensor:
        if normalise is None:
            return v
        gain, bias = normalise[name]
        return functional.layer_norm(v, v.shape[-1:], gain, bias)

    for t, row in enumerate(preactivations):
        parts = dict(zip(names, row.chunk(len(names), dim=-1), strict=True))
        if cell.projected:  # it has no input and no bias
            parts[cell.projected] = row.new_zeros(())
        a = Values(**{f"below_{k}": v[t] for k, v in request.below.items()})
        for name in ready[0]:
            setattr(a, name, complete(name, parts[name]))
        for k, source in enumerate(sources):
            vector = getattr(state, source.name) if source.feed is None else source.feed(a, state, p)
            if request.drop:
                vector = vector * request.drop[source.name]
            terms = products[k](vector).chunk(len(source.gates), dim=-1)
            for name, product in zip(source.gates, terms, strict=True):
                parts[name] = parts[name] + product
            for name in ready[k + 1]:
                setattr(a, name, complete(name, parts[name]))
        new = cell.step(a, state, p)
        if any(v.shape != shape for v, shape in zip(new, shapes, strict=True)):  # it does not depend on the sequence
            new = cell.State(*(v.expand(shape) for v, shape in zip(new, shapes, strict=True)))
        if keeps:
            zoned = {
                field: mask[t] * getattr(state, field) + (1.0 - mask[t]) * getattr(new, field)
                for field, mask in keeps.items()
            }
            new = new._replace(**zoned)
        if active is not None:
            going = active[t].unsqueeze(-1)
            new = cell.State(*(torch.where(going, n, old) for n, old in zip(new, state, strict=True)))
        steps.append(new)
        state = new
    wanted = cell.State._fields if request.read is None else request.read
    sequences = zip(cell.State._fields, zip(*steps, strict=True), strict=True)
    read = cell.State(*(torch.stack(values) if name in wanted else None for name, values in sequences))
    return read, state if request.final else None


def _product(matrix: Tensor, heads: int) -> Callable[[Tensor], Tensor]:
    """Return the product of R [n * H, H / heads] and a vector per sequence, [B, H] to [B, n * H]."""
    if heads == 1:
        transposed = matrix.T
        return lambda vector: vector @ transposed
    width = matrix.shape[1]
    by_head = matrix.view(-1, heads, width, width).permute(1, 3, 0, 2).flatten(2)  # [heads, width, n * width]

    def product(vector: Tensor) -> Tensor:
        parts = vector.reshape(-1, heads, width).transpose(0, 1) @ by_head  # [heads, B, n * width]
        return parts.reshape(heads, parts.shape[1], -1, width).permute(1, 2, 0, 3).flatten(1)

    return product
