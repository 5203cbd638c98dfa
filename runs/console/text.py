"""Lines that fit the terminal."""

from __future__ import annotations

import os
import re
import shutil
import sys
import textwrap
from collections.abc import Sequence
from contextlib import nullcontext
from typing import TextIO

_JOINED = "\0"  # stands for a blank at which a line is not broken
LONGEST = 120  # columns of a line, however wide the terminal is


def width() -> int:
    """Return the number of columns of the terminal, from 60 to 120; it is 100 if there is no terminal."""
    return min(max(60, shutil.get_terminal_size((100, 24)).columns), LONGEST)


def wrapped(line: str, columns: int, indent: str = "") -> str:
    """Return a line broken between words if it is too long.

    What stands in backquotes stays together, so that it can be copied. A line of a drawing or a formula, which begins
    with a blank, is not broken between words. Only the remark to its right, behind its widest gap, goes on below
    itself, or below the drawing where it has too little room.

    line: the text.
    columns: length of the longest line.
    indent: what stands before every line but the first.

    >>> print(wrapped("Store a cue and name it when the query comes.", 24, "  "))
    Store a cue and name it
      when the query comes.
    >>> print(wrapped("  a+b    the sum of both", 16))
      a+b    the sum
             of both
    """
    if len(line) <= columns:
        return line
    return _with_remark(line, columns) if line.startswith(" ") else _filled(line, columns, "", indent)


def _with_remark(line: str, columns: int) -> str:
    """Return a line of a drawing with its remark broken or below it; as it is if it has no remark."""
    gaps = list(re.finditer(r"(?<=\S)\s{3,}(?=\S)", line))
    if not gaps:
        return line
    widest = max(reversed(gaps), key=lambda gap: len(gap[0]))
    drawn, remark = line[: widest.end()], line[widest.end() :]
    if len(drawn) <= columns * 2 // 3:
        return _filled(remark, columns, drawn, " " * len(drawn))
    below = " " * 8
    return f"{wrapped(drawn.rstrip(), columns)}\n{_filled(remark, columns, below, below)}"


def _filled(text: str, columns: int, first: str, later: str) -> str:
    """Return a text broken between words, but not inside backquotes.

    first, later: what stands before the first line, and before each of the others.
    """
    kept = re.sub(r"`[^`\n]*`", lambda quoted: quoted[0].replace(" ", _JOINED), text)
    filled = textwrap.fill(
        kept,
        columns,
        initial_indent=first,
        subsequent_indent=later,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return filled.replace(_JOINED, " ")


def table(rows: Sequence[tuple[Sequence[str], str]], columns: int) -> str:
    """Return rows of short cells in columns, each followed by a text whose lines begin under each other.

    rows: the cells of each row and its text. A column in which there is a number is aligned to the right.
    columns: length of the longest line. Where the cells leave less than a third of it, the text begins below them.
    """
    widths = [max(len(cells[k]) for cells, _ in rows) for k in range(len(rows[0][0]))]
    right = [any(cells[k] and _is_number(cells[k]) for cells, _ in rows) for k in range(len(widths))]
    lines = []
    for cells, text in rows:
        before = "  ".join(c.rjust(w) if r else c.ljust(w) for c, w, r in zip(cells, widths, right, strict=True)) + "  "
        if len(before) > columns * 2 // 3:
            lines.append(before.rstrip())
            before = "    "
        lines.append(_filled(text, columns, before, " " * len(before)))
    return "\n".join(lines)


def grid(heads: Sequence[str], rows: Sequence[Sequence[str]], columns: int) -> str:
    """Return rows of names and numbers in columns under their heads.

    Numbers are aligned to the right, with the head of a column of numbers. Where the rows are too long, columns move
    together, and where that is not enough, the numbers stand below the name that begins the row.

    heads: of the columns.
    rows: of cells, as many as there are heads.
    columns: length of the longest line.

    >>> print(grid(["variant", "solved", "s"], [["gru", "8", "1.5"], ["vanilla", "10", ""]], 80))
    variant  solved    s
    gru           8  1.5
    vanilla      10
    """
    every = [list(heads), *map(list, rows)]
    widths = [max(len(row[k]) for row in every) for k in range(len(heads))]
    right = [all(_is_number(row[k]) for row in rows) for k in range(len(heads))]
    right[0] = False
    gap = "  " if sum(widths) + 2 * (len(widths) - 1) <= columns else " "
    cells = [[c.rjust(w) if r else c.ljust(w) for c, w, r in zip(row, widths, right, strict=True)] for row in every]
    if sum(widths) + len(widths) - 1 <= columns:
        return "\n".join(gap.join(row).rstrip() for row in cells)
    indent = " " * 4
    return "\n".join(f"{row[0].rstrip()}\n{indent}{gap.join(row[1:])}".rstrip() for row in cells)


def _is_number(text: str) -> bool:
    """Return whether a cell is a number, such as `1,250`, `.73` or `64%`, or empty."""
    return re.fullmatch(r"[-+]?[\d.,]*(?:e[-+]?\d+)?%?|nan|-", text) is not None


def say(text: str) -> None:
    """Print lines at once, each broken between words if it is longer than the terminal is wide.

    A command to copy stands on a line of its own that begins with blanks, and stays whole; so does a path. Where a bar
    shows how far work is, the lines stand above it.
    """
    lines = "\n".join(wrapped(line, width(), "  ") for line in text.splitlines())
    with sys.modules["tqdm"].tqdm.external_write_mode() if "tqdm" in sys.modules else nullcontext():
        print(lines, flush=True)


def complain(message: object) -> None:
    """Print a mistake on stderr, which is one line in a file or a pipe, and is broken between words on a terminal."""
    line = f"error: {message}"
    print(wrapped(line, width(), "  ") if sys.stderr.isatty() else line, file=sys.stderr, flush=True)


def loud(text: str, stream: TextIO) -> str:
    """Return a text in bold red if it goes to a terminal, as it is if it goes to a file or NO_COLOR is set.

    stream: that it will be printed to.
    """
    coloured = stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return f"\033[1;31m{text}\033[0m" if coloured else text


def counted(number: int, what: str) -> str:
    """Return a number of things in words.

    >>> counted(1, "trial"), counted(2, "trial")
    ('1 trial', '2 trials')
    """
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def duration(seconds: float) -> str:
    """Return a time in hours, minutes or seconds.

    >>> duration(90), duration(91), duration(5400), duration(5401)
    ('90 s', '2 min', '90 min', '1.5 h')
    """
    if seconds > 5400:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 60:.0f} min" if seconds > 90 else f"{seconds:.0f} s"
