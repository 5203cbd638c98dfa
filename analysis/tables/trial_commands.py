"""The command lines that run trials again, for which the classes themselves are asked: this needs torch."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runs.networks import Network
    from runs.trial.trial import Trial
    from tasks import Task
    from variants import Cell, Scheme

    Part = Cell | Network | Task | Scheme


def trial_commands(trials: Sequence[Trial | None]) -> list[str]:
    """Return the `command` of each trial; empty where there is no trial, or no command that would run it.

    trials: may be an archive's, which says what it likes.
    """
    known: dict[str, list[str]] = {}
    return ["" if trial is None else _command(trial, known) for trial in trials]


def _command(trial: Trial, known: dict[str, list[str]]) -> str:
    try:
        return command(trial, known)
    except (KeyError, TypeError, ValueError, AttributeError):
        return ""


def command(trial: Trial, known: dict[str, list[str]] | None = None) -> str:
    """Return the command line that runs exactly this trial: what differs from the defaults of `python -m runs`.

    A class that is not imported is not imported here either; it stands with all its knobs as the trial has them.

    trial: the trial.
    known: the words of the parts of earlier trials, to which those of this one are added; they save time.

    Raises ValueError where a word could mean something else to Hydra, which the trial of an archive may.
    """
    from runs.networks import Network
    from runs.trial.trial import READER, Model, Training
    from tasks import Task
    from variants import Cell, Scheme

    known = {} if known is None else known
    parts: tuple[tuple[str, Mapping[str, Any], Any], ...] = (
        ("variant", trial.variant, Cell),
        *([("network", trial.network, Network)] if trial.network != READER else []),
        ("task", trial.task, Task),
        ("initialisation", trial.initialisation, Scheme),
    )
    words: list[str] = []
    for group, node, kind in parts:
        key = f"{group} {dict(node)!r}"
        if key not in known:
            known[key] = list(_part(group, node, kind))
        words += known[key]
    for group, values, default in (("model", trial.model, Model()), ("training", trial.training, Training())):
        words += [f"{group}.{k}={_word(v)}" for k, v in asdict(values).items() if v != getattr(default, k)]
    words += [f"{name}={value}" for name, value in (("seed", trial.seed), ("data_seed", trial.data_seed)) if value]
    odd = [word for word in words if not word.isprintable() or set(word) & set("${}\\'\"")]
    if odd:
        raise ValueError(
            f"a word of a command must be printable and without any of $ {{ }} \\ and quotation marks, got {odd[0]!r}"
        )
    return " ".join(["python -m runs", *(shlex.quote(word) for word in words)])


def _part(group: str, node: Mapping[str, Any], kind: type[Part]) -> Iterator[str]:
    """The words that set one part of a trial: its class, and the knobs that differ from the defaults of the class."""
    from runs.trial.classes import construct, ours

    knobs = {k: v for k, v in node.items() if k != "_target_"}
    try:
        part = construct(node, kind)
    except ValueError:  # of a class that only an archive names
        yield f"{group}._target_={node['_target_']}"
        yield from (f"+{group}.{k}={_word(v)}" for k, v in knobs.items() if k != "label")
        yield from (f"{group}.label={_word(v)}" for k, v in knobs.items() if k == "label")
        return
    known = kind.registry.get(part.name) is type(part) and ours(node["_target_"])
    yield f"{group}={part.name}" if known else f"{group}._target_={node['_target_']}"
    usual = {**_defaults(node, kind), "label": part.name if known else None}
    yield from (f"{group}.{k}={_word(v)}" for k, v in knobs.items() if not (k in usual and _same(usual[k], v)))


def _defaults(node: Mapping[str, Any], kind: type[Part]) -> dict[str, Any]:
    """Return the defaults of those knobs of a class that a node names."""
    from runs.trial.classes import construct
    from variants import knobs_of

    usual = construct({"_target_": node["_target_"]}, kind)
    return {name: knob.default for name, knob in knobs_of(type(usual)).items() if name in node}


def _same(a: Any, b: Any) -> bool:
    return list(a) == list(b) if isinstance(a, tuple | list) and isinstance(b, tuple | list) else bool(a == b)


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"[{','.join(map(str, value))}]" if isinstance(value, tuple | list) else str(value)
