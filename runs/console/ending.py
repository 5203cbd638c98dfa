"""How a command ends that meets a mistake, a full disk or Ctrl-C: with one line and an exit code."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import wraps

from .text import complain

Main = Callable[[Sequence[str]], int]


def in_one_line(writes: str) -> Callable[[Main], Main]:
    """Return a decorator for the `main` of a command, whose errors become one line on stderr and an exit code.

    The code is 2 for a ValueError, which is a mistake in the arguments, 1 for a file that cannot be written, and 130
    when interrupted.

    writes: what the command writes, such as "the page", for an error that does not name its file.
    """

    def decorated(main: Main) -> Main:
        @wraps(main)
        def ended(arguments: Sequence[str]) -> int:
            try:
                return main(arguments)
            except ValueError as error:
                complain(error)
                return 2
            except OSError as error:  # a full disk
                complain(f"cannot write {error.filename or writes}: {error.strerror or error}")
                return 1
            except KeyboardInterrupt:
                print(f"interrupted: {writes} may be missing, but no file is half written", file=sys.stderr)
                return 130

        return ended

    return decorated
