"""Equations as HTML: subscripts, primes and Greek letters in place of the plain text of docstrings."""

from __future__ import annotations

import re
from html import escape

from .words import spoken

_SIGNS = (
    (r"\bs\(", "σ("),
    (r"\s?\*\s?", " · "),
    (r"'", "′"),
    (r"\bsqrt\(", "√("),
    ("<=", "≤"),
    (">=", "≥"),
    (r"(?<=\s)-(?=\s)", "−"),
    (r"(?<=\d)-(?=[A-Za-z])", " − "),
)
_COMMENT = re.compile(r"\s{3,}")


def typeset(text: str) -> str:
    """Return a formula in plain text as safe HTML.

    >>> typeset("f = s(W_f x + R_f y' + b_f)")
    'f = σ(W<sub>f</sub> x + R<sub>f</sub> y′ + b<sub>f</sub>)'
    >>> typeset("4H^2, (1-u)*n")
    '4H<sup>2</sup>, (1 − u) · n'
    """
    for pattern, sign in _SIGNS:
        text = re.sub(pattern, sign, text)
    lowered = re.sub(r"(?<![A-Za-z])([A-Za-z]|[A-Za-z]\w*?)_(\w+)", _subscript, escape(text, quote=False))
    return re.sub(r"\^(\w)", r"<sup>\1</sup>", lowered)


def _subscript(found: re.Match[str]) -> str:
    letter, below = found.groups()
    if len(letter) > 1:  # a name of several letters, such as new_h_time, is a word
        return found.group()
    return f"{letter}<sub>{below.replace('_', ',')}</sub>"


def typeset_lines(lines: list[str]) -> list[list[str]]:
    """Return the lines of a block of equations as HTML, each as its columns: the equation, then what is said of it.

    >>> typeset_lines(["h = u*h'      a comment"])
    [['h = u · h′', 'a comment']]
    """
    return [[typeset(column) for column in _COMMENT.split(line.strip())] for line in lines]


def readable(text: str) -> str:
    """Return a sentence of a docstring with names in words instead of code in backticks.

    >>> readable("Differs from `no_forget_gate` in `g`.")
    'Differs from LSTM without forget gate in g.'
    """
    return re.sub(r"`(\w+)`", lambda found: spoken(found[1]), text)
