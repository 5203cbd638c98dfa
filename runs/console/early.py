"""Finds a mistyped name on the command line of `runs` or `runs.sweep` before torch is imported.

Importing torch takes two seconds. This file speaks only if it is sure. Everything else is left to Hydra, which composes
the configuration later.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from .known import nearest, one_of, unknown, values_after
from .source import ROOT, ROOTS, keys_in_source, knobs_in_source, names_in_source, words_in_source
from .text import complain

CONF = ROOT / "conf"
COMMANDS = {"trial": "python -m runs", "sweep": "python -m runs.sweep"}
_SCHEMA, _TRIAL, _STAGES = "runs/configuration/schema.py", "runs/trial/trial.py", "runs/study/stages.py"
_PLAN, _DESIGN = "runs/study/plan.py", "runs/study/design.py"
PARTS = {  # keys that have keys themselves: the file and the class that declare these
    "model": (_TRIAL, "Model"),
    "training": (_TRIAL, "Training"),
    "tracking": (_SCHEMA, "Tracking"),
    "storage": (_SCHEMA, "Storage"),
    "confirm": (_STAGES, "Confirm"),
    "horizon": (_STAGES, "Horizon"),
}
WORDS = {  # keys whose values are words: the files and the constants that list these
    "training.optimiser": [(_TRIAL, "OPTIMISERS")],
    "training.loss": [(_TRIAL, "LOSSES")],
    "training.criterion": [(_TRIAL, "CRITERIA")],
    "model.engine": [(_TRIAL, "ENGINES")],
    "match": [(_PLAN, "MATCHES")],
    "pruner": [(_PLAN, "PRUNERS")],
    "sampler": [(_DESIGN, "DESIGNED"), (_DESIGN, "ADAPTIVE")],
    "action": [(_SCHEMA, "ACTIONS")],
}
FLAGS = (
    *("help", "hydra-help", "version", "cfg", "resolve", "package", "run", "multirun", "info", "shell-completion"),
    *("config-dir", "config-name", "config-path", "experimental-rerun"),
)
LAUNCHERS = ("hydra/launcher=", "hydra.launcher.", "hydra/sweeper=", "hydra.sweeper.")
ELSEWHERE = (
    "--config",
    "-cd",
    "-cp",
    "-cn",
    "--shell",
    "-sc",
)  # options that name other folders, or ask for completion
AGAINST = (  # keys that are read beside `against`; the design of the archive says the others
    *("against", "variants", "points", "tasks", "lags", "name", "workers", "worker", "trial_seconds", "part"),
    *("results", "storage", "tracking", "action", "stage", "confirm", "horizon", "hydra"),
)
INSTEAD = {  # keys of a trial, and what a study has instead of them
    "variant": "the variants of a study are variants=[vanilla,gru]",
    "network": "the networks of a study are networks=[reader,attention]",
    "task": "the tasks of a study are its tasks: tasks.adding.lag=60, +tasks.copying={}, ~tasks.adding",
    "data_seed": "seed is that of the whole study",
}

Registered = Mapping[str, Collection[str]]  # the choices of each group that are classes


class Argument(NamedTuple):
    """An argument such as `+tasks.adding.lag=60`, taken apart.

    text: the whole argument.
    sign: what stands before the key: nothing, `+`, `++`, `~`, `-` or `--`.
    key: the first part of the key, `tasks`.
    rest: the other parts, `.adding.lag`.
    value: what stands after the equals sign; None if there is none.
    """

    text: str
    sign: str
    key: str
    rest: str
    value: str | None


def refuse_mistyped_after(option: str, kind: str) -> None:
    """End the process with exit code 2 and one line if a name after an option is not the name of a class.

    option: such as `--variants`.
    kind: variant, initialisation or task.
    """
    line = mistyped(kind, values_after(option, sys.argv[1:]))
    if line:
        complain(line)
        raise SystemExit(2)


def mistyped(kind: str, names: Sequence[str]) -> str:
    """Return one line on the first name that is not that of a class; it is empty if there is none, or if not sure.

    kind: variant, initialisation or task.
    names: as they are given. The dotted path of a class of your own is not looked at.
    """
    there = names_in_source(kind)
    wrong = [name for name in names if there is not None and name.isidentifier() and name not in there]
    return unknown(kind, wrong[0], sorted(there or ())) if wrong else ""


def mistake(command: str, arguments: Sequence[str], registered: Registered | None = None) -> str:
    """Return one line on the first argument that names a choice or a key that does not exist.

    It is empty if there is no such argument, and if that is not sure, as presets or classes may come from elsewhere.

    command: trial or sweep.
    arguments: the words after the command.
    registered: the choices of each group that are classes; by default they are read from the source files.
    """
    beside = mistake_beside_archive(arguments) if command == "sweep" else ""
    if beside:
        return beside
    others_may_register = registered is None and not {"variants.cell", "tasks.task"}.isdisjoint(sys.modules)
    if others_may_register or _presets_elsewhere(arguments):
        return ""
    multirun = any(a in ("-m", "--multirun") or a.startswith("hydra.mode") for a in arguments)
    of_archive = names_an_archive(arguments)  # which says what tasks there are
    looked_at = [text for text in arguments if not (of_archive and text.startswith("tasks="))]
    lines = (_mistake_in(command, text, multirun, registered) for text in looked_at)
    inner = (_mistake_inside(command, text, arguments) for text in arguments)
    return next((line for line in (*lines, *inner) if line), "")


def names_an_archive(arguments: Sequence[str]) -> bool:
    """Return True if a study adds variants to an archive, as `against=archive:lags` says."""
    return any(text.startswith("against=") for text in arguments)


def mistake_beside_archive(arguments: Sequence[str]) -> str:
    """Return one line on the first argument that is not read with `against`, or only with it; it is empty if all are.

    arguments: the words after the command.
    """
    parts = [found for text in arguments if (found := _taken_apart(text)) is not None]
    taken = [found for found in parts if found.value is not None or found.sign == "~"]
    against = next((found for found in taken if found.key == "against"), None)
    if against is None:
        lags = next((found.text for found in taken if found.key == "lags" and not found.rest), "")
        own = "the lags of a study of its own are those of its tasks: tasks.adding.lag=[30,60]"
        return f"{lags}: is read with against=... only; {own}" if lags else ""
    if against.sign or against.rest or not against.value:
        return f"{against.text}: write against=archive:<name> or against=<path of an archive>"
    for found in taken:
        if found.sign.startswith("-") or found.key not in keys("sweep"):
            continue
        if found.key not in AGAINST:
            return f"{found.text}: with {against.text} the design is that of the archive, which says {found.key}"
        if found.key in ("tasks", "lags", "points", "variants") and (found.rest or found.sign):
            examples = "tasks=[adding] or lags=[30,120] takes fewer of them"
            return f"{found.text}: with {against.text} the tasks are those of the archive; {examples}"
    return ""


def _mistake_in(command: str, text: str, multirun: bool, registered: Registered | None) -> str:
    """Return the line on one argument; it is empty if nothing is wrong."""
    if text.startswith(LAUNCHERS) and not multirun:
        return f"{text}: is read with -m only, which hands runs to a launcher"
    argument = _taken_apart(text)
    if argument is None:
        return ""
    if argument.sign.startswith("-"):
        return _option_mistake(command, argument)
    if argument.value is None and argument.sign != "~":
        return ""
    if argument.key not in keys(command):
        return "" if _is_added_folder(argument) else _unknown_key(command, argument)
    if argument.sign == "~":
        whole = not argument.rest and argument.key not in groups(command)
        return f"{text}: {argument.key} cannot be taken out, only set" if whole else ""
    return _value_mistake(command, argument, multirun, registered)


def _taken_apart(text: str) -> Argument | None:
    """Return the parts of an argument; None if it is not like `key=value` or an option."""
    found = re.fullmatch(r"(--?|[+]{0,2}|~)([A-Za-z_]\w*)((?:[.-][^=]*)?)(?:=(.*))?", text, re.DOTALL)
    return Argument(text, *found.groups()) if found else None


def _mistake_inside(command: str, text: str, arguments: Sequence[str]) -> str:
    """Return the line on an argument that names a key or a word that does not exist inside a part of the configuration.

    arguments: all of the command; they say which variant, task and initialisation are chosen.
    """
    argument = _taken_apart(text)
    if argument is None or argument.value is None or argument.sign not in ("", "+"):
        return ""
    sign, key, rest, value = argument.sign, argument.key, argument.rest, argument.value
    word = f"{key}{rest}"
    if word in WORDS and re.fullmatch(r"[A-Za-z_]+", value) and value not in ("null", "true", "false"):
        words = [word for place in WORDS[word] for word in words_in_source(*place)]
        return "" if value in words else one_of(word, value, words)
    inner = re.match(r"\.(\w+)(?:\.(\w+))?", rest)
    if inner is None or key not in keys(command):
        return ""
    there: Sequence[str] | None = None
    above, last = key, inner[1]
    if key in PARTS:
        there = keys_in_source(*PARTS[key]).fields
    elif key in ROOTS and not sign:
        there = _knobs_of_chosen(command, key, arguments)
    elif key == "tasks" and not sign and inner[2]:
        above, last = f"{key}.{inner[1]}", inner[2]
        there = _knobs_in_study(inner[1], last, arguments)
    if there is None or last in (*there, "_target_", "label"):
        return ""
    return unknown("key", last, there, "the keys are", f"{above}.")


def _knobs_of_chosen(command: str, group: str, arguments: Sequence[str]) -> Sequence[str] | None:
    """Return the knobs of the class that is chosen of a group; None if it is not sure which class that is."""
    given = [found for text in arguments if (found := _taken_apart(text)) is not None and found.key == group]
    chosen = [found.value or "" for found in given if not found.rest] or [defaults(command).get(group, "")]
    knobs = knobs_in_source(group) or {}
    a_preset = (CONF / group / f"{chosen[0]}.yaml").is_file()
    if len(chosen) > 1 or a_preset or any(found.rest == "._target_" for found in given):
        return None
    return knobs.get(chosen[0])


def _knobs_in_study(label: str, knob: str, arguments: Sequence[str]) -> Sequence[str] | None:
    """Return the knobs of a task of a study by its label; None if the label may stand for another class.

    knob: that is asked for; if any task of the project has it, Hydra answers.
    """
    tasks = knobs_in_source("task") or {}
    labelled = any(re.search(r"\btask\b", text) for text in arguments)
    in_presets = (path.read_text(encoding="utf-8") for path in (CONF / "study").glob("*.yaml"))
    if labelled or knob == "task" or any(re.search(r"\btask:", text) for text in in_presets):
        return None
    return None if any(knob in knobs for knobs in tasks.values()) else tasks.get(label)


def _option_mistake(command: str, argument: Argument) -> str:
    """Return the line on an argument with dashes: a key that needs none, or an option that does not exist."""
    text, sign, key, rest, value = argument
    if key in keys(command) and (sign == "--" or value is not None):
        written = text.lstrip("-") + ("" if value is not None else "=...")
        return f"{text}: keys have no dashes; write {written}"
    if sign == "--" and not any(flag.startswith(key + rest) for flag in FLAGS):
        return unknown("option", key + rest, FLAGS, "the options are", "--")
    return ""


def _is_added_folder(argument: Argument) -> bool:
    """Return True for a group that somebody has added to `conf`, as in `+mine=preset`."""
    added = (CONF / argument.key).is_dir() and not any(argument.key in groups(command) for command in COMMANDS)
    return added and argument.sign in ("+", "++")


def _value_mistake(command: str, argument: Argument, multirun: bool, registered: Registered | None) -> str:
    """Return the line on an argument whose key exists and whose value cannot be right."""
    text, sign, key, rest, value = argument
    assert value is not None
    if rest == "._target_" and re.fullmatch(r"\w+", value) and value in choices(key, registered):
        return f"{text}: must be the dotted path of a class; a {key} of the project is {key}={value}"
    line = "" if rest else _choice_mistake(command, argument, registered)
    if line:
        return line
    if not multirun and re.fullmatch(r"[\w.+-]+(,[\w.+-]+)+", value):
        return f"{text}: several values are run one after the other with -m only; without it give one"
    if re.fullmatch(r"\{\s*\}", value) and not (sign and rest):
        instead = f"; ~{key}.<name> takes one out" if key in ("tasks", "space") and not rest else ""
        return f"{text}: an empty mapping changes nothing, since it is merged into what is there{instead}"
    return ""


def _choice_mistake(command: str, argument: Argument, registered: Registered | None) -> str:
    """Return the line on the value of a group, of `variants` or of `tasks`."""
    _, sign, key, _, value = argument
    assert value is not None
    group, names = key, list[str]()
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
    elif key == "tasks" and re.fullmatch(r"[\w,.]*|\[.*\]", value):
        examples = "tasks.adding.lag=60, +tasks.copying={} or ~tasks.adding"
        return f"tasks must be names with knobs, as in {examples}, got {value!r}"
    there = choices(group, registered) if names else []
    wrong = [name for name in names if there and re.fullmatch(r"\w*", name) and name not in there]
    return unknown(group, wrong[0], there) if wrong else ""


def _unknown_key(command: str, argument: Argument) -> str:
    """Return the line for a key whose first part a command does not have; it may be a key of the other command."""
    key, rest = argument.key, argument.rest
    for other, called in COMMANDS.items():
        if other != command and key in keys(other):
            advice = INSTEAD.get(key, f"it is a key of `{called}`")
            return f"{argument.text}: `{COMMANDS[command]}` has no {key}; {advice}"
    there = sorted(keys(command) - {"hydra"})
    near = nearest(key, there)
    meant = f"did you mean {near + rest!r}? The keys are" if near else "the keys are"
    return f"unknown key {key + rest!r}; {meant}: {', '.join(there)}"


def _presets_elsewhere(arguments: Sequence[str]) -> bool:
    """Return True if presets may come from other folders than `conf`, or if the shell asks for a completion."""
    return any(a.startswith(ELSEWHERE) or "hydra.searchpath" in a for a in arguments) or _plugin()


@cache
def keys(command: str) -> frozenset[str]:
    """Return what may stand first in a key: the fields of the command's configuration, and its groups."""
    return frozenset({*keys_in_source(*schema(command)).fields, *groups(command), "hydra"})


