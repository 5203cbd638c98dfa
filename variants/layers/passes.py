"""Training steps and evaluations of a module without autograd: forward through all layers, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from ..engine.evaluation import EvaluationLayer
from ..engine.fused import NARROW, rows, with_room
from ..engine.ir.names import Name
from ..engine.training import Layer
from .regularisation import bernoulli, dropout_mask


class Regularisers(NamedTuple):
    """What is drawn anew in every training step.

    dropout: rate between layers. recurrent_dropout: rate on what the recurrent matrices see. zoneout: rates by field of
    the state.
    generator: where the masks come from.
    """

    dropout: float
    recurrent_dropout: float
    zoneout: Mapping[str, float]
    generator: torch.Generator


class TrainingPass:
    """Training steps of a stack of layers for B sequences of up to T steps, in memory that is used again.

    A step is `forward`, then `backward`. What is computed is what `Recurrent.forward` and autograd compute, without
    their part of the time.

    layers: one per layer and direction, layer 0 forward first.
    directions: one or two.
    shown: fields of the state that a layer's output is made of.
    above: by layer and direction, fields of its state that the layer above reads besides.
    masks: the regularisers.
    project: P [H, I], which the inputs are multiplied with first, or None.

    Attributes:
        sequences: what the highest layer gives, one tensor [T, B, H] (of a projected field [T, B, P]) per direction and
            field shown, in the order in which a module's output has them. That of the backward direction runs backwards
            in time.
        derivatives: those of the loss by `sequences`, zero at first. `backward` reads them and leaves them as they are.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        directions: int,
        shown: Sequence[str],
        above: Sequence[Sequence[str]],
        masks: Regularisers,
        project: Tensor | None,
    ) -> None:
        self._layers, self._directions, self._shown, self._above = layers, directions, shown, above
        self._masks, self._drawing = masks, bool(masks.zoneout) or masks.recurrent_dropout > 0.0
        self._project = None if project is None else project.detach()
        self._projected = None if project is None else project.grad
        steps, batch, _ = layers[0].call.size
        self._time = torch.arange(steps).unsqueeze(-1)
        self._active: Tensor | None = None
        self._inputs = torch.empty(0)
        self._lengths: Tensor | int = 0
        self._dropped: dict[int, Tensor] = {}
        top = layers[len(layers) - directions :]
        whole = [layer.whole_sequence(name) for layer in top for name in shown]
        # a projected field has the strides of one that is not
        self.sequences = [s if s.is_contiguous() else with_room(s.shape, s) for s in whole]
        self._copied = [(to, s) for to, s in zip(self.sequences, whole, strict=True) if to is not s]
        self._width = self.sequences[0].shape[-1]
        self.derivatives = [with_room((steps, batch, self._width), s) for s in self.sequences]
        by_direction = (self.derivatives[d * len(shown) : (d + 1) * len(shown)] for d in range(directions))
        self._at_the_top = [dict(zip(shown, derivatives, strict=True)) for derivatives in by_direction]

    def forward(self, x: Tensor, lengths: Tensor | None) -> None:
        """Run over a batch of sequences.

        x: [T, B, I], float32 on the CPU; kept until `backward`. What stands behind a sequence's length changes nothing.
        lengths: [B], or None where all sequences have T steps.
        """
        self._steps = len(x)
        self._active = None if lengths is None else self._time[: self._steps] < lengths
        self._lengths = self._steps if lengths is None else lengths
        x = x.resolve_neg()
        if self._active is not None and (self._project is not None or x.shape[-1] > NARROW):
            # kernels copy narrow inputs and leave out what is behind the end; 0 * x would be NaN where x is not finite
            x = x.masked_fill(~self._active.unsqueeze(-1), 0.0)
        self._inputs = x
        if self._project is not None:
            x = functional.linear(x, self._project)
        below: list[dict[str, Tensor]] = [{}] * self._directions
        count = len(self._layers) // self._directions
        for level in range(count):
            if level > 0 and self._masks.dropout > 0.0:
                self._dropped[level] = dropout_mask(self._masks.dropout, tuple(x.shape), x, self._masks.generator)
                x = x * self._dropped[level]
            if x.stride(-1) != 1 or x.shape[-1] > NARROW:
                x = x.contiguous()
            outputs = []
            for direction in range(self._directions):
                k = level * self._directions + direction
                layer = self._layers[k]
                masks = self._drawn(layer, x) if self._drawing else {}
                layer.forward(self._turned(x, direction), below[direction], self._active, masks)
                if level + 1 < count:
                    outputs += [self._turned(layer.sequence(name), direction) for name in self._shown]
                    below[direction] = {name: rows(layer.sequence(name)) for name in self._above[k]}
            if outputs:
                x = outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=-1)
        for to, sequence in self._copied:
            to[: self._steps].copy_(sequence[: self._steps])

    def reads(self, reads: Tensor) -> list[Tensor]:
        """Return, for each of `sequences`, the places of some steps of the last batch.

        reads: [K, B], the steps in the order of time.
        """
        places = [reads, self._lengths - 1 - reads] if self._directions == 2 else [reads]
        return [place for place in places for _ in self._shown]

    def backward(self) -> None:
        """Add to the gradients of the parameters, for the derivatives in `derivatives`."""
        directions = self._directions
        arriving = self._at_the_top
        for level in reversed(range(len(self._layers) // directions)):
            backs = []
            for direction, derivatives in enumerate(arriving):
                layer = self._layers[level * directions + direction]
                backs.append(layer.backward(derivatives))
                for blocks in layer.copied:
                    blocks.spread()
            dx = [
                self._turned(back.dx[: self._steps], direction)
                for direction, back in enumerate(backs)
                if back.dx is not None
            ]
            if not dx:
                return
            total = dx[0] if len(dx) == 1 else dx[0] + dx[1]
            if level in self._dropped:
                total = total * self._dropped[level]
            if level > 0:
                arriving = [self._for_layer_below(total, d, back.below) for d, back in enumerate(backs)]
        if self._projected is not None:
            self._projected.addmm_(total.flatten(0, 1).t(), self._inputs.flatten(0, 1))

    def _for_layer_below(self, dx: Tensor, direction: int, below: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the derivatives by the sequences of one direction of the layer below.

        dx: by the outputs of that layer, [T, B, O]. below: by the sequences that are handed up besides.
        """
        found = {}
        for k, name in enumerate(self._shown):
            first = (direction * len(self._shown) + k) * self._width
            found[name] = self._turned(dx.narrow(2, first, self._width), direction)
        for name, derivative in below.items():
            derivative = derivative[: self._steps]
            found[name] = found[name] + derivative if name in found else derivative
        return {name: rows(derivative) for name, derivative in found.items()}

    def _turned(self, sequence: Tensor, direction: int) -> Tensor:
        """Return a sequence [T, B, ...] in the order of a direction, or one in that order in the order of time."""
        return reverse(sequence, self._active) if direction == 1 else sequence

    def _drawn(self, layer: Layer, x: Tensor) -> dict[Name, Tensor]:
        """Return the masks of zoneout and of recurrent dropout of one layer for this step."""
        given, (steps, batch), width = self._masks, x.shape[:2], layer.call.width
        found = {
            Name("keep", n): bernoulli(rate, (steps, batch, width(n)), x, given.generator)
            for n, rate in given.zoneout.items()
        }
        if given.recurrent_dropout > 0.0:
            for source in layer.call.program.derivation.operands:
                mask = dropout_mask(given.recurrent_dropout, (batch, width(source)), x, given.generator)
                found[Name("drop", source)] = mask
        return found


class EvaluationPass:
    """Evaluations of a stack of layers for up to B sequences of up to T steps, in memory that is used again.

    What is computed are the bits of `Recurrent.forward` in evaluation mode without gradients.

    layers: one per layer and direction, layer 0 forward first.
    directions: one or two.
    shown: fields of the state that a layer's output is made of.
    above: by layer and direction, fields of its state that the layer above reads besides.
    project: P [H, I], which the inputs are multiplied with first, or None.
    size: the largest T and B.
    """

    def __init__(
        self,
        layers: Sequence[EvaluationLayer],
        directions: int,
        shown: Sequence[str],
        above: Sequence[Sequence[str]],
        project: Tensor | None,
        size: tuple[int, int],
    ) -> None:
        self._layers, self._directions, self._shown, self._above = layers, directions, shown, above
        self._project = None if project is None else project.detach()
        self.size = steps, batch = size
        self._time, self._columns = torch.arange(steps).unsqueeze(-1), torch.arange(batch)

    def outputs(self, x: Tensor, lengths: Tensor | None, reads: Tensor) -> Tensor:
        """Return the outputs of the highest layer at some steps, [K, B, O]; the next call may overwrite them.

        x: [T, B, I], float32 on the CPU.
        lengths: [B], or None where all sequences have T steps.
        reads: [K, B] int64, the steps, each within its sequence's length.
        """
        steps, batch = x.shape[:2]
        active = None if lengths is None else self._time[:steps] < lengths
        if self._project is not None:
            x = functional.linear(x, self._project)
        below: list[dict[str, Tensor]] = [{}] * self._directions
        for level in range(len(self._layers) // self._directions):
            if level > 0:
                x = self._handed_up(level - 1, active)
            if x.stride(-1) != 1:
                x = x.contiguous()
            for direction in range(self._directions):
                k = level * self._directions + direction
                layer = self._layers[k]
                layer.run(reverse(x, active) if direction == 1 else x, below[direction], active)
                below[direction] = {name: layer.sequence(name) for name in self._above[k]}
        top = self._layers[-self._directions :]
        if self._directions == 1 and len(self._shown) == 1 and self._are_all(reads, steps):
            return top[0].sequence(self._shown[0])
        parts = []
        for direction, layer in enumerate(top):
            places = reads if direction == 0 else (steps if lengths is None else lengths) - 1 - reads
            index = (places * batch).add_(self._columns[:batch]).flatten()
            parts += [layer.sequence(name).flatten(0, 1).index_select(0, index) for name in self._shown]
        outputs = parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)
        return outputs.view(*reads.shape, -1)

    def _handed_up(self, level: int, active: Tensor | None) -> Tensor:
        """Return the outputs of a layer, [T, B, O]."""
        outputs = []
        for direction in range(self._directions):
            layer = self._layers[level * self._directions + direction]
            sequences = map(layer.sequence, self._shown)
            outputs += [reverse(v, active) if direction == 1 else v for v in sequences]
        return outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=-1)

    def _are_all(self, reads: Tensor, steps: int) -> bool:
        """Return whether what is read are all steps in their order."""
        return len(reads) == steps and bool((reads == self._time[:steps]).all())


def reverse(sequence: Tensor, active: Tensor | None) -> Tensor:
    """Return each sequence of [T, B, ...] backwards in time within its own length; the padding stays where it is.

    active: [T, B], which steps are within a sequence's length; None where all are.
    """
    if active is None:
        return sequence.flip(0)
    steps = torch.arange(len(sequence), device=sequence.device).unsqueeze(-1)
    index = torch.where(active, active.sum(0) - 1 - steps, steps)  # [T, B]
    return sequence.gather(0, index.unsqueeze(-1).expand_as(sequence))
