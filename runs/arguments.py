"""The `key=value` arguments of the small commands, and commands that a user can paste into a shell."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .console.known import unknown
from .console.page import HELP, help_page
from .names import CLASSES, checked_name
from .secrets_in_urls import refuse_passwords

RESULTS = "results"  # the default folder of all studies


def command(module: str, *, results: Path | str = RESULTS, **values: str) -> str:
    """Return a command that the user can paste, with each word quoted for the shell if necessary.

    If the user allowed classes to be imported (LSTM_VARIANTS_CLASSES), the command allows them as well.

    module: what stands after `python -m`.
    results: the folder of all studies; it is part of the command only if it is not the default one.
    values: the arguments, each as `key=value`.

    >>> command("analysis", study="quick", results="my results")
    "python -m analysis study=quick 'results=my results'"
    """
    words = [f"{key}={value}" for key, value in values.items()]
    if str(results) != RESULTS:
        words.append(f"results={results}")
    classes = os.environ.get(CLASSES, "")
    allowed = f"{CLASSES}={shlex.quote(classes)} " if classes else ""
    return allowed + shlex.join(["python", "-m", module, *words])


def on_record(command: Any, *more: str, results: Path | str | None = None) -> str:
    """Return the command that a study or an archive has stored, with each word quoted for the shell.

    It is empty if what is stored is not a `python -m runs` or `python -m runs.sweep` command of printable characters:
    it may come from somebody else's file.

    command: what is stored.
    more: arguments that replace those of the same key, or are appended.
    results: the folder in which the study is now, which replaces the stored one; None keeps the stored one.

    >>> on_record("python -m runs.sweep study=quick results=old", "stage=confirm", results="my results")
    "python -m runs.sweep study=quick stage=confirm 'results=my results'"
    """
    try:
        words = shlex.split(str(command or ""))
    except ValueError:  # a quotation mark without its partner
        return ""
    ours = words[:2] == ["python", "-m"] and words[2:3] in (["runs"], ["runs.sweep"])
    if not ours or not all(word.isprintable() for word in words):
        return ""
    if results is not None:
        words = [word for word in words if not word.startswith("results=")]
        more += (f"results={results}",) if str(results) != RESULTS else ()
    replaced = tuple(word.partition("=")[0] + "=" for word in more)
    return shlex.join([*(word for word in words if not word.startswith(replaced)), *more])


def key_values(arguments: Sequence[str], keys: Mapping[str, str], about: str) -> dict[str, str] | None:
    """Return the `key=value` arguments as a dictionary, or None if help was asked for and has been printed.

    arguments: the words after the command.
    keys: each key that the command takes, with its meaning and its default, as the help says them.
    about: the docstring of the command, see `runs.console.page.help_page`.

    Raises ValueError for an argument that is not one of the keys or is given twice, for a study whose name cannot be
    one, and for a password.
    """
    if any(a in ("-h", "--help", "help") for a in arguments):
        print(help_page(about, {"Keys (key=value)": list(keys.items()), "Options": [HELP]}))
        return None
    refuse_passwords(arguments)
    values: dict[str, str] = {}
    for argument in arguments:
        key, sign, value = argument.partition("=")
        if not sign or key not in keys:
            if argument.startswith("-"):
                raise ValueError(unknown("option", key, ["--help"], "the options are"))
            if key in keys:
                raise ValueError(f"{key}: a key has a value, as in {key}=...")
            raise ValueError(unknown("key", key, list(keys), "the keys are"))
        if key in values:
            raise ValueError(f"{argument}: {key} is given twice, first as {values[key]!r}")
        values[key] = value
    if "study" in values:
        checked_name(values["study"], "study")
    return values
