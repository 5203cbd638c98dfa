"""What the words after `python -m analysis.walk` ask for; it needs neither torch nor a study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from runs.arguments import key_values
from runs.console.early import CONF, groups, mistake
from runs.console.source import knobs_in_source
from runs.names import file_name

KEYS = {
    "variant": "the cell: a name, or the dotted path of a class of your own. Default: vanilla.",
    "task": "what it reads: a name or a dotted path. Default: adding.",
    "unit": "the unit that is shown first, from 1 on. Default: the one that moves the answer most.",
    "layer": "the layer that is shown, from 1 on. Default: the highest.",
    "sequence": "which sequence of the test set is read, from 1 on. Default: 1.",
    "steps": "show the first so many steps. Default: all.",
    "hidden_size": "number of units of a layer. Default: 8.",
    "seed": "random seed of the network and of its training data. Default: 0.",
    "model": "a file of weights that `python -m runs.inside` has saved, in place of a short training. Default: none.",
    "study": "a study whose saved weights are shown: those of variant= on task=. Default: none.",
    "results": "folder of all studies. Default: results.",
    "out": "folder that receives the page. Default: walk in the results folder.",
}
ABOUT = (
    "`python -m analysis.walk variant=vanilla task=adding`: a page with every number of a cell on its diagram, forward "
    "and backward, before and after training.\n\n"
    "    python -m analysis.walk variant=gru task=adding unit=3\n\n"
    "Keys of `python -m runs` with a dot are taken too, such as task.lag=20, variant.keep_bias=0, training.budget=500."
)
USUAL = {"model.hidden_size": "8", "training.learning_rate": "1e-2", "tracking": "none"}
"""A small network that learns in seconds."""
SHORT = 10
"""The lag of a task where none is asked for: so many columns can be read at a glance."""
COUNTED = ("unit", "layer", "sequence", "steps")


class Options(NamedTuple):
    """What is asked for.

    words: those of the trial, as `python -m runs` takes them.
    may_be_short: the same with a short lag, which not every task can have.
    numbers: unit, layer, sequence and steps, counted from 1; None where not given.
    model: a file of weights, None where a network is trained.
    results, out: folders.
    """

    words: tuple[str, ...]
    may_be_short: tuple[str, ...]
    numbers: Mapping[str, int | None]
    model: Path | None
    results: Path
    out: Path


def options_of(arguments: Sequence[str]) -> Options | None:
    """Return what the words ask for, None where help was asked for and has been printed.

    Raises ValueError for words that make no sense.
    """
    passed = [word for word in arguments if _is_of_the_trial(word)]
    values = key_values([word for word in arguments if word not in passed], KEYS, ABOUT)
    if values is None:
        return None
    results = Path(values.get("results", "results"))
    model = _model(values, passed, results)
    words = () if model else tuple(_words(values, passed))
    line = mistake("trial", words)
    if line:
        raise ValueError(line)
    return Options(
        words=words,
        may_be_short=words if model else _short(values, words),
        numbers={key: _counted(key, values.get(key)) for key in COUNTED},
        model=model,
        results=results,
        out=Path(values["out"]) if values.get("out") else results / "walk",
    )


def _is_of_the_trial(word: str) -> bool:
    """Whether a word is an argument of `python -m runs`: its key has a dot, or names a group that is no key here."""
    key = word.partition("=")[0].lstrip("+~")
    return "=" in word and ("." in key or key in {*groups("trial"), "data_seed"} - {*KEYS})


def _counted(key: str, text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"{key} must be a number from 1 on, got {text!r}")
    return int(text)


def _model(values: Mapping[str, str], passed: Sequence[str], results: Path) -> Path | None:
    """Return the file of weights that is asked for; None where there is none.

    Raises ValueError where there is no such file, and for arguments that would do nothing beside it.
    """
    if "study" not in values and "model" not in values:
        return None
    idle = [
        key for key in ("hidden_size", "seed", *(() if "study" in values else ("variant", "task"))) if key in values
    ]
    idle += ["study"] if {"study", "model"} <= {*values} else []
    idle += [word.partition("=")[0] for word in passed]
    if idle:
        raise ValueError(f"{idle[0]} does nothing beside saved weights, which say all about their trial")
    if "model" in values:
        return Path(values["model"])
    folder = results / values["study"] / "models"
    there = sorted(path.relative_to(folder).with_suffix("") for path in folder.glob("*/*.safetensors"))
    wanted = Path(file_name(values.get("task", "adding"))) / file_name(values.get("variant", "vanilla"))
    if not there:
        made = f"python -m runs.inside study={values['study']}"
        raise ValueError(f"there are no saved weights in {folder}; `{made}` saves them")
    if wanted not in there:
        listed = ", ".join(f"task={path.parent} variant={path.name}" for path in there)
        raise ValueError(f"{folder} has no weights of {wanted.name} on {wanted.parent}; there is: {listed}")
    return folder / f"{wanted}.safetensors"


def _words(values: Mapping[str, str], passed: Sequence[str]) -> list[str]:
    """Return the words of the trial."""
    words = []
    for group in ("variant", "task"):
        chosen = values.get(group)
        if chosen is not None:
            dotted = "." in chosen
            words.append(f"{group}._target_={chosen}" if dotted else f"{group}={chosen}")
    renamed = {"seed": "seed", "hidden_size": "model.hidden_size"}
    words += [f"{key}={values[name]}" for name, key in renamed.items() if name in values]
    given = {word.partition("=")[0] for word in (*words, *passed)}
    return [*(f"{key}={value}" for key, value in USUAL.items() if key not in given), *words, *passed]


def _short(values: Mapping[str, str], words: Sequence[str]) -> tuple[str, ...]:
    """Return the words with a short lag, where the task is one of the project and no lag is asked for."""
    task = values.get("task", "adding")
    own = (knobs_in_source("task") or {}).get(task, ())
    preset = (CONF / "task" / f"{task}.yaml").is_file()
    asked = any(word.startswith(("task.lag=", "task._target_=")) for word in words)
    if "lag" not in own or preset or asked:
        return tuple(words)
    return (*words, f"task.lag={SHORT}")


def out_of_range(key: str, value: int, most: int, of: str) -> ValueError:
    """Return the error for a number that is too large.

    >>> str(out_of_range("unit", 17, 16, "the layer has 16"))
    'unit must be 1 to 16, since the layer has 16; got 17'
    """
    return ValueError(f"{key} must be 1 to {most}, since {of}; got {value}")
