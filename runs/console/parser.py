"""Options of the small commands, whose mistakes are one line."""

from __future__ import annotations

import argparse
from typing import NoReturn

from .known import nearest


class Parser(argparse.ArgumentParser):
    """An `argparse.ArgumentParser` that answers a mistake with one line, the nearest option, and exit code 2."""

    def error(self, message: str) -> NoReturn:
        """Print the line and end the process."""
        option = message.removeprefix("unrecognized arguments: ").split()[0].partition("=")[0]
        near = nearest(option, self._option_string_actions) if option.startswith("-") else ""
        self.exit(2, f"error: {message}; " + (f"did you mean {near}?" if near else "--help lists the options") + "\n")
