"""Standard output and standard error whose reader, such as `head`, may take the beginning only."""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class Outlet(io.FileIO):
    """An open file that drops what is written to it once its reader has gone.

    What the process does goes on: a study is finished and a report is written also if nobody reads their lines.
    """

    def write(self, data: ReadableBuffer, /) -> int:
        """Write bytes; return how many were written, or dropped."""
        try:
            return super().write(data)
        except BrokenPipeError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())  # also for what other processes and libraries write to it
            os.close(nowhere)
            return memoryview(data).nbytes


def outlive_readers() -> None:
    """Let this process go on quietly where the reader of its output or of its messages has gone."""
    sys.stdout, sys.stderr = _outlet(sys.stdout), _outlet(sys.stderr)


def _outlet(stream: TextIO) -> TextIO:
    """Return a stream like this one that writes to an `Outlet`; the stream itself if it is not that of the process."""
    if not isinstance(stream, io.TextIOWrapper) or stream not in (sys.__stdout__, sys.__stderr__):
        return stream
    stream.flush()
    outlet = Outlet(stream.fileno(), "w", closefd=False)
    unbuffered = stream.write_through  # as `python -u` and PYTHONUNBUFFERED ask for
    return io.TextIOWrapper(
        outlet if unbuffered else io.BufferedWriter(outlet),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=unbuffered,
    )
