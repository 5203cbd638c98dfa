"""How far work is and how long it will still take: a bar on a terminal, plain lines in a log file.

Nothing is shown of what takes less than two seconds. `LSTM_VARIANTS_PROGRESS=none` in the environment shows nothing at
all. All goes to standard error, so that what a command prints can be kept in a file of its own.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from functools import partial
from multiprocessing import parent_process
from typing import TYPE_CHECKING, Any, TypeVar

from .text import duration

if TYPE_CHECKING:
    from tqdm import tqdm

T = TypeVar("T")
QUICK_SECONDS = 2.0  # of work of which nothing is shown
LINE_SECONDS = 10.0  # shortest time between two lines in a log
VARIABLE = "LSTM_VARIANTS_PROGRESS"


def quiet() -> bool:
    """Return True if the environment asks for no progress at all."""
    return os.environ.get(VARIABLE) == "none"


def print_line(line: str) -> None:
    """Print a line to standard error, as it is at this moment."""
    print(line, file=sys.stderr, flush=True)


def _has_a_terminal() -> bool:
    # the terminal belongs to the bar of the command, not to those of the processes that it has started
    return sys.stderr.isatty() and parent_process() is None


def left(done: int, total: int, seconds: float) -> str:
    """Return how long the rest of some work takes, if it goes on as before; empty where nothing is done yet.

    done, total: parts of the work.
    seconds: that the parts so far have taken.

    >>> left(12, 36, 10.0), left(0, 36, 10.0)
    ('about 20 s left', '')
    """
    return f"about {duration(seconds * (total - done) / done)} left" if done > 0 else ""


class Bar:
    """How many parts of some work are done. It is a context, at whose end a bar disappears.

    >>> clock = iter([0.0, 5.0, 6.0]).__next__
    >>> with Bar("importance", 36, terminal=False, clock=clock, tell=print) as bar:
    ...     bar.to(12)
    ...     bar.to(13)
    importance: 12 of 36, about 10 s left
    """

    def __init__(
        self,
        what: str,
        total: int,
        *,
        first: int = 0,
        terminal: bool | None = None,
        clock: Callable[[], float] = time.monotonic,
        tell: Callable[[str], None] = print_line,
    ) -> None:
        """Begin some work.

        what: the work.
        total: parts of it.
        first: parts that were done before.
        terminal: whether standard error is a terminal; None to find out.
        clock: returns the time in seconds; tests give another one.
        tell: prints a line.
        """
        self.what, self.total, self.done = what, total, first
        self._first, self._clock, self._tell = first, clock, tell
        self._quiet = quiet()
        self._terminal = _has_a_terminal() if terminal is None else terminal
        self._begun = self._clock()
        self._next = self._begun + QUICK_SECONDS
        self._bar: tqdm[Any] | None = None

    def __enter__(self) -> Bar:
        if self._terminal and not self._quiet:
            from tqdm import tqdm

            self._bar = tqdm(
                total=self.total,
                initial=self.done,
                desc=self.what,
                delay=QUICK_SECONDS,
                leave=False,
                dynamic_ncols=True,
                smoothing=0.05,
            )
        return self

    def __exit__(self, *failure: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def to(self, done: int, note: str = "") -> None:
        """Say that so many parts are done.

        done: parts, with those that were done before.
        note: what else is known at this moment, such as a loss.
        """
        before, self.done = self.done, done
        if self._bar is not None:
            if note:
                self._bar.set_postfix_str(note, refresh=False)
            self._bar.update(done - before)
        elif not self._quiet and done < self.total and (now := self._clock()) >= self._next:
            self._next = now + max(LINE_SECONDS, (now - self._begun) / 20)  # of a night there are not thousands
            rest = left(done - self._first, self.total - self._first, now - self._begun)
            self._tell(", ".join(part for part in (f"{self.what}: {done} of {self.total}", note, rest) if part))


class Progress:
    """How far a command is, whose work has several steps.

    >>> progress = Progress(terminal=False, clock=iter([0.0, 0.1, 3.0]).__next__, tell=print)
    >>> progress.step("reading")
    >>> progress.step("tables")
    tables
    """

    def __init__(
        self,
        *,
        silent: bool = False,
        terminal: bool | None = None,
        clock: Callable[[], float] = time.monotonic,
        tell: Callable[[str], None] = print_line,
    ) -> None:
        """Begin the work of a command.

        silent: whether to show nothing, as for work that no command has asked for.
        terminal: whether standard error is a terminal; None to find out.
        clock: returns the time in seconds; tests give another one.
        tell: prints a line.
        """
        self._silent = silent
        self._clock, self._tell = clock, tell
        self._bar = partial(Bar, terminal=terminal, clock=clock, tell=tell)
        self._last = 0.0 if silent else clock()

    def step(self, line: str) -> None:
        """Name the step that begins now, unless the one before was named in the last two seconds.

        line: the step.
        """
        if self._silent or quiet():
            return
        now = self._clock()
        if now - self._last >= QUICK_SECONDS:
            self._last = now
            self._tell(line)

    def follow(self, items: Iterable[T], what: str, total: int | None = None) -> Iterator[T]:
        """Yield items, and show how many of them are done.

        items: the parts of a step that are worked on one after the other; or, with `total`, results as they arrive.
        what: the step.
        total: number of results.

        >>> list(Progress(silent=True).follow([7, 8], "numbers"))
        [7, 8]
        """
        if self._silent:
            yield from items
            return
        begun = total is None  # an item that is yielded is not done yet
        if total is None:
            assert isinstance(items, Sized)
            total = len(items)
        with self._bar(what, total) as bar:
            for done, item in enumerate(items, 0 if begun else 1):
                bar.to(done)
                yield item
            bar.to(total)


SILENT = Progress(silent=True)
