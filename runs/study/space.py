"""The range of one hyperparameter, and how a coordinate in [0, 1) becomes a value in it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..console.known import meant
from ..rules import require

OF_VARIANT = "variant."
"""How the key of a hyperparameter begins that is a knob of the variants."""


@dataclass(frozen=True, kw_only=True)
class Dimension:
    """The range of one hyperparameter.

    key: what it sets in a trial, `training.<name>`, `model.<name>` or `variant.<knob>`; empty where an archive does not
        say. Variants that do not have the knob ignore it.
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
    def knob(self) -> str:
        """The knob of a variant that it sets, empty where it sets something else.

        >>> Dimension(key="variant.keep_bias", low=0, high=5).knob
        'keep_bias'
        """
        return self.key.removeprefix(OF_VARIANT) if self.key.startswith(OF_VARIANT) else ""

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


def check_knobs(
    space: Mapping[str, Dimension],
    variants: Mapping[str, Mapping[str, Any]],
    defaults: Mapping[str, Mapping[str, Any]],
) -> None:
    """Check those hyperparameters of a space that are knobs of its variants.

    space: name of a hyperparameter to its range.
    variants: label to configuration node.
    defaults: label to the knobs of the class of a variant, with their defaults.

    Raises ValueError for a knob that no variant has or that is no number, and for a variant that sets it itself.
    """
    for name, dimension in space.items():
        knob = dimension.knob
        having = {label: knobs[knob] for label, knobs in defaults.items() if knob in knobs}
        if knob and not having:
            near = meant(knob, sorted({other for knobs in defaults.values() for other in knobs}))
            raise ValueError(f"space.{name}.key must be a knob that a variant has, got {dimension.key!r}{near}")
        for label, default in having.items():
            number = isinstance(default, int | float) and not isinstance(default, bool)
            require(number, f"space.{name}.key must be that of a number", dimension.key)
            whole = isinstance(default, float) or dimension.integer
            require(whole, f"space.{name}.integer must be true for {knob} of {label}", dimension.integer)
            rule = f"the node of variant {label} must have {knob}, which the study searches in space.{name}"
            require(knob in variants[label], rule, dict(variants[label]))
            own = variants[label][knob]
            if own != default:
                out = f"~space.{name} takes it out of the search"
                raise ValueError(f"variant {label} sets {knob}={own}, which the study searches in space.{name}; {out}")
