"""Checks the declaration of a cell when a layer of it is built: names, gates, constants, and what `step` returns.

Every check raises ValueError with the name of the cell, the rule and the value. A mistake in the code of a cell becomes
a ValueError as well, so that it is reported in one line.
"""

from __future__ import annotations

import keyword
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from .cell import Cell, Gate, Values
from .layers.boundary import mode
from .layers.options import Options

T = TypeVar("T")
SEQUENCES = 2
"""How many sequences the step is tried on."""


def check_sizes(cell: Cell, *, input_size: int, hidden_size: int, layers: int) -> None:
    """Check the sizes of a module.

    cell: the declared cell; its `validate` may refuse further sizes.
    input_size: number of inputs I.
    hidden_size: number of hidden units H of each layer.
    layers: how many layers.

    Raises ValueError where one is not a whole number of at least 1, or where the cell refuses it.

    >>> from variants import Clockwork
    >>> check_sizes(Clockwork(periods=(1, 2, 4, 8)), input_size=2, hidden_size=30, layers=1)
    Traceback (most recent call last):
    ValueError: clockwork: hidden_size must be divisible by its 4 groups, got 30
    """
    check_whole_numbers(cell, input_size=input_size, hidden_size=hidden_size, layers=layers)
    ask(cell, "validate", lambda: cell.validate(hidden_size, layers))


def check_whole_numbers(cell: Cell, **sizes: int) -> None:
    """Check that a cell is one, and that sizes are whole numbers of at least 1.

    cell: what was given as a cell.
    sizes: by the name that messages use.

    Raises ValueError where this is not so.
    """
    if not isinstance(cell, Cell):
        raise ValueError(f"cell must be an instance of a subclass of Cell, such as Vanilla(), got {cell!r}")
    for name, size in sizes.items():
        if not isinstance(size, int) or isinstance(size, bool):
            raise ValueError(f"{cell.title}: {name} must be a whole number, got {size!r}")
        if size < 1:
            raise ValueError(f"{cell.title}: {name} must be at least 1, got {size}")


def check_options(cell: Cell, options: Options) -> None:
    """Check the types of the options of a module; `check_rate` checks rates.

    cell: for its name in messages.
    options: what was given.

    Raises ValueError where an option has another type.
    """
    generator, stream = options.generator, options.stream
    for name, value in (("bidirectional", options.bidirectional), ("layer_norm", options.layer_norm)):
        if not isinstance(value, bool):
            raise ValueError(f"{cell.title}: {name} must be True or False, got {value!r}")
    if generator is not None and not isinstance(generator, torch.Generator):
        raise ValueError(f"{cell.title}: generator must be a torch.Generator or None, got {generator!r}")
    if stream is not None and not (callable(stream) and isinstance(stream("masks"), torch.Generator)):
        raise ValueError(
            f"{cell.title}: stream must give a torch.Generator for a purpose, as streams(0) does, got {stream!r}"
        )


def ask(cell: Cell, what: str, call: Callable[[], T]) -> T:
    """Call the code of a cell.

    cell: for its name in messages.
    what: the name of the method that is called.
    call: calls it.

    Returns what the method returns.
    Raises ValueError where it fails: its own ValueError unchanged, and one that names the cell for any other error.
    """
    try:
        return call()
    except ValueError:
        raise
    except Exception as error:
        raise _failed(cell, what, error) from error


def _failed(cell: Cell, what: str, error: Exception) -> ValueError:
    """Return the message of an error in the code of a cell, in one line."""
    return ValueError(f"{cell.title}: {what} fails: {type(error).__name__}: {' '.join(str(error).split())}")


