"""What to run and what happened: a `Trial` is a hashable description, an `Outcome` the record of having run it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

STATUSES = ("solved", "finished", "diverged", "failed")


@dataclass(frozen=True, kw_only=True)
class Model:
    """The network around a cell.

    hidden_size: units per layer and direction.
    layers: number of recurrent layers.
    bidirectional: whether each layer also reads backwards.
    engine: auto, eager or fused.
    """

    hidden_size: int = 32
    layers: int = 1
    bidirectional: bool = False
    engine: str = "auto"


@dataclass(frozen=True, kw_only=True)
class Training:
    """How a model is trained.

    optimiser: adam, or nesterov (SGD with Nesterov momentum, its learning rate scaled by 1 - momentum as in Greff et al. 2017, III).
    learning_rate: step size.
    momentum: of nesterov.
    batch_size: sequences per step.
    budget: largest number of steps (updates).
    clip_norm: largest norm of the gradient, 0 for no clipping.
    input_noise: standard deviation of Gaussian noise on the inputs during training.
    evaluations: number of log-spaced evaluations, besides the one before the first step.
    confirmations: consecutive evaluations within the criterion that make a trial solved.
    patience: evaluations without improvement after which to stop, 0 for never (Greff: 15).
    stop_when_solved: whether to stop at the evaluation that confirms the solution.
    """

    optimiser: str = "adam"
    learning_rate: float = 3e-3
    momentum: float = 0.9
    batch_size: int = 32
    budget: int = 2000
    clip_norm: float = 1.0
    input_noise: float = 0.0
    evaluations: int = 40
    confirmations: int = 2
    patience: int = 0
    stop_when_solved: bool = True


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One variant trained once on one task, as plain values.

    variant, task, initialisation: `_target_`, a dotted path, and the knobs; `label` is the name shown for it.
    seed: of initialisation, training data and noise. data_seed: of the validation and test sets.
    """

    variant: Mapping[str, Any]
    task: Mapping[str, Any]
    initialisation: Mapping[str, Any]
    model: Model = field(default_factory=Model)
    training: Training = field(default_factory=Training)
    seed: int = 0
    data_seed: int = 0

    @property
    def id(self) -> str:
        """Hash of the canonical JSON: same trial, same id, whoever runs it."""
        text = json.dumps(self.as_dict(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def as_dict(self) -> dict[str, Any]:
        """Plain nested dictionaries, the inverse of `from_dict`."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Trial:
        """A trial from nested dictionaries."""
        return cls(**{**values, "model": Model(**values["model"]), "training": Training(**values["training"])})


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What happened in a trial.

    status: solved, finished (budget spent or patience lost), diverged or failed.
    steps: updates made. sequences: training sequences seen.
    solved_step: update of the first of the evaluations that confirmed the solution, None if unsolved.
    best_step, validation_loss: where the validation loss was lowest, and its value.
    test_loss, test_metrics: on the test set with the parameters of `best_step`.
    score: of the test loss, in [0, 1].
    curve_steps, curve_losses: validation curve. train_losses: mean training loss since the evaluation before (None at step 0).
    parameters: trainable values. flops_per_step: of the products of one forward pass per sequence and time step.
    seconds: wall time. engine: which ran. error: of a failed trial.
    """

    status: str
    steps: int = 0
    sequences: int = 0
    solved_step: int | None = None
    best_step: int = 0
    validation_loss: float | None = None
    test_loss: float | None = None
    test_metrics: Mapping[str, float] = field(default_factory=dict)
    score: float = 0.0
    curve_steps: tuple[int, ...] = ()
    curve_losses: tuple[float, ...] = ()
    train_losses: tuple[float | None, ...] = ()
    parameters: int = 0
    flops_per_step: int = 0
    seconds: float = 0.0
    engine: str = ""
    error: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Plain values, the inverse of `from_dict`."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Outcome:
        """An outcome from plain values."""
        known = {f.name for f in fields(cls)}
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items() if k in known})
