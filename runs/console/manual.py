"""The text of `python -m runs --help` and `python -m runs.sweep --help`, read from docstrings and defaults."""

from __future__ import annotations

import inspect
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from typing import Any

from .early import COMMANDS, choices, groups
from .text import table, width

EXAMPLES = {
    "trial": [
        "python -m runs variant=peephole task=adding task.lag=100 training.learning_rate=3e-3",
        "python -m runs -m variant=vanilla,gru seed=1,2      # four trials, one after the other",
        "python -m runs variant._target_=my_package.MyCell   # a class of your own; also task._target_",
    ],
    "sweep": [
        "python -m runs.sweep study=quick workers=2",
        "python -m runs.sweep study=quick action=status",
        "python -m runs.sweep name=mine 'variants=[vanilla,gru,my_package.MyCell]' +tasks.copying={} points=30",
    ],
}
OPTIONS = """\
  --cfg job            print the configuration and exit
  -m, --multirun       run every combination of values that are given with commas, or give them to a launcher
                       (hydra/launcher=...)
  --config-dir FOLDER  also take presets from this folder: FOLDER/study/mine.yaml is study=mine
  --help               this text; the values above include the arguments that are given"""


def manual(
    command: str, schema: type[Any], parts: Mapping[str, type[Any]], registered: Mapping[str, Collection[str]]
) -> str:
    """Return the text of `--help`, with `$CONFIG` where Hydra puts the values of the configuration.

    command: trial or sweep.
    schema: the class of its configuration.
    parts: the keys that have keys themselves, and the classes of these.
    registered: the choices of each group that are classes.
    """
    columns = width()
    described = explained(schema, [f.name for f in fields(schema)])
    without = {*parts, *groups(command)} - {"space"}  # those have keys or choices of their own
    keys = [([name], text) for name, text in described.items() if name not in without]
    for part, cls in parts.items():
        names = [f.name for f in fields(cls)]
        texts = explained(cls, names)
        keys += [([f"{part}.{name}"], texts.get(name, "")) for name in names]
    lists = [([group], ", ".join(choices(group, registered))) for group in groups(command)]
    sections = [
        (schema.__doc__ or "").partition("\n")[0],
        "\n".join(f"  {line}" for line in EXAMPLES[command]),
        "Groups and their choices (group=choice); see also `python -m variants` and `python -m tasks`:",
        table(lists, columns),
        f"Keys of `{COMMANDS[command]}` (key=value):",
        table(keys, columns),
        "The knobs of a variant, a task and an initialisation are keys as well. All values, with the arguments given:",
        "$CONFIG",
        "Options:",
        OPTIONS,
    ]
    return "\n\n".join(sections)


def explained(cls: type[Any], names: Sequence[str]) -> dict[str, str]:
    """Return what the docstring of a class says of its fields, as `name: text` or `name, name: text`.

    cls: the class.
    names: of its fields.

    >>> class Point:
    ...     '''A point. x, y: where it lies. name: what it is called;
    ...     may be empty.
    ...     '''
    >>> explained(Point, ["x", "y", "name"])
    {'x': 'where it lies.', 'y': 'where it lies.', 'name': 'what it is called; may be empty.'}
    """
    text = inspect.cleandoc(cls.__doc__ or "")
    either = "|".join(map(re.escape, names))
    found = list(re.finditer(rf"(?:^|(?<=\. ))((?:{either})(?:, (?:{either}))*): ", text, re.MULTILINE))
    texts: dict[str, str] = {}
    for k, match in enumerate(found):
        end = found[k + 1].start() if k + 1 < len(found) else len(text)
        described = " ".join(text[match.end() : end].partition("\n\n")[0].split())
        texts |= dict.fromkeys(match[1].split(", "), described)
    return {name: texts[name] for name in names if name in texts}
