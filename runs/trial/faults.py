"""What ends a trial before its time: somebody's wish, a limit of time, or a machine that lacks something."""

from __future__ import annotations

import errno
import os


class Interrupted(Exception):
    """The trial was asked to stop before its end; it has no outcome."""


class OutOfTime(Exception):
    """The trial has taken more time than it was given."""


class MachineFault(Exception):
    """The machine could not run the trial: no memory, no open file left, a full disk.

    The same trial may work another time.
    """


class Pruned(Exception):
    """The pruner of a search gave the trial up."""


SHORTAGES = (
    *(
        os.strerror(code).lower()
        for code in (errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EDQUOT, errno.EIO)
    ),
    "can't allocate memory",
    "not enough memory",
    "out of memory",
    "can't start new thread",
)
"""How libraries word what the system refused them.

Not every one raises OSError: torch's allocators raise RuntimeError, and a library that cannot be loaded ImportError.
"""


def is_of_the_machine(error: BaseException | None) -> bool:
    """Return True if an error, or one that caused it, says that the machine lacked something.

    error: as it was caught. Its chain of causes (`raise ... from ...`) is followed; None ends it.

    >>> is_of_the_machine(OSError(28, "No space left on device")), is_of_the_machine(ValueError("no such knob"))
    (True, False)
    """
    while error is not None:
        if isinstance(error, OSError | MemoryError) or any(words in str(error).lower() for words in SHORTAGES):
            return True
        error = error.__cause__
    return False
