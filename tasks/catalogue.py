"""The catalogue of tasks, read from their declarations and docstrings: a list of all, and a card for each one."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping
from typing import Any

from .task import DataTask, Task

MOST_LETTERS = 40
"""Of knobs in the list of all tasks; a card shows every knob."""


def entries() -> dict[str, type[Task]]:
    """Return the tasks of this package by name."""
    return {name: cls for name, cls in Task.registry.items() if cls.__module__.startswith(f"{__package__}.")}


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
    """Return all tasks, one a row: name, knobs with defaults, floor at these defaults; what must be remembered."""
    rows = [(["task", "knobs", "floor"], "what must be remembered")]
    for name, cls in entries().items():
        rows.append(([name, _few(f"{knob}={value}" for knob, value in knobs(cls).items()), _floor(cls)], summary(cls)))
    return rows


def _few(words: Iterable[str]) -> str:
    """Return words beside each other, and of many the first ones."""
    whole = " ".join(words)
    return whole if len(whole) <= MOST_LETTERS else f"{whole[:MOST_LETTERS].rpartition(' ')[0]} ..."


def _floor(cls: type[Task]) -> str:
    """Return the floor at the default knobs; a dash where data are not there."""
    try:
        return f"{cls().floor:.4g}"
    except ValueError:
        return "-"


def card(cls: type[Task], given: Mapping[str, Any] | None = None) -> str:
    """Return one task in full: example, sizes, floor, when it is solved, knobs, source.

    cls: the class of the task.
    given: knobs that are not the defaults. A task with data then shows what was understood of these data.

    Raises ValueError for a class of your own that has a knob without a default, and for knobs that cannot be.
    """
    name = vars(cls).get("name") or cls.__name__  # a name is not handed down to a class of your own
    try:
        task = cls(**given or {})
    except TypeError as error:
        raise ValueError(f"{name}: every knob must have a default: {error}") from None
    except ValueError as error:
        if given or not issubclass(cls, DataTask):
            raise
        task, sizes = None, [f"Not here: {error}."]
    if task is not None:
        sizes = [f"Inputs: {task.input_size} a step.", f"Answers: {task.output_size} outputs."]
        sizes = [" ".join([*sizes, f"Loss without memory: {task.floor:.4g}."])]
    if given and isinstance(task, DataTask):
        wrong = f"`python -m tasks {name}` explains the knobs by which it is understood in another way."
        return "\n\n".join([f"{name}: {summary(cls)}", "\n".join([*task.understood(), *sizes]), wrong])
    explained = [
        f"Knob {knob} = {value!r}: {explanation(cls, knob)}".removesuffix(": ")
        for knob, value in {**knobs(cls), **(given or {})}.items()
    ]
    parts = [[f"{name}: {summary(cls)}"], drawing(cls), [*sizes, criterion(cls)], [*explained, f"Source: {cls.source}"]]
    return "\n\n".join("\n".join(filter(None, part)) for part in parts if part)


def _text(cls: type) -> str:
    return inspect.cleandoc(vars(cls).get("__doc__") or "")
