"""A mistyped name on the command line of `runs` or `runs.sweep`, found before torch is imported, which takes two
seconds.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from .known import ROOT, ROOTS, after, nearest, unknown, written

CONF = ROOT / "conf"
COMMANDS = {"trial": "python -m runs", "sweep": "python -m runs.sweep"}
FLAGS: tuple[str, ...] = (
    "help",
    "cfg",
    "resolve",
    "package",
    "multirun",
    "run",
    "info",
    "config-dir",
    "config-name",
    "config-path",
)
FLAGS += ("hydra-help", "version", "shell-completion", "experimental-rerun")
LAUNCHERS = ("hydra/launcher=", "hydra.launcher.", "hydra/sweeper=", "hydra.sweeper.")
INSTEAD = {
    "variant": "the variants of a study are variants=[vanilla,gru]",
    "task": "the tasks of a study are its tasks: tasks.adding.lag=60, +tasks.copying={}, ~tasks.adding",
    "data_seed": "seed is that of the whole study",
}


def refuse_mistyped(command: str) -> None:
    """End with exit code 2 and one line where this process's command line names what is not there.

    command: trial or sweep, the configuration that it composes. Called at the top of a command, before it imports
    torch.
    """
    found = mistake(command, sys.argv[1:])
    if found:
        print(f"error: {found}", file=sys.stderr)
        raise SystemExit(2)


def refuse_mistyped_after(option: str, kind: str) -> None:
    """End with exit code 2 and one line where a name behind an option, such as `--variants`, is none of a class."""
    names = written(kind)
    for name in after(option, sys.argv[1:]):
        if names is not None and name.isidentifier() and name not in names:
            print(f"error: {unknown(kind, name, sorted(names))}", file=sys.stderr)
            raise SystemExit(2)


def mistake(command: str, arguments: Sequence[str], registered: Mapping[str, Collection[str]] | None = None) -> str:
    """One line on the first argument that names a choice or a key that is not there.

    It is empty where there is none, and where that is not sure: presets or classes may come from elsewhere. What is not
    a plain `key=name` is left to Hydra.

    registered: the choices of each group that are classes; by default they are read from the source.
    """
    if elsewhere(arguments) or (registered is None and not {"variants.cell", "tasks.task"}.isdisjoint(sys.modules)):
        return ""
    several = any(a in ("-m", "--multirun") or a.startswith("hydra.mode") for a in arguments)
    for argument in arguments:
        if argument.startswith(LAUNCHERS) and not several:
            return f"{argument}: is read with -m only, which hands runs to a launcher"
        found = re.fullmatch(r"(--?|[+]{0,2}|~)([A-Za-z_]\w*)((?:[.-][^=]*)?)(=.*)?", argument, re.DOTALL)
        if not found:
            continue
        sign, key, rest, value = found.groups()
        there = key in keys(command)
        if sign in ("-", "--"):
            if there and (sign == "--" or value):
                return f"{argument}: keys have no dashes; write {argument.lstrip('-')}" + ("" if value else "=...")
            if sign == "--" and not any(flag.startswith(key + rest) for flag in FLAGS):
                return unknown("option", key + rest, FLAGS, "the options are", "--")
            continue
        if value is None and sign != "~":
            continue
        if not there and sign in ("+", "++") and (CONF / key).is_dir() and not any(key in groups(c) for c in COMMANDS):
            continue  # a folder of presets that somebody added
        if not there:
            return unknown_key(command, key, rest, argument)
        if sign == "~" and not rest and key not in groups(command):
            return f"{argument}: {key} cannot be taken out, only set"
        if value is None or sign == "~":
            continue
        if rest == "._target_" and re.fullmatch(r"=\w+", value) and value[1:] in choices(key, registered):
            return f"{argument}: must be the dotted path of a class; a {key} of the project is {key}{value}"
        given = value.removeprefix("=")
        line = "" if rest else value_mistake(command, sign, key, given, registered)
        if not line and not several and re.fullmatch(r"[\w.+-]+(,[\w.+-]+)+", given):
            line = f"{argument}: several values are run one after the other with -m only; without it give one"
        if not line and re.fullmatch(r"\{\s*\}", given) and not (sign and rest):
            line = f"{argument}: an empty mapping changes nothing, since it is merged into what is there"
            line += f"; ~{key}.<name> takes one out" if key in ("tasks", "space") and not rest else ""
        if line:
            return line
    return ""


def value_mistake(
    command: str, sign: str, key: str, value: str, registered: Mapping[str, Collection[str]] | None = None
) -> str:
    """One line on the value of a group, of `variants` or of `tasks` that cannot be right, else an empty one."""
    group, names = key, [value]
    if key in groups(command):
        if sign == "+" and re.fullmatch(r"\w*", value):
            return f"+{key}={value}: there is a {key} already; write {key}={value}"
        if key in ROOTS and value.startswith("["):
            return f"{key}={value}: a {key} is one choice; several are run one after the other with -m {key}=one,other"
        names = [name.strip() for name in value.split(",")]
    elif key == "variants":
        if re.fullmatch(r"[\w.]*(,[\w.]*)*", value):
            return f"variants must be a list, as in variants=[vanilla,gru], got {value!r}"
        listed = re.fullmatch(r"\[([\w\s,.]*)\]", value)
        group, names = "variant", [name.strip() for name in listed[1].split(",") if name.strip()] if listed else []
    elif key == "tasks":
        if re.fullmatch(r"[\w,.]*|\[.*\]", value):
            return f"tasks must be names with knobs, as in tasks.adding.lag=60, +tasks.copying={{}} or ~tasks.adding, got {value!r}"
        names = []
    else:
        names = []
    there = choices(group, registered) if names else []
    for name in names:
        if there and re.fullmatch(r"\w*", name) and name not in there:
            return unknown(group, name, there)
    return ""


def elsewhere(arguments: Sequence[str]) -> bool:
    """Whether presets may also come from other folders than `conf`, or the arguments are those of the shell's
    completion.
    """
    flags = ("--config", "-cd", "-cp", "-cn", "--shell", "-sc")
    return any(a.startswith(flags) or "hydra.searchpath" in a for a in arguments) or _plugin()


def unknown_key(command: str, key: str, rest: str, argument: str) -> str:
    """The line for a key whose first part a command does not have; it may be one of the other command's."""
    for other, called in COMMANDS.items():
        if other != command and key in keys(other):
            return f"{argument}: `{COMMANDS[command]}` has no {key}; {INSTEAD.get(key, f'it is a key of `{called}`')}"
    there = sorted(keys(command) - {"hydra"})
    near = nearest(key, there)
    meant = f"did you mean {near + rest!r}? The keys are" if near else "the keys are"
    return f"unknown key {key + rest!r}; {meant}: {', '.join(there)}"


@cache
def keys(command: str) -> frozenset[str]:
    """What may stand first in a key: the fields of the command's configuration and its groups."""
    tree = ast.parse((ROOT / "runs/configuration/schema.py").read_text(encoding="utf-8"))
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
