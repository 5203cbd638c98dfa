"""A part of a study: the trials that one of several machines runs which share nothing but the design."""

from __future__ import annotations

import re
from typing import NamedTuple

from ..rules import require


class Part(NamedTuple):
    """Every n-th trial of each pair of a task and a variant, where there are n parts. It is not part of the design.

    number: of this part, from 1. of: how many parts there are.
    """

    number: int = 1
    of: int = 1

    @classmethod
    def read(cls, text: str) -> Part:
        """Return the part that a text such as `1/2` names; an empty one names the whole study.

        Raises ValueError for any other text.

        >>> Part.read("2/3")
        Part(number=2, of=3)
        """
        if not text:
            return WHOLE
        found = re.fullmatch(r"([0-9]{1,4})/([0-9]{1,4})", text)
        number, of = map(int, found.groups()) if found else (0, 0)
        require(1 <= number <= of, "part must be K/N with K from 1 to N, as in part=1/2", text)
        return cls(number, of)

    @property
    def whole(self) -> bool:
        """Whether it is the whole study."""
        return self.of == 1

    def has(self, index: int) -> bool:
        """Return whether a trial belongs to this part.

        index: its number in the plan, which is its point in a search.

        >>> [index for index in range(6) if Part(2, 3).has(index)]
        [1, 4]
        """
        return index % self.of == self.number - 1

    def __str__(self) -> str:
        return f"part {self.number}/{self.of}"


WHOLE = Part()