def schema(command: str) -> tuple[str, str]:
    """Return the file and the name of the class that declares the keys of a command."""
    return _SCHEMA, f"{command.capitalize()}Config"


def groups(command: str) -> tuple[str, ...]:
    """Return the groups of a command; its configuration is made of one choice of each."""
    return tuple(defaults(command))


@cache
def defaults(command: str) -> Mapping[str, str]:
    """Return the groups of a command with the choice that each has if nothing else is said."""
    return {group: usual for group, usual, _ in _in_defaults_list(command)}


def remarks(command: str) -> Mapping[str, str]:
    """Return what the configuration of a command says of each of its groups."""
    return {group: remark for group, _, remark in _in_defaults_list(command)}


def _in_defaults_list(command: str) -> list[tuple[str, str, str]]:
    """Return the groups of a command, each with its usual choice and with the remark behind it."""
    text = (CONF / f"{command}.yaml").read_text(encoding="utf-8")
    return re.findall(r"^  - (\w+): (\w+)(?: *# (.*))?", text, re.MULTILINE)


def choices(group: str, registered: Registered | None = None) -> list[str]:
    """Return the choices of a group, presets and names of classes; the list is empty if not all are known.

    registered: the choices of each group that are classes; by default they are read from the source files.
    """
    there = {path.stem for path in (CONF / group).glob("*.yaml")}
    if registered is not None:
        there |= set(registered.get(group, ()))
    elif group in ROOTS:
        names = names_in_source(group)
        if names is None:
            return []
        there |= names
    if group in ("model", "training"):  # a class by itself, under its own name
        there.add(group)
    return sorted(there)


@cache
def _plugin() -> bool:
    """Return True if a plugin of Hydra is installed that may add folders of presets."""
    spec = find_spec("hydra_plugins")
    places = spec.submodule_search_locations if spec is not None else None
    files = (path for place in places or () for path in Path(place).rglob("*.py"))
    return any("SearchPathPlugin" in path.read_text(encoding="utf-8", errors="ignore") for path in files)
