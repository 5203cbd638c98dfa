"""The text of `--help` of `runs`, `runs.sweep` and `runs.discover`, read from the docstrings in source files."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .early import PARTS, choices, defaults, groups, keys, remarks, schema
from .page import HELP, Rows, help_page
from .source import Keys, keys_in_source

EXAMPLES = {
    "trial": [
        "python -m runs variant=peephole task=adding training.learning_rate=3e-3",
        "python -m runs -m variant=vanilla,gru seed=1,2  # four trials, one by one",
        "python -m runs variant._target_=my_package.MyCell  # also task._target_",
    ],
    "sweep": [
        "python -m runs.sweep study=quick workers=2",
        "python -m runs.sweep study=quick action=status",
        "python -m runs.sweep name=mine 'variants=[vanilla,gru]' points=30",
    ],
    "discover": [
        "python -m runs.discover discovery=quick name=mine workers=2",
        "python -m runs.discover discovery=quick name=mine action=status",
        "python -m runs.discover discovery=quick name=mine action=verdict",
    ],
}
OPTIONS = [
    ("--cfg job", "print all values that the other arguments make, and nothing else."),
    (
        "-m, --multirun",
        "run every combination of values that are given with commas, or give them to a launcher (hydra/launcher=...).",
    ),
    (
        "--config-dir FOLDER",
        "also take presets from this folder: FOLDER/study/mine.yaml is study=mine.",
    ),
    HELP,
]
KNOBS = {
    "trial": "The knobs of a variant, a task and an initialisation are keys as well, such as variant.keep_bias=0 and "
    "task.lag=50: `python -m variants vanilla` and `python -m tasks adding` explain them.",
    "sweep": "The knobs of a task are keys as well, such as tasks.adding.lag=50: `python -m tasks adding` explains "
    "them. A preset (study=..., training=...) replaces defaults; `--cfg job` shows what counts.",
    "discover": "The knobs of a task are keys as well, such as tasks.adding.lag=50: `python -m tasks adding` explains "
    "them. A preset (discovery=..., training=...) replaces defaults; `--cfg job` shows what counts.",
}
CODES_OF = {
    "trial": "Exit codes: 0 when the trial is recorded; 1 when it failed; 2 for a mistake in the command, which is one "
    "line; 130 when interrupted, where nothing is recorded.",
    "sweep": "Exit codes: 0 when every trial is done and none failed, or the workers were asked to stop; 1 when some "
    "are missing or failed; 2 for a mistake in the command, which is one line; 130 when interrupted.",
    "discover": "Exit codes: 0 when every candidate was tried, or the workers were asked to stop; 1 when some were not "
    "or the search cannot go on; 2 for a mistake in the command, which is one line; 130 when interrupted.",
}


def manual(command: str) -> str:
    """Return the text of `--help`.

    command: trial, sweep or discover.
    """
    own = keys_in_source(*schema(command))
    parts = [key for key in PARTS if key in keys(command)]
    without = {*parts, *groups(command)} - {"space"}  # those have keys or choices of their own
    rows = [(name, text) for name, text in described(own).items() if name not in without]
    for part in parts:
        inner = described(keys_in_source(*PARTS[part]))
        rows += [(f"{part}.{name}", text) for name, text in inner.items()]
    usual = defaults(command)
    about = {group: remark.partition(":")[0] for group, remark in remarks(command).items()}
    there = {group: choices(group) for group in groups(command)}
    lists = [
        (group, f"{about[group]}: {', '.join(names)}. Default: {usual[group]}.")
        for group, names in there.items()
        if len(names) > 1
    ]
    sections: dict[str, Rows | str] = {
        "Groups and their choices (group=choice)": lists,
        "Keys (key=value)": rows,
        "knobs": KNOBS[command],
        "Options": OPTIONS,
    }
    return help_page(own.docstring.partition("\n")[0], sections, EXAMPLES[command], CODES_OF[command])


def described(keys: Keys) -> dict[str, str]:
    """Return what a class says of each of its fields, and the default where that is a plain value.

    keys: the class as its source declares it.
    """
    texts = explained(keys.docstring, keys.fields)
    usual = {name: f" Default: {value}." for name, value in keys.defaults.items()}
    return {name: texts.get(name, "") + usual.get(name, "") for name in keys.fields}


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
