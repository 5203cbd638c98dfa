"""Options of the small commands, whose mistakes are one line, and whose help looks like that of all commands."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn

from .known import unknown
from .page import CODES, HELP, Rows, help_page
from .text import complain


class Parser(argparse.ArgumentParser):
    """An `argparse.ArgumentParser` that answers a mistake with one line, the nearest option, and exit code 2.

    examples: commands that the help shows.
    codes: the sentence of the help on exit codes.
    """

    def __init__(self, *arguments: Any, examples: Sequence[str] = (), codes: str = CODES, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.examples, self.codes = examples, codes

    def error(self, message: str) -> NoReturn:
        """Print the line and end the process."""
        option = message.removeprefix("unrecognized arguments: ").partition(" ")[0].partition("=")[0]
        if option.startswith("-"):
            names = [name for name in self._option_string_actions if name.startswith("--")]
            message = unknown("option", option, names, "the options are")
        else:
            message += "; --help lists the options"
        complain(message)
        self.exit(2)

    def format_help(self) -> str:
        """Return the text of `--help`."""
        usual = [action for action in self._actions if not isinstance(action, argparse._HelpAction)]
        named = [(_name(action), action.help or "") for action in usual if action.option_strings]
        placed: Rows = [(_name(action), action.help or "") for action in usual if not action.option_strings]
        sections = {"Arguments": placed, "Options": [*named, HELP]}
        return help_page(self.description or "", sections, self.examples, self.codes) + "\n"


def _name(action: argparse.Action) -> str:
    """Return how an argument is written, as in `--steps T [T ...]`."""
    value = action.metavar or action.dest
    value = value if isinstance(value, str) else " ".join(value)
    if not action.option_strings:
        return value
    values = {None: f" {value}", 0: "", "+": f" {value} [{value} ...]"}
    return action.option_strings[-1] + values[action.nargs]