def declared_layers(cell: Cell, layers: int) -> list[Cell]:
    """Ask a cell how it stands in each layer.

    cell: the declared cell.
    layers: how many layers.

    Returns one cell for each layer, the lowest first.
    Raises ValueError where `for_layer` fails or does not return a cell with the same State.
    """
    declared = []
    for layer in range(layers):
        here = ask(cell, f"for_layer({layer})", lambda layer=layer: cell.for_layer(layer))  # type: ignore[misc]
        if not isinstance(here, Cell) or getattr(here, "State", None) is not getattr(cell, "State", None):
            got = f"one of {getattr(here, 'State', None)!r}" if isinstance(here, Cell) else repr(here)
            raise ValueError(
                f"{cell.title}: for_layer({layer}) must return a cell with the State of {cell.title}, got {got}"
            )
        declared.append(here)
    return declared


def check_shared(cell: Cell, layers: Sequence[Cell]) -> None:
    """Check that the names in `shared` are gates of at least one layer.

    cell: the declared cell.
    layers: the cell as it stands in each layer, checked.

    Raises ValueError for another name.
    """
    gates = list(dict.fromkeys(gate.name for here in (cell, *layers) for gate in here.preactivations))
    for name in cell.shared:
        if name not in gates:
            raise ValueError(f"{cell.title}: shared must be names of gates ({', '.join(gates)}), got {name!r}")


def check_declaration(cell: Cell) -> None:
    """Check the class attributes of a cell.

    cell: the cell as it stands in a layer.

    Raises ValueError for a State, a name, a gate, a vector or an attribute that no layer can be built from.

    >>> from variants import GRU
    >>> class Wrong(GRU):
    ...     vectors = ("1st",)
    >>> check_declaration(Wrong())
    Traceback (most recent call last):
    ValueError: gru: names in vectors must be Python identifiers such as 'p_i', got '1st'
    """
    title, State = cell.title, getattr(cell, "State", None)
    fields: tuple[str, ...] = getattr(State, "_fields", ())
    if not (isinstance(State, type) and issubclass(State, tuple) and fields):
        raise ValueError(f"{title}: State must be a NamedTuple class with at least one field, got {State!r}")
    if (
        isinstance(cell.gates, Gate)
        or not isinstance(cell.gates, tuple | list)
        or not all(isinstance(g, str | Gate) for g in cell.gates)
    ):
        raise ValueError(f"{title}: gates must be a tuple of names and Gates, as in ('z', 'i'), got {cell.gates!r}")
    for what in ("vectors", "scalars", "starts", "fixed", "shows", "above", "shared", "remembers"):
        names = () if what == "remembers" and cell.remembers is None else getattr(cell, what)
        if not isinstance(names, tuple | list) or not all(isinstance(n, str) for n in names):
            raise ValueError(f"{title}: {what} must be a tuple of names, as in ('p_i',), got {names!r}")
    for what in ("projects_input", "never_forgets"):
        if not isinstance(getattr(cell, what), bool):
            raise ValueError(f"{title}: {what} must be True or False, got {getattr(cell, what)!r}")
    if not isinstance(cell.heads, int) or isinstance(cell.heads, bool) or cell.heads < 1:
        raise ValueError(f"{title}: heads must be a whole number of at least 1, got {cell.heads!r}")
    if cell.heads > 1 and cell.transforms:
        raise ValueError(f"{title}: heads must be 1 for a cell with transform_recurrent, got {cell.heads}")
    _check_gates(cell)
    _check_projected(cell)
    for what in ("keeps", "writes"):
        pair, gates = getattr(cell, what), [g.name for g in cell.preactivations]
        if pair is not None and not (
            isinstance(pair, tuple) and len(pair) == 2 and pair[0] in gates and pair[1] in (1, -1)
        ):
            raise ValueError(
                f"{title}: {what} must be None or one of {', '.join(gates)} and 1 or -1, as in "
                f"('{gates[0]}', 1), got {pair!r}"
            )
    for kind, what, names in (("p", "vectors", cell.vectors), ("s", "scalars", cell.scalars)):
        _check_names(cell, what, names)
        taken = {b.name for b in cell.terms if b.kind != kind}
        for name in names:
            if name in taken:
                raise ValueError(
                    f"{title}: {what[:-1]} {name!r} has the name of another parameter; the parameters are "
                    f"{', '.join(sorted(taken))}"
                )
    for what in ("shows", "above", "remembers", "starts"):
        for name in getattr(cell, what) or ():
            if name not in fields:
                raise ValueError(f"{title}: {what} must be fields of the state ({', '.join(fields)}), got {name!r}")
    for name, value in _attributes(cell).items():
        if _owns_tensor(value):
            raise ValueError(
                f"{title}: a cell owns no tensors and no modules, but its attribute {name!r} is or holds one; declare "
                f"what is learned in `vectors` and what is not in `constants`, got {type(value).__name__}"
            )


