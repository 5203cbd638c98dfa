"""`python -m tasks` lists what there is; `python -m tasks copying lag=30` shows one task, with its knobs if given."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, get_origin

from runs.console.catalogue import parser_of
from runs.console.known import found, unknown
from runs.console.text import complain, table, width, wrapped

from .catalogue import card, overview
from .task import Task


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the catalogue or a card; 2 for a name that is not registered, a class that is no task, or a wrong knob."""
    options = parser_of("task").parse_args(arguments)
    try:
        if options.name is None:
            print(table(overview(), width()))
        else:
            cls = found("task", options.name, Task, Task.registry)
            lines = card(cls, given_knobs(cls, options.knobs), data=True).splitlines()
            print("\n".join(wrapped(line, width(), "    ") for line in lines))
    except ValueError as error:
        complain(error)
        return 2
    return 0


def given_knobs(cls: type[Task], words: Sequence[str]) -> dict[str, Any]:
    """Return knobs that are written as words, with the types that the constructor declares.

    cls: the class of the task.
    words: such as `lag=30`, `task.lag=30` or `target=[a,b]`.

    Raises ValueError for a knob that the class does not have, and for a value that it does not take.
    """
    there = inspect.signature(cls, eval_str=True).parameters
    found: dict[str, Any] = {}
    for word in words:
        key, equals, value = word.partition("=")
        knob = key.removeprefix("task.")
        if not equals:
            raise ValueError(f"knobs must be written as knob=value, got {word!r}")
        if knob not in there:
            raise ValueError(f"{cls.name}: {unknown('knob', knob, list(there), 'its knobs are')}")
        try:
            found[knob] = _typed(there[knob].annotation, value)
        except (ValueError, KeyError):
            kinds = {int: "a whole number", float: "a number", bool: "true or false"}
            rule = kinds.get(there[knob].annotation, "a list of numbers, as in [0.6,0.2,0.2]")
            raise ValueError(f"{cls.name}: {knob} must be {rule}, got {value!r}") from None
    return found


def _typed(kind: Any, value: str) -> Any:
    """Return a word as a value of a type; a list in brackets becomes a tuple."""
    if value.startswith("[") and value.endswith("]"):
        parts = [part.strip() for part in value[1:-1].split(",") if part.strip()]
        return tuple(map(float, parts)) if get_origin(kind) is tuple else tuple(parts)
    if kind is bool:
        return {"true": True, "false": False}[value.lower()]
    if get_origin(kind) is tuple:
        raise ValueError
    return kind(value) if kind in (int, float) else value


if __name__ == "__main__":
    raise SystemExit(main())
