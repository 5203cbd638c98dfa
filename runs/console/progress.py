"""How far work is, as lines that also a log file shows: a bar needs a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial


class Ticker:
    """Print lines, but only so often.

    seconds: fewest between two lines. clock: seconds that pass; another one in tests. tell: prints a line.

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
    """A ticker where standard error is no terminal and a bar would not be seen; else something that prints nothing."""
    return (lambda line: None) if sys.stderr.isatty() else Ticker(seconds)
