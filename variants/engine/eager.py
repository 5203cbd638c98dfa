"""The eager engine: autograd over the written step, on any device and in any dtype.

It is the specification of a cell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ..cell import Cell, Values
from .inputs import Inputs


def run(
    cell: Cell,
    inputs: Inputs,
    state: Any,
    recurrent: Mapping[str, Tensor],
    values: Mapping[str, Tensor],
    below: Mapping[str, Tensor] | None = None,
    active: Tensor | None = None,
    keep: Mapping[str, Tensor] | None = None,
    drop: Mapping[str, Tensor] | None = None,
    normalise: Mapping[str, tuple[Tensor, Tensor | None]] | None = None,
    read: Sequence[str] | None = None,
    final: bool = True,
) -> tuple[Any, Any]:
    """Run one layer in one direction over a sequence.

    inputs: x [T, B, I] with W and b of all gates, not yet multiplied.
    state: the cell's State before the first step, fields [B, H].
    recurrent: R by source name, [gates that hear it * H, H].
    values: vectors and constants by name, [H].
    below: sequences of the layer below by field name, [T, B, H].
    active: [T, B] bool; where False the state stays as it was.
    keep: zoneout by field of the state, broadcastable to [T, B, H]: the new value is keep * old + (1 - keep) * new.
    drop: recurrent dropout by source name, [B, H]: what a source is multiplied with before its product.
    normalise: gain and bias [H] by gate of a layer normalisation of the complete pre-activation; the eager engine only.
    read: fields of the state whose sequences are wanted, by default all; the others are None in what is returned.
    final: whether the state after the last step is wanted.

    Returns the State of sequences (fields [T, B, H]) and the State after the last step (fields [B, H]), or None.
    """
    names = [gate.name for gate in cell.plan]
    sources = cell.sources
    shape = state[0].shape  # [B, H]
    preactivations = inputs.preactivations(cell.plan, shape[-1])  # [T, B, G * H]
    transposed = [recurrent[s.name].T for s in sources]
    p = Values(**values)
    # Before a source is known, the gates that hear it must not be used: they are missing from `a` until it is.
    ready = cell.ready_after
    keeps = {field: mask.expand(len(preactivations), -1, -1) for field, mask in (keep or {}).items()}
    steps = []

    def complete(name: str, v: Tensor) -> Tensor:
        if normalise is None:
            return v
        gain, bias = normalise[name]
        return functional.layer_norm(v, v.shape[-1:], gain, bias)

    for t, row in enumerate(preactivations):
        parts = dict(zip(names, row.chunk(len(names), dim=-1), strict=True))
        a = Values(**{f"below_{k}": v[t] for k, v in (below or {}).items()})
        for name in ready[0]:
            setattr(a, name, complete(name, parts[name]))
        for k, source in enumerate(sources):
            vector = getattr(state, source.name) if source.feed is None else source.feed(a, state, p)
            if drop is not None:
                vector = vector * drop[source.name]
            products = (vector @ transposed[k]).chunk(len(source.gates), dim=-1)
            for name, product in zip(source.gates, products, strict=True):
                parts[name] = parts[name] + product
            for name in ready[k + 1]:
                setattr(a, name, complete(name, parts[name]))
        new = cell.step(a, state, p)
        if any(v.shape != shape for v in new):  # a field that does not depend on the sequence
            new = cell.State(*(v.expand(shape) for v in new))
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
    wanted = cell.State._fields if read is None else read
    sequences = zip(cell.State._fields, zip(*steps, strict=True), strict=True)
    return cell.State(
        *(torch.stack(values) if name in wanted else None for name, values in sequences)
    ), state if final else None
