"""Numbers as the sentences of the page write them."""

from __future__ import annotations


def percent(share: float) -> str:
    """Return a share as text.

    >>> percent(0.953)
    '95 %'
    """
    return f"{100 * share:.0f} %"
