"""Numbers as the sentences of the page write them."""

from __future__ import annotations


def percent(share: float) -> str:
    """Return a share as text.

    >>> percent(0.953)
    '95 %'
    """
    return f"{100 * share:.0f} %"


def many(number: int, what: str) -> str:
    """Return a number of things as text, with a comma between thousands.

    >>> many(1751, "cell"), many(1, "cell")
    ('1,751 cells', '1 cell')
    """
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def thousandths(value: float | None) -> str:
    """Return a number with three decimals as text, a dash where there is none.

    >>> thousandths(-0.074), thousandths(-0.0001), thousandths(None)
    ('−0.074', '0.000', '–')
    """
    return "–" if value is None else f"{round(value, 3) + 0.0:.3f}".replace("-", "−")
