"""A mistyped name on the command line of `runs` or `runs.sweep`, found before torch is imported, which takes two seconds."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from console.names import ROOT, ROOTS, unknown, written

CONF = ROOT / "conf"
COMMANDS = {"trial": "python -m runs", "sweep": "python -m runs.sweep"}
INSTEAD = {
    "variant": "the variants of a study are variants=[vanilla,gru]",
    "task": "the tasks of a study are its tasks: tasks.adding.lag=60, +tasks.copying={}, ~tasks.adding",
    "data_seed": "seed is that of the whole study",
}


def refuse_mistyped(command: str) -> None:
    """End with exit code 2 and one line where this process's command line names what is not there.

    command: trial or sweep, the configuration that it composes. Called at the top of a command, before it imports torch.
    """
    found = mistake(command, sys.argv[1:])
    if found:
        print(f"error: {found}", file=sys.stderr)
        raise SystemExit(2)


def mistake(command: str, arguments: Sequence[str], registered: Mapping[str, Collection[str]] | None = None) -> str:
    """One line on the first argument that names a choice or a key that is not there.

    It is empty where there is none, and where that is not sure: presets or classes may come from elsewhere. What is not a plain
    `key=name` is left to Hydra.

    registered: the choices of each group that are classes; by default they are read from the source.
    """
    if elsewhere(arguments) or (registered is None and not {"variants.cell", "tasks.task"}.isdisjoint(sys.modules)):
        return ""
    for argument in arguments:
        found = re.fullmatch(r"([A-Za-z_]\w*)((?:\.[^=]*)?)=(.*)", argument, re.DOTALL)
        if not found:
            continue
        key, rest, value = found.groups()
        if key not in keys(command):
            return unknown_key(command, key, argument)
        names = [value] if key in groups(command) and not rest else []
        if key == "variants" and not rest:
            listed = re.fullmatch(r"\[([\w\s,.]*)\]", value)
            names = [name.strip() for name in listed[1].split(",")] if listed else []
        group = key.removesuffix("s") if key == "variants" else key
        for name in names:
            there = choices(group, registered)
            if there and re.fullmatch(r"\w+", name) and name != "null" and name not in there:
                return unknown(group, name, there)
    return ""


def elsewhere(arguments: Sequence[str]) -> bool:
    """Whether presets may also come from other folders than `conf`."""
    flags = ("--config", "-cd", "-cp", "-cn")
    return any(a.startswith(flags) or "hydra.searchpath" in a for a in arguments) or _plugin()


def unknown_key(command: str, key: str, argument: str) -> str:
    """The line for a first part of a key that a command does not have; it may be one of the other command's."""
    for other, called in COMMANDS.items():
        if other != command and key in keys(other):
            return f"{argument}: `{COMMANDS[command]}` has no {key}; {INSTEAD.get(key, f'it is a key of `{called}`')}"
    return unknown("key", key, sorted(keys(command) - {"hydra"}), "the keys are")


@cache
def keys(command: str) -> frozenset[str]:
    """What may stand first in a key: the fields of the command's configuration and its groups."""
    tree = ast.parse((ROOT / "runs/config.py").read_text(encoding="utf-8"))
    (schema,) = (n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == f"{command.capitalize()}Config")
    fields = {n.target.id for n in schema.body if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)}
    return frozenset({*fields, *groups(command), "hydra"})


@cache
def groups(command: str) -> tuple[str, ...]:
    """The groups of a command, of which one choice each makes its configuration."""
    return tuple(re.findall(r"^  - (\w+): ", (CONF / f"{command}.yaml").read_text(encoding="utf-8"), re.MULTILINE))


def choices(group: str, registered: Mapping[str, Collection[str]] | None = None) -> list[str]:
    """The choices of a group: presets and names of classes. Empty where not all are known."""
    there = {path.stem for path in (CONF / group).glob("*.yaml")}
    if registered is not None:
        there |= set(registered.get(group, ()))
    elif group in ROOTS:
        names = written(group)
        if names is None:
            return []
        there |= names
    return sorted(there | ({group} if group in ("model", "training") else set()))


@cache
def _plugin() -> bool:
    """Whether a plugin is installed that may add folders of presets."""
    spec = find_spec("hydra_plugins")
    places = spec.submodule_search_locations if spec is not None else None
    files = (path for place in places or () for path in Path(place).rglob("*.py"))
    return any("SearchPathPlugin" in path.read_text(encoding="utf-8", errors="ignore") for path in files)
