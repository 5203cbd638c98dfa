"""Errors of Hydra, OmegaConf and YAML as one line that says what to write instead."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException, OverrideParseException
from omegaconf import OmegaConf
from omegaconf.errors import (
    ConfigAttributeError,
    ConfigKeyError,
    ConfigTypeError,
    InterpolationResolutionError,
    MissingMandatoryValue,
    OmegaConfBaseException,
)
from yaml import MarkedYAMLError, YAMLError

from tasks import Task
from variants import knobs_of

from ..console.early import CONF, choices
from ..console.known import nearest, unknown
from .knobs import GROUPS

MISTAKES = (HydraException, OmegaConfBaseException, YAMLError, ValueError)
OF_OMEGACONF = ("full_key:", "object_type=", "reference_type=", "See https")  # lines of its messages that help nobody


def one_line(error: BaseException, arguments: Sequence[str] = ()) -> str:
    """Return what an error says in one line: which key or file, which rule, which value, and the nearest spelling.

    error: of Hydra, OmegaConf, YAML or this project.
    arguments: the command line, to name the argument that caused the error.
    """
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, choice = error.missing_cfg_file.rpartition("/")
        return unknown(group or "preset", choice, error.options or choices(group))
    if isinstance(error, OverrideParseException):
        return _unreadable(error)
    if isinstance(error, MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return f"{_from_root(mark.name)}, line {mark.line + 1}: {error.problem}"
    if isinstance(error, UnicodeDecodeError):
        return f"a file of the configuration must be UTF-8: {error}"
    if isinstance(error, ConfigCompositionException):
        return _in_composition(error, arguments)
    if isinstance(error, OmegaConfBaseException):
        return _in_value(error)
    return _message(error)


def _in_composition(error: ConfigCompositionException, arguments: Sequence[str]) -> str:
    """Return the line for an error while files and arguments are put together.

    Hydra keeps the file and the argument only in the text of its error; the cause is an error of OmegaConf.
    """
    inner, text = error.__cause__ or error.__context__, str(error)
    if isinstance(inner, ConfigKeyError | ConfigAttributeError):
        return _no_such_key(error, inner, arguments)
    if isinstance(inner, OmegaConfBaseException):
        if file := re.match(r"In '(.+?)': ", text):
            key = f"{inner.full_key}: " if inner.full_key else ""
            return f"{file[1]}.yaml: {key}{one_line(inner)}"
        argument = text.splitlines()[0].removeprefix("Error merging override ") if text else ""
        if argument.startswith("~"):
            return f"{argument}: what has a default cannot be taken out, only set"
        return f"{argument}: {one_line(inner)}" if argument else one_line(inner)
    if absent := re.match(r"Could not delete from config\. '(.+)' does not exist", text):
        return f"~{absent[1]}: there is no {absent[1]} that could be taken out"
    there = r"Could not append to config\. An item is already at '.+'\.\n *Either remove \+ prefix: '(.+)'"
    if found := re.match(there, text):
        return f"+{found[1]}: it is there already; write {found[1]}"
    return _message(error)


def _in_value(error: OmegaConfBaseException) -> str:
    """Return the line for an error of OmegaConf: a value that is missing, of the wrong type, or cannot be resolved."""
    if isinstance(error, MissingMandatoryValue):
        return f"{error.full_key or str(error).rpartition(' ')[2]} must be given"
    if isinstance(error, InterpolationResolutionError):
        absent = [c for c in _causes(error) if isinstance(c, KeyError) and not isinstance(c, OmegaConfBaseException)]
        return f"{error.full_key}: {absent[0].args[0] if absent else str(error).splitlines()[0]}"
    if isinstance(error, ConfigTypeError) and "Cannot merge" in str(error):
        return "a list stands where names with values belong, or the other way round"
    return _message(error)


def _message(error: BaseException) -> str:
    """Return the message of an error on one line, without what OmegaConf appends to it."""
    lines = (" ".join(part.split()) for part in str(error).strip().splitlines())
    return " ".join(line for line in lines if line and not line.startswith(OF_OMEGACONF))


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what led to it, the latest first."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _no_such_key(error: ConfigCompositionException, found: OmegaConfBaseException, arguments: Sequence[str]) -> str:
    """Return the line for a key that does not exist, in a file or on the command line.

    found: OmegaConf's part of the error, with the whole key and the node that does not have it.
    """
    key = str(found.full_key)
    there = [str(k) for k in found.parent_node or () if k not in ("_target_", "label", "hydra")]
    if file := re.match(r"In '(.+?)': ", str(error)):
        if key == file[1].partition("/")[0]:
            rule = "the first line must be '# @package _global_', without which all its keys stand under"
            return f"{file[1]}.yaml: {rule} {key!r}"
        return f"{file[1]}.yaml: {unknown('key', key, there, 'the keys are')}"
    above, _, last = key.rpartition(".")
    argument = _about(key, arguments)
    if above == "tasks":
        near = nearest(last, there)
        hint = f"did you mean tasks.{near}?" if near else f"{shlex.quote('+' + argument)} adds one"
        return f"tasks.{last}: the tasks of the study are {', '.join(there) or 'none yet'}; {hint}"
    if above.startswith("tasks."):
        knobs = _knobs_of_task(found, above.removeprefix("tasks."))
        if last in knobs or not knobs:
            return f"{key} is not set in this study; {shlex.quote('+' + argument)} sets it"
        return unknown("key", last, knobs, "the keys are", f"{above}.")
    if above == "space":
        return unknown("hyperparameter", last, there, "the space has") + f"; {shlex.quote('+' + argument)} adds one"
    return unknown("key", last, there, "the keys are", f"{above}." if above else "")


def _about(key: str, arguments: Sequence[str]) -> str:
    """Return the argument that sets a key, or something above or below it; `key=...` if there is none."""
    for argument in arguments:
        given = argument.partition("=")[0]
        if f"{key}.".startswith(f"{given}.") or given.startswith(f"{key}."):
            return argument
    return f"{key}=..."


def _knobs_of_task(found: OmegaConfBaseException, label: str) -> list[str]:
    """Return the knobs of a study's task by its label; there are none if it is not a task of this project."""
    node = found.parent_node
    values = OmegaConf.to_container(node) if node is not None else {}
    name = str(values.get("task", label)) if isinstance(values, Mapping) else label
    return list(knobs_of(Task.registry[name])) if name in Task.registry else []


def _unreadable(error: OverrideParseException) -> str:
    """Return the line for an argument that Hydra's grammar does not accept."""
    argument = error.override
    if "=" not in argument and not argument.startswith("~"):
        group = next((g for g, base in GROUPS.items() if argument in base.registry), None)
        meant = f"; did you mean {group}={argument}?" if group else ""
        return f"an argument must be key=value, got {argument!r}{meant}"
    for reason in _causes(error):
        at = getattr(reason, "startIndex", None)  # of the lexer's error: where it stopped reading
        if at is not None:
            where = f"cannot be read at {argument[at]!r} (character {at + 1})"
            return f"{argument}: {where}; a value that holds such a sign needs quotes"
    forms = "a list is [a,b], names with values are {a: 1, b: 2}, and text with other signs needs quotes"
    return f"{argument}: cannot be read; {forms}"


def _from_root(path: str) -> str:
    """Return a path as it is written in the project's root."""
    return os.path.relpath(path, CONF.parent) if Path(path).is_relative_to(CONF.parent) else path
