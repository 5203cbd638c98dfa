"""What there is, read from the declarations and docstrings: a list of all variants, and a card for each one."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from typing import Any, get_origin

from .cell import Cell, knobs_of
from .engine import fused
from .engine.ir.show import LEGEND, show
from .formula.cell import Formula
from .formula.writing import keeper
from .formula.writing import write as written
from .layers.control import Control
from .layers.recurrent import Recurrent, count_parameters


def entries() -> dict[str, type[Cell]]:
    """Return the variants of this package by name, each followed by those that derive from it; the controls last."""
    own = [
        cls
        for cls in _descendants(Cell)
        if Cell.registry.get(cls.name) is cls and cls.__module__.startswith(f"{__package__}.")
    ]
    return {cls.name: cls for cls in sorted(own, key=lambda cls: cls.control)}


def summary(cls: type[Cell]) -> str:
    """Return what a variant is, in one line: the first paragraph of its docstring."""
    return " ".join(_text(cls).partition("\n\n")[0].split())


def equations(cls: type[Cell]) -> list[str]:
    """Return the indented block of a docstring that holds the formula."""
    block = re.search(r"(?:^ {4}.*\n?)+", _text(cls), re.MULTILINE)
    return [line[4:] for line in block.group().rstrip().splitlines()] if block else []


def formula(cls: type[Cell]) -> str:
    """Return how many trainable values a layer has, in letters."""
    found = re.search(r"Parameters:\s(.*?)\.(?:\s|$)", _text(cls), re.DOTALL)
    return " ".join(found.group(1).split()) if found else ""


def relation(cls: type[Cell]) -> str:
    """Return how a variant differs from its relative, empty for one that is defined in full."""
    found = re.search(r"Differs from .*?\.(?=\s|$)", _text(cls), re.DOTALL)
    return " ".join(found.group().split()) if found else ""


def shapes(cls: type[Cell]) -> str:
    """Return where a docstring says what the letters stand for, its own or that of the class it derives from."""
    return _inherited(cls, r"^`\w+`[^\n]* \[B, H\].*?(?<!\.)\.(?=\s|$)")


def explanation(cls: type[Cell], knob: str) -> str:
    """Return what a docstring says of a knob, its own or that of the class it derives from."""
    return _inherited(cls, rf"(?<=^{knob}: ).*?(?=\n\n|\n\w[\w, ]*: |\Z)")


def overview(input_size: int, hidden_size: int) -> list[tuple[list[str], str]]:
    """Return all variants, one a row: name, parameters of the fewest layers it can have; what it is, source."""
    rows = [(["variant", "parameters"], f"what it is [source]; parameters at I={input_size}, H={hidden_size}")]
    for name, cls in entries().items():
        rows.append(([name, _count(cls(), input_size, hidden_size)], f"{summary(cls)} [{cls.source}]"))
    return rows


def card(cls: type[Cell], input_size: int, hidden_size: int, knobs: Mapping[str, Any] | None = None) -> str:
    """Return one variant in full: equations, shapes, parameters by block, knobs, relation, source.

    cls: the variant.
    input_size: number of inputs of the parameter counts.
    hidden_size: number of hidden units of the parameter counts.
    knobs: by default its own.

    Raises ValueError for a knob that it does not take, and for a class of your own with a knob without a default.
    """
    name, cell = title(cls), made(cls, knobs or {})
    if isinstance(cell, Formula) and "equations" in (knobs or {}):
        return _formula_card(cell, input_size, hidden_size)
    lines = [f"{name}: {summary(cls)}", "", *(f"    {line}" for line in equations(cls)), ""]
    lines += [shapes(cls)] if shapes(cls) else []
    lines += [_state(cell, hidden_size), ""]
    try:
        cell.validate(hidden_size, cell.min_layers)
    except ValueError as error:
        lines.append(f"Parameters: {formula(cls)} ({error})")
    else:
        layers = f", {cell.min_layers} layers" if cell.min_layers > 1 else ""
        letters = "" if knobs else formula(cls)  # of the default knobs
        count = " = ".join(filter(None, (letters, _count(cell, input_size, hidden_size))))
        lines.append(f"Parameters: {count} (I={input_size}, H={hidden_size}{layers})")
        lines += _blocks(cell, input_size, hidden_size)
        lines += _kept(cell, input_size, hidden_size)
    if isinstance(cell, Control) and cell.why_eager:
        lines.append(f"It runs on the eager engine: {cell.why_eager}.")
    lines.append("")
    for knob, value in knobs_of(cls).items():
        chosen = (knobs or {}).get(knob, value.default)
        lines.append(f"Knob {knob} = {chosen!r}: {explanation(cls, knob)}")
    lines += [relation(cls)] if relation(cls) else []
    lines.append(f"Source: {cls.source}")
    return "\n".join(lines)


def _formula_card(cell: Formula, input_size: int, hidden_size: int) -> str:
    """Return a cell from its equations in full: these in normal form, its state, parameters, what keeps, its engine."""
    kept = cell.program.kept
    keeps = f"What keeps: {keeper(kept)}" + (f"; what writes: {kept.writes[0]}." if kept.writes else ".")
    idle = "" if kept.keeps else " The knob keep_bias has no effect, as no gate keeps."
    reason = fused.why_not(cell)
    engine = f"It runs on the eager engine: {reason}." if reason else "Its kernels are fused."
    count = _count(cell, input_size, hidden_size)
    return "\n".join(
        [
            "formula: a cell from its equations.",
            "",
            *(f"    {line}" for line in written(cell.program).splitlines()),
            "",
            f"{_state(cell, hidden_size)}; the output is {cell.program.fields[0]}",
            "",
            f"Parameters: {count} (I={input_size}, H={hidden_size})",
            *_blocks(cell, input_size, hidden_size),
            *_kept(cell, input_size, hidden_size),
            "",
            keeps + idle,
            engine,
        ]
    )


def _state(cell: Cell, hidden_size: int) -> str:
    return f"State: {', '.join(f'{field} [B, {cell.size_of(field, hidden_size)}]' for field in cell.State._fields)}"


def kernel(cls: type[Cell], knobs: Mapping[str, Any] | None = None, columns: int | None = None) -> str:
    """Return the fused kernel of a variant in readable form: its time step, what it saves, and its backward pass.

    cls: the variant.
    knobs: by default its own.
    columns: length of the longest line of a formula, which is broken at an operation; by default any length.

    Returns the text, of each kind of layer where they differ; the reason for a variant that has no kernel.
    Raises ValueError for a class of your own that has a knob without a default.
    """
    name, cell = title(cls), made(cls, knobs or {})
    if isinstance(cell, Control):
        return f"{name}: runs {cell.runs}, {cell.is_a} that is not derived here."
    reason = fused.why_not(cell)
    if reason:
        return f"{name}: has no fused kernel, the eager engine runs its step: {reason}."
    lowest, above = cell.for_layer(0), cell.for_layer(1)
    layers = [("the lowest layer", lowest), ("a layer above it", above)]
    if lowest is above and not above.above:
        layers = [("every layer", lowest)]
    paragraphs = [LEGEND]
    for k, (which, here) in enumerate(layers):
        derivation = fused.derivation(here, lowest=k == 0)
        first, *_ = derivation.fields
        step = derivation.backward([f for f in derivation.fields if f == first or f in here.above], [])
        bias = [gate.name for gate in here.preactivations if gate.bias]
        paragraphs.append(f"{name}, {which}\n\n{show(derivation, step, bias, columns)}")
    return "\n\n\n".join(paragraphs)


def title(cls: type[Cell]) -> str:
    """Return the registered name of a class, else its own name; a subclass does not inherit a registered name."""
    return str(vars(cls).get("name") or cls.__name__)


def given_knobs(cls: type[Cell], words: Sequence[str]) -> dict[str, Any]:
    """Return knobs that are written as words, with the types that the constructor declares.

    cls: the variant.
    words: such as `keep_bias=0`, `variant.keep_bias=0` or `peepholes=[i,f]`.

    Raises ValueError for a knob that it does not have, and for a value that the knob does not take.
    """
    there = knobs_of(cls)
    found: dict[str, Any] = {}
    for word in words:
        key, equals, value = word.partition("=")
        knob = key.removeprefix("variant.")
        if not equals:
            raise ValueError(f"knobs must be written as knob=value, got {word!r}")
        if knob not in there:
            raise ValueError(f"{title(cls)}: unknown knob {knob!r}; its knobs are: {', '.join(there) or 'none'}")
        try:
            found[knob] = _typed(there[knob].annotation, value)
        except (ValueError, KeyError):
            kinds = {int: "a whole number", float: "a number", bool: "true or false"}
            rule = kinds.get(there[knob].annotation, "a list, as in [i,f]")
            raise ValueError(f"{title(cls)}: {knob} must be {rule}, got {value!r}") from None
    return found


def _typed(kind: Any, value: str) -> Any:
    """Return a word as a value of a type; a list in brackets becomes a tuple."""
    if get_origin(kind) is tuple:
        if not (value.startswith("[") and value.endswith("]")):
            raise ValueError
        (inner, *_) = kind.__args__
        return tuple(inner(part.strip()) for part in value[1:-1].split(",") if part.strip())
    if kind is bool:
        return {"true": True, "false": False}[value.lower()]
    return kind(value) if kind in (int, float) else value


def made(cls: type[Cell], knobs: Mapping[str, Any]) -> Cell:
    """Return the variant with some knobs, by default its own. Raises ValueError where another knob has no default."""
    try:
        return cls(**knobs)
    except TypeError as error:
        raise ValueError(f"{title(cls)}: every knob must have a default: {error}") from None


def _blocks(cell: Cell, input_size: int, hidden_size: int) -> list[str]:
    """Return one line for every piece of the parameters: name, shape, number of values."""
    lines = [f"    {'P':<8} [{hidden_size}, {input_size}] {hidden_size * input_size}"] if cell.projects_input else []
    lowest = cell.for_layer(0)
    for here, title in ((lowest, "lowest layer"), (cell, "a layer above it")) if lowest is not cell else ((cell, ""),):
        lines += [f"  {title}"] if title else []
        width = hidden_size if here is not lowest or cell.projects_input else input_size
        shapes = here.block_shapes(width, hidden_size)
        for name, size in here.block_sizes(width, hidden_size).items():
            lines.append(f"    {name:<8} {list(shapes.get(name, (hidden_size,)))} {size}")
        lines += [f"    {name:<8} [{hidden_size}, {hidden_size // here.heads}] fixed" for name in here.fixed]
    return lines


def _kept(cell: Cell, input_size: int, hidden_size: int) -> list[str]:
    """Return the line that says what a variant keeps at the start; none where no gate decides it."""
    module = cell.recurrent if isinstance(cell, Control) else Recurrent
    kept = module(cell, input_size, hidden_size, layers=cell.min_layers).kept  # type: ignore[arg-type]
    if kept is None:
        return []
    share = "its whole state" if cell.never_forgets else f"{kept:.2f}".removeprefix("0") + " of its state"
    return ["", f"It keeps {share} per step at the start of training."]


def _inherited(cls: type[Cell], pattern: str) -> str:
    """Return what matches in the docstring of a class, or else of the nearest class it derives from."""
    for base in cls.__mro__:
        found = re.search(pattern, _text(base), re.DOTALL | re.MULTILINE)
        if found:
            return " ".join(found.group().split())
    return ""


def _descendants(cls: type[Cell]) -> list[type[Cell]]:
    return [found for child in cls.__subclasses__() for found in (child, *_descendants(child))]


def _text(cls: type) -> str:
    return inspect.cleandoc(vars(cls).get("__doc__") or "")


def _count(cell: Cell, input_size: int, hidden_size: int) -> str:
    try:
        cell.validate(hidden_size, cell.min_layers)
    except ValueError:
        return "-"
    return str(count_parameters(cell, input_size, hidden_size, layers=cell.min_layers))
