"""The range of one hyperparameter, and how a coordinate in [0, 1) becomes a value in it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..rules import require


@dataclass(frozen=True, kw_only=True)
class Dimension:
    """The range of one hyperparameter.

    key: what it sets in a trial, `training.<name>` or `model.<name>`; empty where an archive does not say.
    low, high: ends of the range.
    log: whether values are uniform in the logarithm.
    integer: whether values are whole numbers; both ends are included.
    complement: whether the value is 1 minus what is drawn, as for the momentum of Greff et al. 2017.

    >>> rate = Dimension(key="training.learning_rate", low=1e-4, high=1e-2, log=True)
    >>> f"{rate.value(0.5):.3g}"
    '0.001'
    """

    key: str
    low: float
    high: float
    log: bool = False
    integer: bool = False
    complement: bool = False

    def __post_init__(self) -> None:
        require(self.low < self.high, f"space: low must be below high for {self.key}", (self.low, self.high))
        require(not self.log or self.low > 0, f"space: a log range must have low > 0 for {self.key}", self.low)

    @property
    def limits(self) -> tuple[float, float]:
        """Smallest and largest value."""
        return (1.0 - self.high, 1.0 - self.low) if self.complement else (self.low, self.high)

    @property
    def log_axis(self) -> bool:
        """Whether values are spread evenly on a logarithmic axis."""
        return self.log and not self.complement

    def value(self, u: float) -> float | int:
        """Return the value at a coordinate.

        u: in [0, 1).
        """
        low, high = self._ends
        drawn = math.exp(math.log(low) + u * (math.log(high) - math.log(low))) if self.log else low + u * (high - low)
        if self.integer:
            return int(min(self.high, max(self.low, round(drawn))))
        drawn = min(high, max(low, drawn))
        return 1.0 - drawn if self.complement else drawn

    def coordinate(self, value: float | int) -> float:
        """Return the coordinate in [0, 1] of a value, the inverse of `value`.

        A whole number stands for a part of [0, 1); its coordinate lies inside that part.
        """
        low, high = self._ends
        drawn = 1.0 - value if self.complement else value
        u = math.log(drawn / low) / math.log(high / low) if self.log else (drawn - low) / (high - low)
        return min(1.0, max(0.0, u))

    @property
    def _ends(self) -> tuple[float, float]:
        # Half a unit more at both ends, so that the first and the last whole number get the share of the others.
        return (self.low - 0.5, self.high + 0.5) if self.integer else (self.low, self.high)
