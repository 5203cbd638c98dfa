"""What to run and what happened: a `Trial` is a hashable description, an `Outcome` the record of having run it."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from ..rules import require, require_one_of
from .classes import present_node

OPTIMISERS = ("adam", "nesterov")
ENGINES = ("auto", "eager", "fused")  # as in `variants.engine`, which imports torch


@dataclass(frozen=True, kw_only=True)
class Model:
    """The network around a cell.

    hidden_size: units per layer and direction.
    layers: number of recurrent layers.
    bidirectional: whether each layer also reads backwards.
    engine: auto, eager or fused.
    dropout: rate at which values between two layers are set to 0, with a new mask at every step; needs two layers.
    recurrent_dropout: rate at which what the recurrent matrices see is set to 0, with one mask for a whole sequence.
    zoneout: probability that a unit keeps its value from the step before; one number for every field of the state that
        remembers, or numbers by field as in {c: 0.5, y: 0.05}.
    layer_norm: whether every pre-activation is normalised over the units of its layer, by the eager engine.

    Archives of versions that had none of the last four are read with these defaults, which switch them off.
    """

    hidden_size: int = 32
    layers: int = 1
    bidirectional: bool = False
    engine: str = "auto"
    dropout: float = 0.0
    recurrent_dropout: float = 0.0
    zoneout: float | Mapping[str, float] = field(default=0.0, hash=False)  # a mapping has no hash
    layer_norm: bool = False

    def __post_init__(self) -> None:
        require(self.hidden_size >= 1, "model.hidden_size must be at least 1", self.hidden_size)
        require(self.layers >= 1, "model.layers must be at least 1", self.layers)
        require_one_of("model.engine", self.engine, ENGINES)
        rates = {"dropout": self.dropout, "recurrent_dropout": self.recurrent_dropout}
        if isinstance(self.zoneout, Mapping):
            rates |= {f"zoneout.{name}": rate for name, rate in self.zoneout.items()}
        else:
            rates["zoneout"] = self.zoneout
        for name, rate in rates.items():
            number = isinstance(rate, int | float) and not isinstance(rate, bool)
            require(number and 0 <= rate < 1, f"model.{name} must be in [0, 1)", rate)
        if self.dropout > 0:
            require(self.layers >= 2, "model.layers must be at least 2 with model.dropout", self.layers)
        if self.layer_norm:
            require(self.engine != "fused", "model.engine must be auto or eager with model.layer_norm", self.engine)

    @property
    def regularised(self) -> bool:
        """Whether an option is on that a control of the library does not have."""
        return bool(self.dropout or self.recurrent_dropout or self.zoneout or self.layer_norm)


@dataclass(frozen=True, kw_only=True)
class Training:
    """How a model is trained.

    optimiser: adam, or nesterov (SGD with Nesterov momentum, its learning rate scaled by 1 - momentum as in Greff et
        al. 2017, III).
    learning_rate: step size.
    momentum: of the optimiser nesterov.
    batch_size: sequences per step.
    budget: largest number of steps (updates).
    clip_norm: largest norm of the gradient, 0 for no clipping.
    input_noise: standard deviation of Gaussian noise on the inputs during training.
    evaluations: number of log-spaced evaluations, besides the one before the first step.
    confirmations: consecutive evaluations within the criterion that make a trial solved.
    evaluation_sequences: size of the validation and of the test set, 0 for what the task's criterion asks for.
    curve_sequences: how many sequences of the validation set an evaluation uses, 0 for all; the others are used where
        these meet the criterion, and at the end.
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
    evaluation_sequences: int = 0
    curve_sequences: int = 256
    stop_when_solved: bool = True

    def __post_init__(self) -> None:
        require_one_of("training.optimiser", self.optimiser, OPTIMISERS)
        require(
            0 < self.learning_rate < math.inf, "training.learning_rate must be positive and finite", self.learning_rate
        )
        require(0 <= self.momentum < 1, "training.momentum must be in [0, 1)", self.momentum)
        for name in ("batch_size", "budget", "evaluations", "confirmations"):
            require(getattr(self, name) >= 1, f"training.{name} must be at least 1", getattr(self, name))
        for name in ("clip_norm", "input_noise", "patience", "evaluation_sequences", "curve_sequences"):
            require(getattr(self, name) >= 0, f"training.{name} must be 0 or more", getattr(self, name))


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

    def __post_init__(self) -> None:
        for part in ("variant", "task", "initialisation"):
            object.__setattr__(self, part, present_node(getattr(self, part)))

    @property
    def id(self) -> str:
        """Hash of the canonical JSON: same trial, same id, whoever runs it."""
        # as `as_dict` has it, without its copies
        own = {**vars(self), "model": vars(self.model), "training": vars(self.training)}
        text = json.dumps(own, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def as_dict(self) -> dict[str, Any]:
        """Return plain nested dictionaries, the inverse of `from_dict`."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Trial:
        """Return a trial from nested dictionaries."""
        return cls(**{**values, "model": Model(**values["model"]), "training": Training(**values["training"])})


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What happened in a trial.

    status: solved, finished (budget spent or patience lost), diverged, pruned (stopped by the pruner of a search) or
        failed.
    steps: updates made.
    sequences: training sequences seen.
    solved_step: update of the first of the evaluations that confirmed the solution, None if unsolved.
    best_step, validation_loss: where the validation loss was lowest, and its value.
    test_loss, test_metrics: on the test set with the parameters of `best_step`.
    score: in [0, 1], of the test loss on the task's log scale; 1 when solved, since a solved trial stops and its loss
        says no more.
    curve_steps, curve_losses: validation curve.
    train_losses: mean training loss since the evaluation before, None at step 0.
    parameters: trainable values.
    flops_per_step: of the products of one forward pass, per sequence and time step.
    kept: mean share of the state that a step keeps at the start of training, 1 for a cell that never forgets; None
        where no gate decides it.
    seconds: wall time.
    engine: which ran.
    why_eager: why the eager engine ran where a faster one was asked for.
    error: of a failed trial.
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
    kept: float | None = None
    seconds: float = 0.0
    engine: str = ""
    why_eager: str = ""
    error: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, the inverse of `from_dict`."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Outcome:
        """Return an outcome from plain values."""
        known = {f.name for f in fields(cls)}
        plain: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items() if k in known}
        return cls(**plain)