def _check_gates(cell: Cell) -> None:
    """Raise ValueError where a gate has a name that is taken, hears nothing there is, or has no term at all."""
    title, fields = cell.title, cell.State._fields
    if not cell.preactivations:
        raise ValueError(f"{title}: gates must name at least one pre-activation, got none")
    _check_names(cell, "gates", [g.name for g in cell.preactivations])
    for name in cell.feeds:
        if name in fields:
            raise ValueError(
                f"{title}: the @feed {name!r} has the name of a field of the state; the fields are {', '.join(fields)}"
            )
    for gate in cell.preactivations:
        if not isinstance(gate.hears, tuple | list):
            raise ValueError(
                f"{title}: gate {gate.name!r} must hear a tuple of names, as in ('{fields[0]}',), got {gate.hears!r}"
            )
        if len(set(gate.hears)) < len(gate.hears):
            raise ValueError(f"{title}: gate {gate.name!r} must hear each source once, got {', '.join(gate.hears)}")
        if not (gate.hears or gate.input or gate.bias):
            raise ValueError(
                f"{title}: gate {gate.name!r} must have an input, a source that it hears or a bias, got none of them"
            )
        if gate.name in {f"below_{name}" for name in cell.above}:
            raise ValueError(
                f"{title}: gate {gate.name!r} has the name of what the layer below hands up; choose another name"
            )
    heard = cell.sources  # raises for what is not known, and for gates that are not neighbours
    names = [b.name for b in cell.terms]
    twice = next((n for n in names if names.count(n) > 1 and n not in cell.learned), None)
    if twice is not None:
        raise ValueError(
            f"{title}: two parameters would be named {twice!r}; rename a gate or one of "
            f"{', '.join(s.name for s in heard)}"
        )


def _check_projected(cell: Cell) -> None:
    """Raise ValueError where the projected field is not the output, or not what its own product alone gives."""
    title, field = cell.title, cell.projected
    if not isinstance(field, str):
        raise ValueError(f"{title}: projected must be the name of a field of the state, got {field!r}")
    if not field:
        return
    if cell.shown != (field,) or field in (*cell.above, *cell.starts):
        raise ValueError(
            f"{title}: projected must be the only field of the output, and not in `above` or `starts`, got {field!r}"
        )
    if len(cell.State._fields) < 2:
        raise ValueError(f"{title}: the state must have another field than the projected {field!r}, got none")
    others = [gate.hears for gate in cell.preactivations if gate.name != field]
    for gate in cell.preactivations:
        if gate.name == field and not (gate.input or gate.bias) and len(gate.hears) == 1:
            (source,) = gate.hears
            if source in cell.feeds and not any(source in hears for hears in others):
                break
    else:
        raise ValueError(
            f"{title}: the projected {field!r} needs Gate({field!r}, hears=(feed,), input=False, bias=False) with a "
            "@feed that no other gate hears"
        )
    for what, there in (("heads", cell.heads > 1), ("transform_recurrent", cell.transforms), ("fixed", cell.fixed)):
        if there:
            raise ValueError(f"{title}: a cell with a projected field must be without {what}")


