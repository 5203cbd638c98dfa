"""Runs a command with the configuration of its command line; a mistake there is one line and exit code 2."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

import hydra
from hydra._internal.utils import get_args_parser
from omegaconf import DictConfig

from ..console.early import CONF, mistake, names_an_archive
from ..console.text import complain
from ..secrets_in_urls import refuse_passwords
from .equations import quoted
from .mistakes import MISTAKES, one_line
from .schema import register, registered

WITHOUT_PRESET = "~study"
"""The argument that is added where an archive says what the study is (`against=`), so that no preset does."""


def as_given(arguments: Sequence[str]) -> list[str]:
    """Return the arguments that the user gave, of those that Hydra has: without `WITHOUT_PRESET` where it was added.

    >>> as_given(["against=archive:lags", "workers=2", "~study"]), as_given(["name=mine", "~study"])
    (['against=archive:lags', 'workers=2'], ['name=mine', '~study'])
    """
    added = names_an_archive(arguments)
    return [text for text in arguments if not (added and text == WITHOUT_PRESET)]


def command_line(main: Callable[[DictConfig], int], config_name: str) -> NoReturn:
    """Run `main` with the configuration of the command line, and end the process with the exit code that it returns.

    A mistake in the configuration is one line on stderr and exit code 2. In a multirun `main` runs in the processes of
    a launcher, and what it raises there is raised here again.

    main: takes the composed configuration, returns an exit code.
    config_name: trial, sweep or discover.
    """
    with _exceptions_pass_through_hydra() as verbose:
        code = _Command(main, config_name, verbose).run()
    sys.exit(code)


@contextmanager
def _exceptions_pass_through_hydra() -> Iterator[bool]:
    """Make Hydra raise errors instead of printing them and exiting with 1; yields whether the user wants a traceback.

    Both is said by HYDRA_FULL_ERROR in the environment, which has its old value afterwards.
    """
    asked = os.environ.get("HYDRA_FULL_ERROR")
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        yield asked == "1"
    finally:
        os.environ.pop("HYDRA_FULL_ERROR")
        if asked is not None:
            os.environ["HYDRA_FULL_ERROR"] = asked


class _Command:
    """One run of a command. code: the exit code so far."""

    def __init__(self, main: Callable[[DictConfig], int], config_name: str, verbose: bool) -> None:
        self.main, self.config_name, self.verbose = main, config_name, verbose
        self.arguments = sys.argv[1:] = quoted(sys.argv[1:])
        self.multirun = not {"-m", "--multirun"}.isdisjoint(sys.argv)
        self.begun = False
        self.code = 0

    def run(self) -> int:
        """Check the arguments, compose the configuration and call `main`; returns the exit code."""
        try:
            self._start()
        except MISTAKES as error:
            self._refuse(error)
        except OSError as error:  # before `main`: a folder of Hydra's own that cannot be made
            if self.begun:
                raise
            self._refuse(error)
        except KeyboardInterrupt:
            print("interrupted" + ("; workers that a scheduler runs go on" if self.multirun else ""), file=sys.stderr)
            self.code = 130
        except Exception as error:  # launchers raise errors of their own kinds for a worker that they lost
            if not self.multirun or self.verbose:
                raise
            lost = f"a worker was lost ({type(error).__name__})"
            complain(f"{lost}; action=status says how far the study is, the same command goes on")
            self.code = 1
        return self.code

    def _start(self) -> None:
        refuse_passwords(self.arguments)
        register()
        refuse_options(self.arguments)
        line = mistake(self.config_name, self.arguments, registered())
        if line:
            raise ValueError(line)
        if self.config_name == "sweep" and names_an_archive(self.arguments):
            sys.argv = [*sys.argv, WITHOUT_PRESET]
        hydra.main(version_base="1.3", config_path=str(CONF), config_name=self.config_name)(self._body)()

    def _body(self, config: DictConfig) -> None:
        self.begun = True
        sys.argv = as_given(sys.argv)
        try:
            self.code = self.main(config)
        except MISTAKES as error:
            if self.multirun:  # as a ValueError, which every launcher can hand back
                raise ValueError(one_line(error, self.arguments)) from (error if self.verbose else None)
            self._refuse(error)

    def _refuse(self, error: Exception) -> None:
        if self.verbose:
            raise error
        complain(one_line(error, self.arguments))
        self.code = 2


def refuse_options(arguments: Sequence[str]) -> None:
    """Raise ValueError for options that Hydra does not have, and for values that they do not take.

    Hydra itself would print its usage, which is many lines long.
    """

    def error(message: str) -> NoReturn:
        words = message.removeprefix("unrecognized arguments: ").split()
        if all("=" in word and not word.startswith("-") for word in words):
            rule = "an option such as -m may not stand between key=value arguments; write the options first"
            raise ValueError(f"{words[0]}: {rule}")
        raise ValueError(f"{message}; --help lists the options")

    parser = get_args_parser()
    parser.error = error  # type: ignore[method-assign]
    parser.parse_args(arguments)
