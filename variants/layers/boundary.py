"""Checks the arguments of a call of a recurrent module before an engine sees them.

A wrong call raises ValueError with the name of the cell, the rule and what was given. Both kinds of modules,
`Recurrent` and `ControlRecurrent`, use these functions, so that they accept and refuse the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn.utils.rnn import PackedSequence

from ..cell import Cell, S

WHOLE = frozenset((torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8))
FEW = 64
"""Up to so many numbers are checked faster in Python than by operations of torch."""


def checked_inputs(cell: Cell, inputs: Tensor, input_size: int, like: Tensor) -> Tensor:
    """Check the inputs of a call.

    cell: for its name in messages.
    inputs: [T, B, I].
    input_size: number of inputs I of the module.
    like: a parameter of the module.

    Returns the inputs in the floating-point type of the parameters; under autocast they keep their own.
    Raises ValueError for another shape, a sequence without steps, whole numbers or another device.

    >>> from variants import GRU
    >>> checked_inputs(GRU(), torch.zeros(5, 2, 3, dtype=torch.float64), 3, torch.zeros(1)).dtype
    torch.float32
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
    cell: Cell[S],
    state: object,
    inputs: Tensor,
    units: int,
    layers: int,
    directions: int,
) -> tuple[S, ...]:
    """Check the state that a caller gave to a module.

    cell: its State says which fields there are.
    state: one State or tuple per layer and direction, with fields [B, H], [1, H] or [H]. Or the form of
        `torch.nn.LSTM`: a tuple with one tensor [layers * directions, B, H] for each field, or the tensor itself where
        the state has one field.
    inputs: [T, B, I], checked.
    units: number of hidden units H of each layer.
    layers: how many layers.
    directions: how many directions.

    Returns one State per layer and direction, every field [B, H], in the floating-point type of the inputs.
    Raises ValueError, showing the right form, for anything else.

    >>> from variants import GRU
    >>> (state,) = checked_state(GRU(), torch.zeros(1, 2, 4), torch.zeros(5, 2, 3), 4, layers=1, directions=1)
    >>> state.h.shape
    torch.Size([2, 4])
    """
    State, count, batch = cell.State, layers * directions, inputs.shape[1]
    made: Callable[..., S] = State
    fields: tuple[str, ...] = State._fields
    widths = {name: cell.size_of(name, units) for name in fields}
    whole = [(count, batch, widths[name]) for name in fields]
    given = (state,) if isinstance(state, Tensor) else state
    if not isinstance(given, tuple | list):
        raise ValueError(f"{_form(cell, count, widths)}, got {type(state).__name__}")
    if given and all(isinstance(v, Tensor) for v in given):
        shapes = [tuple(v.shape) for v in given]
        if isinstance(given, State) or shapes != whole:
            got = (
                type(state).__name__
                if isinstance(given, State)
                else "tensors " + ", ".join(str(list(v.shape)) for v in given)
            )
            raise ValueError(f"{_form(cell, count, widths)}, got {got}")
        return tuple(
            made(*(_checked(cell, n, v[k], inputs, widths[n]) for n, v in zip(fields, given, strict=True)))
            for k in range(count)
        )
    if len(given) != count:
        raise ValueError(f"{_form(cell, count, widths)}, got {len(given)} of them")
    states = []
    for one in given:
        names = getattr(one, "_fields", fields)
        if not isinstance(one, tuple | list) or len(one) != len(fields) or names != fields:
            got = f"a {type(one).__name__} of {', '.join(names)}" if names != fields else f"a {type(one).__name__}"
            raise ValueError(f"{_form(cell, count, widths)}, got {got}")
        states.append(made(*(_checked(cell, n, v, inputs, widths[n]) for n, v in zip(fields, one, strict=True))))
    return tuple(states)


def _form(cell: Cell, count: int, widths: Mapping[str, int]) -> str:
    """Return the beginning of a message: which forms a state can have."""
    fields = cell.State._fields
    each = f"{cell.State.__name__}({', '.join(f'{n}=[B, {widths[n]}]' for n in fields)})"
    stacked = ", ".join(f"{n} [{count}, B, {widths[n]}]" for n in fields)
    many = f"{count} of {each}, one per layer and direction," if count > 1 else f"({each},)"
    return f"{cell.title}: state must be {many} or torch's form ({stacked}{',' if len(fields) == 1 else ''})"


def _checked(cell: Cell, name: str, given: object, inputs: Tensor, units: int) -> Tensor:
    """Return one field of a state, [B, units] and of the type of the inputs. Raises ValueError, naming the field."""
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
    """Check the lengths of the sequences.

    cell: for its name in messages.
    lengths: B whole numbers in 1..T.
    inputs: [T, B, I], checked.
    readable: whether values can be read; while torch traces or transforms a call they cannot.

    Returns the lengths [B] on the device of the inputs.
    Raises ValueError for anything else.

    >>> from variants import GRU
    >>> checked_lengths(GRU(), [5, 3], torch.zeros(5, 2, 1))
    tensor([5, 3])
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
    """Check the steps of which a caller wants outputs.

    cell: for its name in messages.
    reads: [K, B] whole numbers in 0..T-1, each within its sequence's length.
    inputs: [T, B, I], checked.
    lengths: [B], checked, or None where all sequences have T steps.
    readable: whether values can be read; while torch traces or transforms a call they cannot.

    Returns the steps [K, B], or None where these are all steps in their order.
    Raises ValueError for anything else.

    >>> from variants import GRU
    >>> checked_reads(GRU(), [[4, 4]], torch.zeros(5, 2, 1), None)
    tensor([[4, 4]])
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
    """Return reads [T, B] of all steps in order; cached, as making the tensor takes longer than comparing it."""
    return torch.arange(steps, device=device).unsqueeze(1).expand(steps, batch).contiguous()


def _whole_numbers(given: object, inputs: Tensor) -> Tensor | None:
    """Return a dense tensor of whole numbers from a tensor or nested lists.

    None if it is something else, or if it is on the device meta, where tensors have no values, and the inputs are not.
    """
    try:
        values = given if isinstance(given, Tensor) else torch.tensor(given, device="cpu")
    except (TypeError, ValueError, RuntimeError):
        return None
    dense = values.layout is torch.strided and not values.is_nested and values.is_meta <= inputs.is_meta
    return values if dense and values.dtype in WHOLE else None


def _described(given: object) -> str:
    """Return what a message says was given where whole numbers are wanted."""
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
    """Name the mode of torch in which a compiled kernel cannot run, such as tracing.

    Returns the name, as messages use it, or nothing where torch computes as usual. torch.compile is no such mode: a
    kernel inside it is called as usual.

    >>> mode()
    ''
    >>> with torch.autograd.forward_ad.dual_level():
    ...     mode()
    'forward-mode differentiation'
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
