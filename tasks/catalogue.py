"""The catalogue of tasks, read from their declarations and docstrings: a list of all, and a card for each one."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Any

from .task import DataTask, Task


def entries() -> dict[str, type[Task]]:
    """Return the tasks of this package by name, synthetic ones first."""
    own = {name: cls for name, cls in Task.registry.items() if cls.__module__.startswith(f"{__package__}.")}
    return dict(sorted(own.items(), key=lambda item: (issubclass(item[1], DataTask), item[0])))


def summary(cls: type[Task]) -> str:
    """Return what must be remembered, in one sentence: the first paragraph of the docstring."""
    return " ".join(_text(cls).partition("\n\n")[0].split())


def drawing(cls: type[Task]) -> list[str]:
    """Return the example that the docstring draws, inputs above targets."""
    block = re.search(r"(?:^ {4}.*\n?)+", _text(cls), re.MULTILINE)
    return block.group().rstrip().splitlines() if block else []


def criterion(cls: type[Task]) -> str:
    """Return the sentence of the docstring that says when the task is solved."""
    found = re.search(r"Solved.*?\.(?=\s|$)", _text(cls), re.DOTALL)
    return " ".join(found.group().split()) if found else ""


def explanation(cls: type[Task], knob: str) -> str:
    """Return what the docstring says of a knob."""
    found = re.search(rf"^{knob}: (.*?)(?=\n\n|\n\w[\w, ]*: |\Z)", _text(cls), re.MULTILINE | re.DOTALL)
    return " ".join(found.group(1).split()) if found else ""


def knobs(cls: type[Task]) -> dict[str, object]:
    """Return the keyword arguments of the constructor with their defaults, a word for one without."""
    parameters = inspect.signature(cls).parameters.values()
    return {p.name: "(must be given)" if p.default is p.empty else p.default for p in parameters}


def overview() -> list[tuple[list[str], str]]:
    """Return all tasks, one a row: name, floor with default knobs; what must be remembered, knobs with defaults."""
    rows = [(["task", "floor"], "what must be remembered; knobs")]
    for name, cls in entries().items():
        given = " ".join(f"{knob}={value}" for knob, value in knobs(cls).items())
        rows.append(([name, floor(cls)], f"{summary(cls).removesuffix('.')}; {given}"))
    return rows


def floor(cls: type[Task]) -> str:
    """Return the floor at the default knobs; that of a task with data is not known before the data are read."""
    return "of the data" if issubclass(cls, DataTask) else f"{cls().floor:.4g}"


def card(cls: type[Task], given: Mapping[str, Any] | None = None, *, data: bool = False) -> str:
    """Return one task in full: example, sizes, floor, when it is solved, knobs, source.

    cls: the class of the task.
    given: knobs that are not the defaults. Of a task with data the card then shows what was understood of these data,
        and where the knobs are explained.
    data: whether a task with data may read them for its card where no knobs are given. Without it the card is the same
        on every machine.

    Raises ValueError for a class of your own that has a knob without a default, and for knobs that cannot be.
    """
    name = vars(cls).get("name") or cls.__name__  # a name is not handed down to a class of your own
    if issubclass(cls, DataTask) and given:
        explained = f"`python -m tasks {name}` explains the knobs by which the data are understood in another way."
        return "\n\n".join([f"{name}: {summary(cls)}", "\n".join(_of_data(cls(**given))), explained])
    about_knobs = [
        f"Knob {knob} = {value!r}: {explanation(cls, knob)}".removesuffix(": ")
        for knob, value in {**knobs(cls), **(given or {})}.items()
    ]
    sizes = _facts(cls, data) if issubclass(cls, DataTask) else _sizes(cls, name, given or {})
    parts = [
        [f"{name}: {summary(cls)}"],
        drawing(cls),
        [*sizes, criterion(cls)],
        [*about_knobs, f"Source: {cls.source}"],
    ]
    return "\n\n".join("\n".join(filter(None, part)) for part in parts if part)


def _sizes(cls: type[Task], name: str, given: Mapping[str, Any]) -> list[str]:
    """Return the lines on the sizes and the floor of a task with some knobs."""
    try:
        task = cls(**given)
    except TypeError as error:
        raise ValueError(f"{name}: every knob must have a default: {error}") from None
    return [_line_of_sizes(task, f"{task.floor:.4g}")]


def _line_of_sizes(task: Task, floor: str) -> str:
    return f"Inputs: {task.input_size} a step. Answers: {task.output_size} outputs. Loss without memory: {floor}."


def _facts(cls: type[DataTask], data: bool) -> list[str]:
    """Return the lines on the data of a task with its default knobs, or where they would come from."""
    if not data:
        return []
    try:
        return _of_data(cls())
    except (ValueError, TypeError) as error:
        return [f"Not here: {error}."]


def _of_data(task: DataTask) -> list[str]:
    """Return the lines on the data that a task has read."""
    return [*task.understood(), _line_of_sizes(task, f"{task.floor * task.unit_scale:.4g} {task.unit}".rstrip())]


def _text(cls: type) -> str:
    return inspect.cleandoc(vars(cls).get("__doc__") or "")
