"""The options of a recurrent module, which both kinds of modules take as keyword arguments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypedDict

import torch

from ..initialisation import Scheme, Stream


@dataclass(frozen=True, kw_only=True)
class Options:
    """What can be chosen of a recurrent module besides its cell and sizes.

    layers: how many layers stand one above the other.
    bidirectional: whether a second cell reads the input of each layer backwards in time; outputs are twice as wide.
    engine: "auto" (fused where possible), "eager" or "fused".
    initialisation: how parameters start, a scheme or its name; by default `glorot_orthogonal`, for the
        `native` controls `uniform_fan`.
    stream: gives the random generators for parameters and masks; by default `streams(0)`, so that two modules that are
        built without a stream start with equal weights and draw equal masks.
    dropout: rate of dropout between layers, with a fresh mask at every step, in [0, 1).
    recurrent_dropout: rate of dropout on what the recurrent matrices see, with one mask per sequence, in [0, 1).
    zoneout: rate at which a unit keeps its state, in [0, 1); one for all fields that remember, or by field.
    layer_norm: whether each pre-activation is normalised over the units, `g * (v - mean) / deviation + b` with a
        learned gain g. It needs the eager engine. (Ba, Kiros & Hinton 2016, "Layer Normalization", section 3.1)
    generator: where the masks of the regularisers come from; by default the stream "masks".
    """

    layers: int = 1
    bidirectional: bool = False
    engine: str = "auto"
    initialisation: Scheme | str | None = None
    stream: Stream | None = None
    dropout: float = 0.0
    recurrent_dropout: float = 0.0
    zoneout: float | Mapping[str, float] = 0.0
    layer_norm: bool = False
    generator: torch.Generator | None = None


class GivenOptions(TypedDict, total=False):
    """The same names as keyword arguments, so that a type checker knows them; a test holds the two together."""

    layers: int
    bidirectional: bool
    engine: str
    initialisation: Scheme | str | None
    stream: Stream | None
    dropout: float
    recurrent_dropout: float
    zoneout: float | Mapping[str, float]
    layer_norm: bool
    generator: torch.Generator | None
