"""Checks a call of a recurrent module, once and before any engine sees it: inputs, state, lengths and the steps to
read.

A wrong call raises ValueError with the name of the cell, the rule and what was given. Both kinds of modules,
`Recurrent` and `NativeRecurrent`, use these functions, so that they accept and refuse the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn.utils.rnn import PackedSequence

from ..cell import Cell

WHOLE = frozenset((torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8))
FEW = 64
"""So many numbers are looked at faster one by one than by an operation of torch."""


def checked_inputs(cell: Cell, inputs: Tensor, input_size: int, like: Tensor) -> Tensor:
    """The inputs [T, B, I], in the floating-point type of the parameters.

    like: a parameter. Under autocast the inputs keep their type. Raises ValueError for another shape, no step at all,
    whole numbers or another device.
    """
    if not isinstance(inputs, Tensor):
        hint = (
            "; give pad_packed_sequence's two results as inputs and lengths"
            if isinstance(inputs, PackedSequence)
            else ""
        )
        raise ValueError(
            f"{cell.title}: inputs must be a tensor [T, B, {input_size}], got {type(inputs).__name__}{hint}"
        )
    if inputs.is_nested and inputs.layout is torch.strided:
        raise ValueError(
            f"{cell.title}: inputs must be a dense tensor, got a nested one; use "
            "torch.nested.to_padded_tensor and lengths"
        )
    shape = inputs.shape
    if len(shape) != 3 or shape[2] != input_size:
        hint = "; a single sequence needs inputs.unsqueeze(1)" if len(shape) == 2 and shape[1] == input_size else ""
        raise ValueError(f"{cell.title}: inputs must be [T, B, {input_size}], time first, got {list(shape)}{hint}")
    if shape[0] == 0:
        raise ValueError(f"{cell.title}: inputs must have at least one step, got {list(shape)}")
    if inputs.dtype is not like.dtype:
        if not inputs.is_floating_point():
            raise ValueError(
                f"{cell.title}: inputs must be floating-point numbers, got {inputs.dtype}; convert them "
                "by inputs.float()"
            )
        if not torch.is_autocast_enabled(inputs.device.type):
            inputs = inputs.to(like.dtype)
    if inputs.device != like.device:
        raise ValueError(
            f"{cell.title}: inputs must be on the device of the parameters ({like.device}), got {inputs.device}"
        )
    if inputs.layout is not torch.strided:
        raise ValueError(
            f"{cell.title}: inputs must be a dense tensor, got {inputs.layout}; convert them by inputs.to_dense()"
        )
    return inputs


def checked_state(
    cell: Cell, state: Any, inputs: Tensor, hidden_size: int, layers: int, directions: int
) -> tuple[Any, ...]:
    """One State per layer and direction, every field [B, H], from the state that a caller gave.

    state: the same with tuples in the place of States, fields also [1, H] or [H]; or as `torch.nn.LSTM` has it: one
    tensor [layers * directions, B, H] for each field in a tuple, or the tensor itself where the state has one field.
    What has another floating-point type is converted to that of the inputs. Raises ValueError, showing the right form,
    for anything else.
    """
    State, count, batch = cell.State, layers * directions, inputs.shape[1]
    fields: tuple[str, ...] = State._fields
    whole = (count, batch, hidden_size)
    given = (state,) if isinstance(state, Tensor) else state
    if not isinstance(given, tuple | list):
        raise ValueError(f"{_form(cell, count, hidden_size)}, got {type(state).__name__}")
    if given and all(isinstance(v, Tensor) for v in given):
        if isinstance(given, State) or len(given) != len(fields) or any(v.shape != whole for v in given):
            got = (
                type(state).__name__
                if isinstance(given, State)
                else "tensors " + ", ".join(str(list(v.shape)) for v in given)
            )
            raise ValueError(f"{_form(cell, count, hidden_size)}, got {got}")
        return tuple(
            State(*(_checked(cell, n, v[k], inputs, hidden_size) for n, v in zip(fields, given, strict=True)))
            for k in range(count)
        )
    if len(given) != count:
        raise ValueError(f"{_form(cell, count, hidden_size)}, got {len(given)} of them")
    states = []
    for one in given:
        names = getattr(one, "_fields", fields)
        if not isinstance(one, tuple | list) or len(one) != len(fields) or names != fields:
            got = f"a {type(one).__name__} of {', '.join(names)}" if names != fields else f"a {type(one).__name__}"
            raise ValueError(f"{_form(cell, count, hidden_size)}, got {got}")
        states.append(State(*(_checked(cell, n, v, inputs, hidden_size) for n, v in zip(fields, one, strict=True))))
    return tuple(states)


def _form(cell: Cell, count: int, units: int) -> str:
    fields = cell.State._fields
    each = f"{cell.State.__name__}({', '.join(f'{n}=[B, {units}]' for n in fields)})"
    stacked = ", ".join(f"{n} [{count}, B, {units}]" for n in fields)
    many = f"{count} of {each}, one per layer and direction," if count > 1 else f"({each},)"
    return f"{cell.title}: state must be {many} or torch's form ({stacked}{',' if len(fields) == 1 else ''})"


def _checked(cell: Cell, name: str, given: Any, inputs: Tensor, units: int) -> Tensor:
    batch = inputs.shape[1]
    if not isinstance(given, Tensor):
        raise ValueError(
            f"{cell.title}: the state's {name!r} must be a tensor [{batch}, {units}], got {type(given).__name__}"
        )
    if given.layout is not torch.strided or given.is_nested:
        got = "a nested one" if given.is_nested else given.layout
        raise ValueError(f"{cell.title}: the state's {name!r} must be a dense tensor [{batch}, {units}], got {got}")
    value = given
    if value.shape != (batch, units):
        if value.shape not in ((1, units), (units,)):
            raise ValueError(f"{cell.title}: the state's {name!r} must be [{batch}, {units}], got {list(value.shape)}")
        value = value.expand(batch, units)
    if value.dtype is not inputs.dtype:
        if not value.is_floating_point():
            raise ValueError(f"{cell.title}: the state's {name!r} must be floating-point numbers, got {value.dtype}")
        value = value.to(inputs.dtype)
    if value.device != inputs.device:
        raise ValueError(
            f"{cell.title}: the state's {name!r} must be on the device of the inputs ({inputs.device}), "
            f"got {value.device}"
        )
    return value


def checked_lengths(cell: Cell, lengths: Tensor | Sequence[int], inputs: Tensor, *, readable: bool = True) -> Tensor:
    """The lengths [B] on the device of the inputs. Raises ValueError unless they are whole numbers in 1..T, one per
    sequence.

    readable: whether values may be looked at; while torch traces or transforms a call they may not.
    """
    steps, batch, _ = inputs.shape

    def refuse(got: object) -> ValueError:
        return ValueError(
            f"{cell.title}: lengths must be {batch} whole numbers in 1..{steps}, one per sequence, got {got}"
        )

    whole = _whole_numbers(lengths, inputs)
    if whole is None or whole.shape != (batch,):
        raise refuse(_described(lengths))
    if readable and batch > 0:
        values = whole.tolist()
        if min(values) < 1 or max(values) > steps:
            raise refuse(next(v for v in values if not 1 <= v <= steps))
    return whole if whole.device == inputs.device else whole.to(inputs.device)


def checked_reads(
    cell: Cell,
    reads: Tensor | Sequence[Sequence[int]],
    inputs: Tensor,
    lengths: Tensor | None,
    *,
    readable: bool = True,
) -> Tensor | None:
    """The steps [K, B] of which outputs are wanted, or None where these are all steps in their order.

    lengths: [B], checked, or None. readable: whether values may be looked at.
    Raises ValueError unless they are whole numbers in 0..T-1, each within its sequence's length.
    """
    steps, batch, _ = inputs.shape
    if (
        type(reads) is Tensor
        and reads.dtype is torch.int64
        and lengths is None
        and readable
        and reads.is_cpu
        and inputs.is_cpu
    ):
        few = reads.shape  # the usual case, without detours
        if len(few) == 2 and few[1] == batch and few[0] != steps and 0 < few[0] * batch <= FEW:
            rows = reads.tolist()
            if min(map(min, rows)) >= 0 and max(map(max, rows)) < steps:
                return reads

    def refuse(got: object) -> ValueError:
        rule = f"reads must be whole numbers [K, {batch}] in 0..{steps - 1}, each within its sequence's length"
        return ValueError(f"{cell.title}: {rule}, got {got}")

    whole = _whole_numbers(reads, inputs)
    shape = () if whole is None else whole.shape
    if whole is None or len(shape) != 2 or shape[1] != batch:
        raise refuse(_described(reads))
    if whole.dtype is not torch.int64:
        whole = whole.long()
    if whole.device != inputs.device:
        whole = whole.to(inputs.device)
    count = shape[0] * batch
    if not readable or count == 0:
        return whole
    if shape[0] == steps and lengths is None and torch.equal(whole, _in_order(steps, batch, whole.device)):
        return None
    if count <= FEW:
        rows = whole.tolist()
        low, high = min(map(min, rows)), max(map(max, rows))
    else:
        low, high = (int(v) for v in torch.aminmax(whole))
    if low < 0 or high >= steps:
        raise refuse(low if low < 0 else high)
    if lengths is not None and not bool((whole < lengths).all()):
        late = whole >= lengths
        raise refuse(f"{int(whole[late][0])} where the length is {int(lengths.expand(whole.shape)[late][0])}")
    return whole


@lru_cache(maxsize=16)
def _in_order(steps: int, batch: int, device: torch.device) -> Tensor:
    """The reads [T, B] of all steps in their order; kept, as making it takes longer than looking at it."""
    return torch.arange(steps, device=device).unsqueeze(1).expand(steps, batch).contiguous()


def _whole_numbers(given: Any, inputs: Tensor) -> Tensor | None:
    """A dense tensor of whole numbers from a tensor or nested lists; None if it is something else, or has no values
    where inputs have.
    """
    try:
        values = given if isinstance(given, Tensor) else torch.tensor(given, device="cpu")
    except (TypeError, ValueError, RuntimeError):
        return None
    dense = values.layout is torch.strided and not values.is_nested and values.is_meta <= inputs.is_meta
    return values if dense and values.dtype in WHOLE else None


def _described(given: Any) -> str:
    try:
        tensor = given if isinstance(given, Tensor) else torch.tensor(given, device="cpu")
    except (TypeError, ValueError, RuntimeError):
        return type(given).__name__
    if tensor.is_nested or tensor.layout is not torch.strided:
        return "a nested tensor" if tensor.is_nested else str(tensor.layout)
    if tensor.is_meta:
        return "a tensor on the device meta"
    return f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"


def mode() -> str:
    """What torch is doing that a compiled kernel cannot take part in, such as tracing; empty if it merely computes.

    torch.compile is no such thing: it steps aside where a kernel runs.
    """
    if torch.compiler.is_compiling():
        return "torch.export" if torch.compiler.is_exporting() else ""
    if torch._C._functorch.peek_interpreter_stack() is not None:
        return "a transform of torch.func"
    if forward_ad._current_level >= 0:
        return "forward-mode differentiation"
    if torch._C._len_torch_dispatch_stack() > 0:
        return "a dispatch mode of torch, such as one that traces or makes fake tensors"
    if torch._C._is_tracing():
        return "torch.jit.trace"
    return ""
