"""Small tasks for tests: answers at every step of sequences of several lengths, and data in parts."""

import hashlib
from typing import ClassVar

import torch
from torch import Tensor

from tasks import Batch, DataTask
from tasks.task import Classification, MultiLabel, Regression

WIDTH = 3
"""Inputs, and outputs, of these tasks."""


def every_step(inputs: Tensor, targets: Tensor, lengths: Tensor) -> Batch:
    """Return a batch that is asked at every step of each sequence; what comes after its end has no weight."""
    steps = torch.arange(len(inputs)).view(-1, 1)
    there = steps < lengths
    targets = torch.where(there.unsqueeze(-1), targets, 0.0) if targets.dim() == 3 else torch.where(there, targets, 0)
    return Batch(inputs, targets, torch.where(there, steps, 0), lengths, there.float())


class _EveryStep:
    """Sequences of 1 to `lag` steps."""

    input_size = output_size = WIDTH
    floor = 1.0
    solved_loss: float | None = 0.1

    def __init__(self, *, lag: int = 9) -> None:
        self.lag = lag

    def batch(self, size: int, generator: torch.Generator) -> Batch:
        inputs = torch.randn(self.lag, size, WIDTH, generator=generator)
        lengths = torch.randint(1, self.lag + 1, (size,), generator=generator)
        lengths[0] = self.lag
        batch = every_step(inputs, self.targets(inputs, generator), lengths)
        return batch._replace(weights=batch.weights * (1 + torch.rand(self.lag, size, generator=generator)))

    def targets(self, inputs: Tensor, generator: torch.Generator) -> Tensor:
        return torch.randn(inputs.shape, generator=generator)

    def solved(self, metrics: dict[str, float]) -> bool:
        return metrics["loss"] < 0.1


class Numbers(_EveryStep, Regression):
    """Real numbers at every step."""


class Letters(_EveryStep, Classification):
    """Classes at every step."""

    def targets(self, inputs: Tensor, generator: torch.Generator) -> Tensor:
        return torch.randint(WIDTH, inputs.shape[:2], generator=generator)


class Keys(_EveryStep, MultiLabel):
    """Probabilities at every step."""

    floor = 3.0

    def targets(self, inputs: Tensor, generator: torch.Generator) -> Tensor:
        return torch.rand(inputs.shape, generator=generator)


WEIGHTED = {cls.__name__: cls() for cls in (Numbers, Letters, Keys)}


class Tunes(DataTask, MultiLabel):
    """The chord that comes next, in made-up tunes of 3 to 12 chords.

    seed: of the tunes.
    """

    sizes: ClassVar[dict[str, int]] = {"train": 11, "validation": 5, "test": 4}
    input_size = output_size = WIDTH
    floor = 2.0
    reference = 1.5
    reference_source = "nobody's"
    causal = True

    def __init__(self, *, seed: int = 0, sha256: str = "") -> None:
        source = torch.Generator().manual_seed(seed)
        self._parts = {name: self._drawn(size, source) for name, size in self.sizes.items()}
        digest = hashlib.sha256()
        for part in self._parts.values():
            digest.update(part.inputs.numpy().tobytes())
        self.fingerprint = digest.hexdigest()
        self.check_fingerprint(sha256)

    def _drawn(self, size: int, source: torch.Generator) -> Batch:
        lengths = torch.randint(3, 13, (size,), generator=source)
        start = torch.randint(WIDTH, (size,), generator=source)
        keys = (torch.arange(14).view(-1, 1) + start) % WIDTH  # [14, B]
        chords = torch.nn.functional.one_hot(keys, WIDTH).float()
        there = (torch.arange(13).view(-1, 1) < lengths).unsqueeze(-1)
        return every_step(torch.where(there, chords[:-1], 0.0), chords[1:], lengths)

    def part(self, name: str) -> Batch:
        return self._parts[name]
