"""How far work is, as lines that also a log file shows: a bar needs a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial


class Ticker:
    """Prints lines, but not more often than once in some time.

    seconds: shortest time between two lines.
    clock: returns the time in seconds; tests give another one.
    tell: prints a line.

    >>> tick = Ticker(30, clock=iter([0, 10, 40]).__next__)
    >>> tick("1 of 9 trials")
    >>> tick("4 of 9 trials")
    4 of 9 trials
    """

    def __init__(
        self, seconds: float, clock: Callable[[], float] = time.monotonic, tell: Callable[[str], None] | None = None
    ) -> None:
        self.seconds, self.clock = seconds, clock
        self.tell = tell or partial(print, flush=True)
        self.last = clock()

    def __call__(self, line: str) -> None:
        """Print the line where enough time has passed since the one before, or since the beginning."""
        now = self.clock()
        if now - self.last >= self.seconds:
            self.last = now
            self.tell(line)


def in_log(seconds: float = 30.0) -> Callable[[str], None]:
    """Return a function that prints lines if standard error is not a terminal, so that no bar is shown.

    On a terminal the function does nothing.

    seconds: shortest time between two lines.
    """
    return (lambda line: None) if sys.stderr.isatty() else Ticker(seconds)
