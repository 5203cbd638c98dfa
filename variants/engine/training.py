"""The fused engine for a trainer: what a call looks up, allocates and adds up is found once, for all updates of one
size.

For a small layer all this takes about as long as the kernel itself: it is Python code, which the data of the kernel has
driven out of the processor's cache.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import is_
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..cell import Cell
from .fused import NARROW, Back, Call, Targets, Tensors, check, program, rows, widened, with_room
from .ir.derive import Variation
from .ir.names import Name

FEW = 2**16
"""So many numbers are set to zero faster all together than some of them by an index."""


class Blocks:
    """Blocks of parameters one below the other as one array [n * H, ...], and its gradient.

    parameters: those of the gates in their order, None for zeros.
    shape: of one block.
    like: a tensor of their type and device.
    together: values and gradient where they lie in memory as one array; they are used there. Otherwise there are
        copies: `gather` fills them, `spread` adds their gradient to those of the parameters.
    mask: [H, H], what each block is multiplied with; masked blocks are always copies.
    transform: gives what stands in the place of each block, after the mask; such blocks are always copies.
    """

    def __init__(
        self,
        parameters: Sequence[Tensor | None],
        shape: tuple[int, ...],
        like: Tensor,
        together: tuple[Tensor, Tensor] | None = None,
        mask: Tensor | None = None,
        transform: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self._mask, self._transform = mask, transform
        self._transformed: list[tuple[Tensor, Tensor]] = []
        rows, in_place = shape[0], mask is None and transform is None and together is not None
        if together is not None and in_place:
            self.values, self.gradient = together
        else:
            whole = (len(parameters) * rows, *shape[1:])
            self.values, self.gradient = (like.new_zeros(whole, requires_grad=False) for _ in range(2))
        there = [(k, p) for k, p in enumerate(parameters) if p is not None]
        self.places = [(p, self.gradient.narrow(0, k * rows, rows)) for k, p in there]
        self._copies = [] if in_place else [(p.detach(), self.values.narrow(0, k * rows, rows)) for k, p in there]

    @property
    def copied(self) -> int:
        """How many blocks are copied at each training step."""
        return len(self._copies)

    def gather(self) -> None:
        """Fetch the values of the parameters."""
        if self._transform is not None:
            self._gather_transformed(self._transform)
            return
        for p, values in self._copies:
            values.copy_(p)
            if self._mask is not None:
                values.mul_(self._mask)

    def _gather_transformed(self, transform: Callable[[Tensor], Tensor]) -> None:
        """Fetch transformed values, and keep how they came about for the derivatives."""
        self._transformed = []
        for p, values in self._copies:
            with torch.inference_mode(False), torch.enable_grad():
                learned = p.detach().requires_grad_()
                made = transform(learned if self._mask is None else learned * self._mask)
            self._transformed.append((learned, made))
            values.copy_(made.detach())

    def spread(self) -> None:
        """Add the gradient to those of the parameters, where it is not kept in their place."""
        if self._copies:
            self._add()
            self.gradient.zero_()

    def set_aside(self) -> Tensor:
        """Begin with a gradient of zero; returns what it was."""
        before = self.gradient.clone()
        self.gradient.zero_()
        return before

    def put_back(self, before: Tensor) -> None:
        """Add the gradient to whatever gradients the parameters have now, and restore what it was."""
        self._add()
        self.gradient.copy_(before)

    def _add(self) -> None:
        if self._transform is not None:
            for (p, gradient), (learned, made) in zip(self.places, self._transformed, strict=True):
                if made.requires_grad:
                    add_gradient(p, torch.autograd.grad(made, learned, gradient)[0])
            return
        for p, gradient in self.places:
            add_gradient(p, gradient if self._mask is None else gradient * self._mask)


def add_gradient(parameter: Tensor, gradient: Tensor) -> None:
    """Add to the gradient of a parameter, which may have none yet; a frozen one gets none."""
    if not parameter.requires_grad:
        return
    if parameter.grad is None:
        parameter.grad = gradient.clone()
    else:
        parameter.grad.add_(gradient)


class Parameters:
    """The parameters of one layer and direction, with gradients in place.

    weight: W of the gates that have one, [n * H, I]. bias: [G * H]. recurrent: R by source. vectors: p by name, [H].
    scalars: by name, [1]. starts: the first state by field, [H]. constants: by name, [H].
    """

    def __init__(
        self,
        weight: Blocks,
        bias: Blocks,
        recurrent: Mapping[str, Blocks],
        vectors: Mapping[str, Tensor],
        scalars: Mapping[str, Tensor],
        starts: Mapping[str, Tensor],
        constants: Mapping[str, Tensor],
    ) -> None:
        self.weight, self.bias, self.recurrent = weight, bias, recurrent
        self.vectors, self.scalars, self.starts, self.constants = vectors, scalars, starts, constants
        self.blocks = (weight, bias, *recurrent.values())
        self._copied = [blocks for blocks in self.blocks if blocks.copied]
        learned = [p for blocks in self.blocks for p, _ in blocks.places]
        learned += [*vectors.values(), *scalars.values(), *starts.values()]
        self._learned, self._gradients = learned, [p.grad for p in learned]

    def per_unit(self, units: int) -> dict[str, Tensor]:
        """Return vectors where they are, and for each scalar memory [H] that `gather_scalars` fills."""
        like = self.bias.values
        return {n: v.detach() for n, v in self.vectors.items()} | {n: like.new_zeros(units) for n in self.scalars}

    def first_state(self, fields: Sequence[str], batch: int, units: int) -> dict[str, Tensor]:
        """Return memory [B, H] for the first state by field: zeros, or for a learned start what `gather` fills."""
        like = self.bias.values
        zeros = dict.fromkeys(fields, with_room((batch, units), like))
        return zeros | {field: with_room((batch, units), like) for field in self.starts}

    def gather(self, per_unit: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> None:
        """Fetch the values of the parameters that stand for several numbers: all but vectors.

        per_unit, state: what the methods of these names returned. All units get the value of a scalar, and all
            sequences a learned start.
        """
        for blocks in self._copied:
            blocks.gather()
        for name, value in self.scalars.items():
            per_unit[name].copy_(value.detach())
        for field, value in self.starts.items():
            state[field].copy_(value.detach())

    def add_per_unit(self, gradients: Mapping[str, Tensor]) -> None:
        """Add derivatives by what `per_unit` returned, [H], to the gradients; that by a scalar is a sum over units."""
        for name, gradient in gradients.items():
            if name in self.vectors:
                add_gradient(self.vectors[name], gradient)
            else:
                add_gradient(self.scalars[name], gradient.sum(0, keepdim=True))

    def moved(self) -> bool:
        """Return whether a gradient is no longer the one that was there in the beginning."""
        return not all(map(is_, [p.grad for p in self._learned], self._gradients))


class Layer:
    """The training steps of one layer and direction for B sequences of up to T steps: memory that is used again.

    A step is `forward`, then `backward`, which adds to the gradients of the parameters. What one gives is overwritten
    by the next.

    cell: as it stands in the layer.
    parameters: of the layer.
    size: the largest T, B, and the width I of x.
    read: fields of the state whose sequences somebody reads.
    variation: constants, sequences from below, zoneout, dropout and active steps, as the kernels have them.
    x_wanted: whether the derivative by x is computed.

    Attributes:
        copied: blocks of parameters that are copies, so that a caller must have them `spread` after `backward`.
    """

    def __init__(
        self,
        cell: Cell,
        parameters: Parameters,
        size: tuple[int, int, int],
        read: tuple[str, ...],
        variation: Variation,
        *,
        x_wanted: bool,
    ) -> None:
        steps, batch, width = size
        self.parameters, self.most = parameters, steps
        self.units = units = len(parameters.bias.values) // len(cell.preactivations)
        self._x_wanted, self._steps = x_wanted, 0
        like = parameters.bias.values
        fixed = {Name("p", name): v.contiguous() for name, v in parameters.constants.items()}
        fixed |= {Name("keep", name): with_room((steps, batch, units), like) for name in variation.keep}
        fixed |= {Name("drop", name): with_room((batch, units), like) for name in variation.drop}
        if variation.active:
            fixed[Name("active")] = torch.empty(steps, batch, dtype=torch.uint8, device="cpu")
        self._active = fixed.get(Name("active"))
        self.call = Call(program(cell, variation), (steps, batch, units), fixed, read, (), cell)
        nothing = with_room((steps, batch, units), like)  # stands where a derivative or a sequence comes later
        self._tensors = Tensors(
            like.new_empty(size, requires_grad=False) if width > NARROW else nothing[..., :1].expand(size),
            parameters.weight.values,
            parameters.bias.values,
            parameters.first_state(cell.State._fields, batch, units),
            {name: blocks.values for name, blocks in parameters.recurrent.items()},
            parameters.per_unit(units),
            dict.fromkeys(variation.below, nothing),
        )
        self._layout, self._memory, self._table = self.call.bind(self._tensors, True, {})
        self._vectors = {n: torch.zeros_like(v) for n, v in self._tensors.vectors.items()}
        kernel, self._wide = self._layout.kernel, width > NARROW
        self._place_of_steps = kernel.place(Name("T")).address
        self._place_of_x = kernel.place(Name("x" if self._wide else "given"))
        self._places_below = [(name, kernel.place(Name("below", name))) for name in variation.below]
        self.copied = [blocks for blocks in parameters.blocks if blocks.copied]
        self._backs: dict[tuple[str, ...], Back] = {}
        self._read: list[tuple[Name, Tensor]] = []

    def forward(
        self, x: Tensor, below: Mapping[str, Tensor], active: Tensor | None, masks: Mapping[Name, Tensor]
    ) -> None:
        """Run over a sequence.

        x: [T, B, I], float32, its last axis contiguous, all of it where it is wider than NARROW; kept until `backward`.
        below: sequences of the layer below by field, [T, B, H], with room behind them.
        active: [T, B] bool, where False the state stays as it was.
        masks: zoneout [T, B, H] and dropout [B, H] of the variation, by the names that kernels have for them.
        """
        steps = self._steps = len(x)
        table = self._table
        if self._place_of_steps is not None:
            table[self._place_of_steps] = steps
        self._place_of_x.put(table, x)
        self._read = [(Name("x"), x)] if self._wide else []
        for name, place in self._places_below:
            place.put(table, below[name])
            self._read.append((Name("below", name), below[name]))
        if active is not None and self._active is not None:
            self._active[:steps].copy_(active)
        for which, mask in masks.items():
            target = self.call.fixed[which]
            if mask.shape[-1] < self.units:
                target = target.narrow(-1, 0, mask.shape[-1])
            (target[:steps] if which.kind == "keep" else target).copy_(mask)
        self.parameters.gather(self._tensors.vectors, self._tensors.state)
        self._layout.kernel.run(table)

    def sequence(self, name: str) -> Tensor:
        """Return the sequence of a field of the last run, [T, B, H], with room behind it."""
        return self.call.sequence(name, self._memory, self._layout.starts[Name("states", name)], self._steps)

    def whole_sequence(self, name: str) -> Tensor:
        """Return the memory for the sequence of a field, [T, B, H] with the largest T; a run fills its first steps."""
        return self.call.sequence(name, self._memory, self._layout.starts[Name("states", name)])

    def backward(self, arriving: Mapping[str, Tensor]) -> Back:
        """Add to the gradients of the parameters, for derivatives by some sequences, as `fused.rows` gives them.

        That by a projected field may be [T, B, P] or, with anything behind the first P numbers, [T, B, H].

        Returns the derivatives by x and by the sequences of the layer below, of which the first T steps are valid.
        """
        key = tuple(arriving)
        if self.call.cell.projected:
            arriving = {field: widened(derivative, self.units) for field, derivative in arriving.items()}
        if key not in self._backs:
            self._backs[key] = self._prepare(arriving)
        back = self._backs[key]
        back.use_steps(self._steps)
        for name, array in self._read:
            back.use(name, array)
        for field, derivative in arriving.items():
            back.arrive(field, derivative)
        back.run({})
        self.parameters.add_per_unit(self._vectors)
        for gradient in self._vectors.values():
            gradient.zero_()
        for field, start in self.parameters.starts.items():
            if field in back.step.fields:
                add_gradient(start, back.carry(field).sum(0))
        return back

    def _prepare(self, derivatives: Mapping[str, Tensor]) -> Back:
        given = self.parameters
        recurrent = {n: blocks.gradient for n, blocks in given.recurrent.items()}
        targets = Targets(given.weight.gradient, given.bias.gradient, recurrent, self._vectors)
        return Back(self.call, self._tensors, self._memory, derivatives, (), targets, x_wanted=self._x_wanted, apart={})


class Session:
    """The updates of one layer and direction at one size [T, B]: each a run forward, then back, which adds to the
    parameters' gradients.

    What a run gives is overwritten by the next one.

    x, below: as in a run. read: fields of the state whose sequences are wanted, in their order, the first one first.
    padded: whether a run says which steps are active. lowest: whether x comes from outside of the module.
    """

    def __init__(
        self,
        cell: Cell,
        parameters: Parameters,
        x: Tensor,
        below: Mapping[str, Tensor],
        read: tuple[str, ...],
        *,
        padded: bool,
        lowest: bool,
    ) -> None:
        self.steps, self.batch = steps, batch = x.shape[:2]
        self._title, self._lowest, self.parameters = cell.title, lowest, parameters
        self._state, self._sequences = cell.State, read
        self._anchor = torch.zeros((), device="cpu", requires_grad=True)  # gets no gradient, but has autograd come by
        variation = Variation(tuple(parameters.constants), tuple(below), (), (), padded)
        check(cell, (x, parameters.bias.values, *parameters.constants.values()))
        size = (steps, batch, x.shape[-1])
        self._layer = Layer(cell, parameters, size, read, variation, x_wanted=x.requires_grad)
        self.units, self.width = self._layer.units, self._layer.call.width(read[0])
        # What is read again in the backward pass, until which a caller may change his own. Narrow x the kernel copies.
        self._x = with_room(x.shape, x)
        self._below = {name: with_room(v.shape, v) for name, v in below.items()}
        # derivatives by the first sequence where only some steps are read: else zero
        self._unread = with_room((steps, batch, self.units), self._x)
        self._turn = 0

    def run(self, x: Tensor, below: Mapping[str, Tensor], active: Tensor | None, reads: Tensor | None) -> NamedTuple:
        """The State of sequences [T, B, H], the first field and those that the layer above reads; of the first only the
        steps `reads`.

        active: [T, B] bool, where False the state stays as it was. reads: [K, B].
        """
        results = _Update.apply(self, reads, active, self._anchor, x, *below.values())  # type: ignore[no-untyped-call]
        sequences = dict(zip(self._sequences, results, strict=True))
        read: NamedTuple = self._state(*map(sequences.get, self._state._fields))
        return read

    def forward(
        self, x: Tensor, below: Sequence[Tensor], active: Tensor | None, index: Tensor | None
    ) -> tuple[int, tuple[Tensor, ...]]:
        """Return a number for the run, and the sequences; of the first one what is at `index` [K, B, H]."""
        self._turn += 1
        if x.shape[-1] > NARROW or x.stride(-1) != 1 or x.is_neg():
            x = self._x.copy_(x)
        for target, v in zip(self._below.values(), below, strict=True):
            target.copy_(v)
        self._layer.forward(x, self._below, active, {})
        first, *others = map(self._layer.sequence, self._sequences)
        return self._turn, (first if index is None else first.gather(0, index), *others)

    def expect(self, turn: int) -> None:
        """Raise ValueError where the run of this number was not the last one, or a second derivative is asked for."""
        if turn != self._turn:
            raise ValueError(
                f"{self._title}: between start_training() and end_training() a module must go backward right after it "
                "went forward, but another call came in between; call end_training() before calls that overlap"
            )
        if torch.is_grad_enabled():
            raise ValueError(
                f"{self._title}: there are no second derivatives between start_training() and end_training(); "
                "call end_training() first"
            )

    def backward(self, arriving: Sequence[Tensor | None], index: Tensor | None) -> tuple[Tensor | None, ...]:
        """Add to the gradients of the parameters; returns the derivatives by x and by what comes from the layer below.

        index: what was read of the first sequence in the forward run.
        """
        self._turn += 1
        derivatives = {n: rows(d) for n, d in zip(self._sequences, arriving, strict=True) if d is not None}
        if not derivatives:
            return (None,) * (1 + len(self._below))
        read = derivatives.get(self._sequences[0]) if index is not None else None
        given = self.parameters
        aside = [blocks.set_aside() for blocks in given.blocks] if given.moved() else []
        if read is not None and index is not None:
            derivatives[self._sequences[0]] = self._unread.scatter_add_(0, index, read)
        back = self._layer.backward(derivatives)
        if read is not None and index is not None:
            if self._unread.numel() <= FEW:
                self._unread.zero_()
            else:
                self._unread.scatter_(0, index, 0.0)
        if aside:
            for blocks, before in zip(given.blocks, aside, strict=True):
                blocks.put_back(before)
        else:
            for blocks in given.blocks:
                blocks.spread()
        # a caller may keep it, and this memory is used again
        dx = back.dx.clone() if self._lowest and back.dx is not None else back.dx
        return dx, *(back.below.get(n) for n in self._below)


class _Update(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        session: Session,
        reads: Tensor | None,
        active: Tensor | None,
        anchor: Tensor,
        x: Tensor,
        *below: Tensor,
    ) -> tuple[Tensor, ...]:
        ctx.session, ctx.index = (
            session,
            None if reads is None else reads.unsqueeze(-1).expand(*reads.shape, session.width),
        )
        ctx.turn, results = session.forward(x, below, active, ctx.index)
        ctx.set_materialize_grads(False)
        if ctx.index is None:
            ctx.save_for_backward(results[0])
        return results

    @staticmethod
    def backward(ctx: Any, *arriving: Tensor | None) -> tuple[Tensor | None, ...]:
        ctx.session.expect(ctx.turn)
        if ctx.index is None:
            ctx.saved_tensors  # noqa: B018  # autograd raises where outputs, which are the states that derivatives need, were changed
        return None, None, None, None, *ctx.session.backward(arriving, ctx.index)