def _check_names(cell: Cell, what: str, names: Iterable[str]) -> None:
    """Raise ValueError for a name that is no identifier or that is there twice."""
    seen: set[str] = set()
    for name in names:
        if not isinstance(name, str) or not name.isidentifier() or keyword.iskeyword(name) or name.startswith("__"):
            raise ValueError(f"{cell.title}: names in {what} must be Python identifiers such as 'p_i', got {name!r}")
        if name in seen:
            raise ValueError(f"{cell.title}: names in {what} must be different, got {name!r} twice")
        seen.add(name)


def _attributes(cell: Cell) -> dict[str, object]:
    """Return the attributes of a cell and of its classes, without those of `Cell` itself."""
    found: dict[str, object] = {}
    for base in reversed([b for b in type(cell).__mro__ if issubclass(b, Cell) and b is not Cell]):
        found |= vars(base)
    return found | vars(cell)


def _owns_tensor(value: object) -> bool:
    """Return whether a value is a tensor or a module, or a collection in which there is one."""
    if isinstance(value, Mapping):
        return any(map(_owns_tensor, value.values()))
    if isinstance(value, list | tuple | set | frozenset):
        return any(map(_owns_tensor, value))
    return isinstance(value, Tensor | nn.Module)


def checked_constants(cell: Cell, hidden_size: int) -> dict[str, Tensor]:
    """Ask a cell for its constants and check them.

    cell: the cell as it stands in a layer.
    hidden_size: number of hidden units H.

    Returns tensors [H] by name, in the default type and on the default device of torch.
    Raises ValueError for a name, shape or type that a step cannot have.
    """
    constants = ask(cell, "constants", lambda: cell.constants(hidden_size))
    like = torch.empty(0)  # on the device and of the type that parameters get
    if not isinstance(constants, Mapping):
        raise ValueError(f"{cell.title}: constants must return names and tensors, got {type(constants).__name__}")
    _check_names(cell, "constants", constants)
    checked = {}
    for name, value in constants.items():
        if name in cell.learned:
            kind = "vector" if name in cell.vectors else "scalar"
            raise ValueError(f"{cell.title}: {name!r} must be a {kind} or a constant, got both")
        wrong = (
            not isinstance(value, Tensor)
            or value.shape != (hidden_size,)
            or not value.is_floating_point()
            or value.requires_grad
        )
        if wrong or value.layout is not torch.strided or value.is_meta > like.is_meta:
            got = (
                f"{_type(value)} {list(value.shape)} {value.layout} on {value.device}"
                if isinstance(value, Tensor)
                else repr(value)
            )
            raise ValueError(
                f"{cell.title}: constant {name!r} must be a floating-point tensor [{hidden_size}] that "
                f"is not learned, got {got}"
            )
        checked[name] = value.to(like)
    return checked


def checked_mask(cell: Cell, hidden_size: int) -> Tensor | None:
    """Ask a cell for its recurrent mask and check it.

    cell: the declared cell.
    hidden_size: number of hidden units H.

    Returns zeros and ones [H, H] in the default type, or None where the cell has no mask.
    Raises ValueError for anything else.
    """
    mask = ask(cell, "recurrent_mask", lambda: cell.recurrent_mask(hidden_size))
    if mask is None:
        return None
    if cell.heads > 1:
        raise ValueError(f"{cell.title}: heads must be 1 for a cell with recurrent_mask, got {cell.heads}")
    if cell.projected:
        raise ValueError(f"{cell.title}: a cell with a projected field must be without recurrent_mask")
    like = torch.empty(0)
    wrong = (
        not isinstance(mask, Tensor)
        or mask.shape != (hidden_size, hidden_size)
        or mask.requires_grad
        or mask.is_complex()
    )
    wrong = wrong or mask.layout is not torch.strided or mask.is_meta > like.is_meta
    if wrong or not (mask.is_meta or mode() or bool(((mask == 0) | (mask == 1)).all())):
        got = (
            f"{_type(mask)} {list(mask.shape)} {mask.layout} on {mask.device}"
            if isinstance(mask, Tensor)
            else repr(mask)
        )
        raise ValueError(
            f"{cell.title}: recurrent_mask must be zeros and ones [{hidden_size}, {hidden_size}], got {got}"
        )
    return mask.to(like)


