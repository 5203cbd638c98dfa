"""Tables of Markdown."""

from __future__ import annotations

from collections.abc import Sequence


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a table of Markdown.

    >>> print(table(["cell", "rate"], [["a|b", "53 %"]]))
    | cell | rate |
    | --- | --- |
    | a\\|b | 53 % |
    """
    lines = [list(heads), ["---"] * len(heads), *([cell.replace("|", r"\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
