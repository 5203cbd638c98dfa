"""The text of `python -m runs --help` and `python -m runs.sweep --help`, read from the docstrings in source files."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .early import COMMANDS, PARTS, choices, groups, keys, schema
from .source import keys_in_source
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
  --cfg job            print all values that the other arguments make, and exit
  -m, --multirun       run every combination of values that are given with commas, or give them to a launcher
                       (hydra/launcher=...)
  --config-dir FOLDER  also take presets from this folder: FOLDER/study/mine.yaml is study=mine
  --help               this text"""
KNOBS = {
    "trial": "The knobs of a variant, a task and an initialisation are keys as well, such as variant.keep_bias=0 and\n"
    "task.lag=50: `python -m variants vanilla` and `python -m tasks adding` explain them.",
    "sweep": "The knobs of a task are keys as well, such as tasks.adding.lag=50: `python -m tasks adding` explains\n"
    "them.",
}


def manual(command: str) -> str:
    """Return the text of `--help`.

    command: trial or sweep.
    """
    columns = width()
    own = keys_in_source(*schema(command))
    parts = [key for key in PARTS if key in keys(command)]
    without = {*parts, *groups(command)} - {"space"}  # those have keys or choices of their own
    described = explained(own.docstring, own.fields)
    rows = [([name], text) for name, text in described.items() if name not in without]
    for part in parts:
        inner = keys_in_source(*PARTS[part])
        texts = explained(inner.docstring, inner.fields)
        rows += [([f"{part}.{name}"], texts.get(name, "")) for name in inner.fields]
    lists = [([group], ", ".join(choices(group))) for group in groups(command)]
    sections = [
        own.docstring.partition("\n")[0],
        "\n".join(f"  {line}" for line in EXAMPLES[command]),
        "Groups and their choices (group=choice); see also `python -m variants` and `python -m tasks`:",
        table(lists, columns),
        f"Keys of `{COMMANDS[command]}` (key=value):",
        table(rows, columns),
        KNOBS[command],
        "Options:",
        OPTIONS,
    ]
    return "\n\n".join(sections)


def explained(docstring: str, names: Sequence[str]) -> dict[str, str]:
    """Return what the docstring of a class says of its fields, as `name: text` or `name, name: text`.

    docstring: of the class.
    names: of its fields.

    >>> explained("A point. x, y: where it lies. name: what it is called;\\nmay be empty.", ["x", "y", "name"])
    {'x': 'where it lies.', 'y': 'where it lies.', 'name': 'what it is called; may be empty.'}
    """
    either = "|".join(map(re.escape, names))
    found = list(re.finditer(rf"(?:^|(?<=\. ))((?:{either})(?:, (?:{either}))*): ", docstring, re.MULTILINE))
    texts: dict[str, str] = {}
    for k, match in enumerate(found):
        end = found[k + 1].start() if k + 1 < len(found) else len(docstring)
        described = " ".join(docstring[match.end() : end].partition("\n\n")[0].split())
        texts |= dict.fromkeys(match[1].split(", "), described)
    return {name: texts[name] for name in names if name in texts}