def checked_fixed(cell: Cell, hidden_size: int) -> dict[str, Tensor]:
    """Ask a cell for its fixed matrices and check them.

    cell: the cell as it stands in a layer, checked.
    hidden_size: number of hidden units H.

    Returns matrices [H, H / heads] by name, in the default type and on the default device of torch.
    Raises ValueError for a name, shape or type that a product cannot have, and for a cell that has a mask as well.
    """
    if not cell.fixed:
        return {}
    title, matrices = cell.title, [b.name for b in cell.terms if b.kind == "R"]
    for name in cell.fixed:
        if name not in matrices:
            raise ValueError(f"{title}: fixed must be names of matrices ({', '.join(matrices)}), got {name!r}")
    if cell.transforms or cell.recurrent_mask(hidden_size) is not None:
        raise ValueError(f"{title}: fixed must be empty for a cell with recurrent_mask or transform_recurrent")
    given = ask(cell, "fixed_matrices", lambda: cell.fixed_matrices(hidden_size))
    if not isinstance(given, Mapping) or set(given) != set(cell.fixed):
        raise ValueError(f"{title}: fixed_matrices must return {', '.join(cell.fixed)}, got {given!r:.80}")
    shape, like = (hidden_size, hidden_size // cell.heads), torch.empty(0)
    for name, value in given.items():
        if not isinstance(value, Tensor) or value.shape != shape or not value.is_floating_point():
            got = f"{_type(value)} {list(value.shape)}" if isinstance(value, Tensor) else repr(value)
            raise ValueError(f"{title}: fixed matrix {name!r} must be a floating-point tensor {list(shape)}, got {got}")
    return {name: value.detach().to(like) for name, value in given.items()}


def check_transform(cell: Cell, hidden_size: int) -> None:
    """Transform a matrix as a cell does it with a learned R.

    cell: the cell as it stands in a layer, checked.
    hidden_size: number of hidden units H.

    Raises ValueError where this fails, or gives anything but a matrix of the same shape and type.
    """
    if not cell.transforms:
        return
    with torch.inference_mode(False), torch.enable_grad():
        matrix = torch.eye(hidden_size)
        made = ask(cell, "transform_recurrent", lambda: cell.transform_recurrent(matrix))
    rule = f"{cell.title}: transform_recurrent must return a matrix [{hidden_size}, {hidden_size}]"
    if not isinstance(made, Tensor):
        raise ValueError(f"{rule}, got {made!r}")
    if made.shape != matrix.shape or made.dtype is not matrix.dtype:
        raise ValueError(f"{rule} of the type of its argument, got {_type(made)} {list(made.shape)}")
    if matrix._version > 0:
        raise ValueError(f"{cell.title}: transform_recurrent must not change its argument in place")


def try_step(cell: Cell, hidden_size: int, constants: Mapping[str, Tensor], below: Iterable[str]) -> None:
    """Make one step of a cell on small tensors.

    cell: the cell as it stands in a layer, checked.
    hidden_size: number of hidden units H.
    constants: those of the cell, checked.
    below: fields of the layer below that the step may read.

    Raises ValueError where a feed or the step fails, changes its arguments or the cell, or returns anything but a
    State of tensors [B, H]. A misspelt name in the step is found here.

    >>> from variants.cells.gru import GRU, HiddenState
    >>> class Misspelt(GRU):
    ...     def step(self, a, s, p):
    ...         return HiddenState(h=a.update * s.h)
    >>> try_step(Misspelt(), 4, {}, ())
    Traceback (most recent call last):
    ValueError: gru: step fails: AttributeError: there is no 'update' here; there is: r, u, n
    """
    before = {name: value for name, value in vars(cell).items() if name not in vars(Cell)}
    with torch.inference_mode(False), torch.enable_grad(), torch.random.fork_rng(devices=()):
        _try_step(cell, hidden_size, constants, below)
    for name, value in vars(cell).items():
        if name not in vars(Cell) and before.get(name, before) is not value:
            raise ValueError(
                f"{cell.title}: a step must not change the cell, got a new {name!r}; what changes from "
                "step to step is a state"
            )


def _try_step(cell: Cell, hidden_size: int, constants: Mapping[str, Tensor], below: Iterable[str]) -> None:
    shape = (SEQUENCES, hidden_size)

    device = next((v.device for v in constants.values()), torch.device("cpu"))

    def some(*shape: int) -> Tensor:
        return torch.full(shape, 0.5, device=device)

    # another width than H, and more than 1, so that what is projected is seen to be mixed with what is not
    shapes = {cell.projected: (SEQUENCES, hidden_size + 1)}
    a = Values(**{f"below_{name}": some(*shape) for name in below})
    state = cell.State(*(some(*shapes.get(name, shape)) for name in cell.State._fields))
    p = Values(**{name: some(hidden_size) for name in cell.learned}, **{n: v.clone() for n, v in constants.items()})
    given = {
        f"{kind}.{n}": v
        for kind, group in (("a", vars(a)), ("s", state._asdict()), ("p", vars(p)))
        for n, v in group.items()
    }
    before = {n: v.clone() for n, v in given.items()}

    def check_unchanged(what: str) -> None:
        for name, value in given.items():
            if value._version > 0 or (not value.is_meta and not mode() and not value.equal(before.get(name, value))):
                raise ValueError(f"{cell.title}: {what} must not change its arguments in place, got another {name}")

    for k, ready in enumerate(cell.ready_after):
        if k > 0 and (feed := cell.sources[k - 1].feed) is not None:
            name = cell.sources[k - 1].name
            try:
                fed = feed(a, state, p)
            except Exception as error:
                raise _failed(cell, f"the feed {name!r}", error) from error
            check_unchanged(f"the feed {name!r}")
            _check_result(cell, f"the feed {name!r}", fed, shape)
        for name in ready:
            setattr(a, name, some(*shapes.get(name, shape)))
            given[f"a.{name}"] = getattr(a, name)
    try:
        new = cell.step(a, state, p)
    except Exception as error:
        raise _failed(cell, "step", error) from error
    check_unchanged("step")
    if not isinstance(new, cell.State):
        got = type(new).__name__ if not isinstance(new, tuple) else f"{type(new).__name__} of {len(new)}"
        raise ValueError(
            f"{cell.title}: step must return a {cell.State.__name__} of {', '.join(cell.State._fields)}, got a {got}"
        )
    for name, value in zip(cell.State._fields, new, strict=True):
        _check_result(cell, f"the new state's {name!r}", value, shapes.get(name, shape))


def _check_result(cell: Cell, what: str, value: object, shape: tuple[int, int]) -> None:
    """Raise ValueError unless the result of a feed or a step is a tensor that can be broadcast to a shape [B, H]."""
    rule = f"{cell.title}: {what} must be a floating-point tensor [B, {shape[1]}]"
    if not isinstance(value, Tensor):
        raise ValueError(f"{rule}, got {value!r}")
    fits = value.dim() <= 2 and all(n in (1, m) for n, m in zip(reversed(value.shape), reversed(shape), strict=False))
    if not fits or not value.is_floating_point():
        got = ["B" if k == 0 and len(value.shape) == 2 and n == SEQUENCES else n for k, n in enumerate(value.shape)]
        raise ValueError(f"{rule}, got {_type(value)} [{', '.join(map(str, got))}]")
    if value.dtype is not torch.get_default_dtype():
        raise ValueError(f"{rule} of the type of its arguments, got {_type(value)} for {_type(torch.empty(0))}")
    if value.requires_grad:
        raise ValueError(
            f"{rule} computed from what the cell declares, but it depends on a parameter that the cell does not "
            "declare; name what is learned in `vectors`"
        )


def _type(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
