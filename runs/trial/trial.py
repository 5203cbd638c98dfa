"""What to run and what happened: a `Trial` is a hashable description, an `Outcome` the record of having run it."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from ..rules import require, require_one_of
from .classes import present_node

OPTIMISERS = ("adam", "nesterov", "sgd")
LOSSES = ("mean", "sum")
CRITERIA = ("held_out", "training")
OF_THE_TASK = ("lag", "floor", "solved_loss", "reference", "reference_source", "unit", "unit_scale")
"""The attributes of a task that an outcome says; they are columns of the table of trials."""
OF_THE_RUN = ("seconds", "why_eager", "update", "why_autograd")
"""What an outcome says of how it was computed; it differs between machines where all numbers are the same."""
ENGINES = ("auto", "eager", "fused")  # as in `variants.engine`, which imports torch
READER: Mapping[str, Any] = {"_target_": "runs.networks.Reader", "label": "reader"}
"""The network of a trial that names no other; it is left out of the plain values and the id of a trial."""


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
        """Whether an option is on that a control does not have."""
        return bool(self.dropout or self.recurrent_dropout or self.zoneout or self.layer_norm)


@dataclass(frozen=True, kw_only=True)
class Training:
    """How a model is trained, and when its task is solved.

    A look is an evaluation during training: before the first update, and then `evaluations` times at even distances or
    once per epoch. A trial is solved at the first look that meets the task's criterion on the validation set and, at
    once, on each of `confirmations` sets of fresh sequences that no look has used before.

    With `criterion: training` it is solved at the first update at which the criterion is met by the mean metrics of the
    most recent training sequences, as many as the task's `evaluation_size`, each as it was trained on. (Hochreiter &
    Schmidhuber 1997, "Long Short-Term Memory", section 5, stop so.)

    optimiser: adam, nesterov (SGD with Nesterov momentum, its learning rate scaled by 1 - momentum as in Greff et al.
        2017, III), or sgd (plain SGD).
    learning_rate: step size.
    momentum: of the optimiser nesterov.
    batch_size: sequences per update.
    budget: largest number of updates, where `epochs` is 0.
    training_sequences: size of a fixed training set, which each epoch uses in a new order; its last batch may be
        smaller. 0 for fresh sequences in every batch, without end, or for all that a task with data has.
    epochs: how often the training set is used, 0 where `budget` decides. With it there is one look per epoch.
    loss: mean, or sum: over the answers of a sequence, averaged over sequences. It decides the gradient alone; every
        loss that is recorded is the task's mean.
    clip_norm: largest norm of the gradient, 0 for no clipping.
    input_noise: standard deviation of Gaussian noise on the inputs during training.
    evaluations: number of evenly spaced looks, besides the one before the first update, where `epochs` is 0.
    criterion: held_out or training, on which sequences the task's criterion must be met.
    confirmations: number of fresh sets on which the criterion must be met too, 0 for none. Each has as many sequences
        as the task's criterion asks for, or as the validation set where that is larger.
    patience: looks without improvement after which to stop, 0 for never (Greff: 15 epochs).
    evaluation_sequences: size of the validation and of the test set, 0 for what the task's criterion asks for. Of a
        task with data at most as many are taken, 0 for all.
    curve_sequences: how many sequences of the validation set a look uses, 0 for all; the others are used where these
        meet the criterion, and at the end.
    stop_when_solved: whether to stop as soon as the task is solved.

    Trials of versions that had no `training_sequences`, `epochs`, `loss` and `criterion` are read with these defaults.
    Their evaluations were log-spaced, and `confirmations` were consecutive ones.

    >>> Training(training_sequences=100, epochs=5).updates  # an epoch is three batches of 32 and one of 4
    20
    """

    optimiser: str = "adam"
    learning_rate: float = 3e-3
    momentum: float = 0.9
    batch_size: int = 32
    budget: int = 2000
    training_sequences: int = 0
    epochs: int = 0
    loss: str = "mean"
    clip_norm: float = 1.0
    input_noise: float = 0.0
    evaluations: int = 40
    criterion: str = "held_out"
    confirmations: int = 1
    patience: int = 0
    evaluation_sequences: int = 0
    curve_sequences: int = 256
    stop_when_solved: bool = True

    def __post_init__(self) -> None:
        require_one_of("training.optimiser", self.optimiser, OPTIMISERS)
        require_one_of("training.loss", self.loss, LOSSES)
        require_one_of("training.criterion", self.criterion, CRITERIA)
        require(
            0 < self.learning_rate < math.inf, "training.learning_rate must be positive and finite", self.learning_rate
        )
        require(0 <= self.momentum < 1, "training.momentum must be in [0, 1)", self.momentum)
        for name in ("batch_size", "budget", "evaluations"):
            require(getattr(self, name) >= 1, f"training.{name} must be at least 1", getattr(self, name))
        for name in (
            *("clip_norm", "input_noise", "training_sequences", "epochs"),
            *("confirmations", "patience", "evaluation_sequences", "curve_sequences"),
        ):
            require(getattr(self, name) >= 0, f"training.{name} must be 0 or more", getattr(self, name))
        size = self.training_sequences
        if size > 0:
            rule = f"training.batch_size must be at most training.training_sequences ({size})"
            require(self.batch_size <= size, rule, self.batch_size)

    @property
    def updates_per_epoch(self) -> int:
        """The number of batches of the training set; 0 where there is none."""
        return -(-self.training_sequences // self.batch_size)

    @property
    def updates(self) -> int:
        """The largest number of updates: those of all epochs, or the budget where `epochs` is 0."""
        return self.epochs * self.updates_per_epoch or self.budget

    def sequences(self, updates: int) -> int:
        """Return how many training sequences so many updates see; a sequence counts each time it is used.

        >>> Training(training_sequences=100, epochs=5).sequences(5)
        132
        """
        if self.training_sequences == 0:
            return updates * self.batch_size
        epochs, rest = divmod(updates, self.updates_per_epoch)
        return epochs * self.training_sequences + rest * self.batch_size


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One variant trained once on one task, as plain values.

    variant, task, initialisation: `_target_`, a dotted path, and the knobs; `label` is the name shown for it.
    network: the same for what stands around the cell.
    seed: of initialisation, training data and noise. data_seed: of the validation and test sets.
    """

    variant: Mapping[str, Any]
    task: Mapping[str, Any]
    initialisation: Mapping[str, Any]
    network: Mapping[str, Any] = field(default_factory=lambda: READER)
    model: Model = field(default_factory=Model)
    training: Training = field(default_factory=Training)
    seed: int = 0
    data_seed: int = 0

    def __post_init__(self) -> None:
        for part in ("variant", "task", "initialisation", "network"):
            object.__setattr__(self, part, present_node(getattr(self, part)))

    @property
    def id(self) -> str:
        """Hash of the canonical JSON: same trial, same id, whoever runs it."""
        # as `as_dict` has it, without its copies
        return _hash({**self._own(), "model": vars(self.model), "training": vars(self.training)})

    def id_without(self, knobs: Collection[str]) -> str:
        """Return the id that this trial had in a version that did not know some knobs of the model and the training.

        knobs: such as `training.criterion`. Those that do not have their defaults are not left out.
        """
        own = self._own()
        for part, cls in (("model", Model), ("training", Training)):
            usual = {f.name: f.default for f in fields(cls) if f"{part}.{f.name}" in knobs}
            values = vars(getattr(self, part)).items()
            own[part] = {name: value for name, value in values if name not in usual or value != usual[name]}
        return _hash(own)

    def as_dict(self) -> dict[str, Any]:
        """Return plain nested dictionaries, the inverse of `from_dict`; the reader is left out."""
        return {name: value for name, value in asdict(self).items() if name in self._own()}

    def _own(self) -> dict[str, Any]:
        """Return the fields by name, without a network that is the reader."""
        return {name: value for name, value in vars(self).items() if name != "network" or value != READER}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Trial:
        """Return a trial from nested dictionaries."""
        return cls(**{**values, "model": Model(**values["model"]), "training": Training(**values["training"])})


def _hash(values: Mapping[str, Any]) -> str:
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What happened in a trial.

    status: solved, finished (budget spent or patience lost), exploded (finished, but the loss of the last look is more
        than three times that of a model without memory and that before training), diverged, pruned (stopped by the
        pruner of a search) or failed.
    steps: updates made.
    budget: largest number of updates that there could be.
    epochs: how often the training set was used; None where every batch is fresh.
    sequences: training sequences seen.
    solved_step: update at which the task was solved (see `Training`), None if it was not or if the training diverged.
    best_step, validation_loss: where the validation loss was lowest, or the look at which a solution ended the
        training, and its value.
    test_loss, test_metrics: on the test set with the parameters of `best_step`.
    score: in [0, 1], of the test loss on the task's scale; 1 where training stopped at the solution, since the loss
        says no more then.
    task: what the task says of its losses, by the names of its attributes: lag, floor, solved_loss, reference,
        reference_source, unit and unit_scale. So a study can be read where the data of a task are not.
    curve_steps, curve_losses: validation curve.
    train_losses: mean training loss since the evaluation before, None at step 0.
    parameters: trainable values.
    flops_per_step: of the products of one forward pass, per sequence and time step.
    kept: mean share of the state that a step keeps at the start of training, 1 for a cell that never forgets; None
        where no gate decides it.
    seconds: wall time.
    engine: which ran.
    why_eager: why the eager engine ran where a faster one was asked for.
    update: how updates were computed, compiled or autograd.
    why_autograd: why they were not compiled.
    error: of a failed trial.
    """

    status: str
    steps: int = 0
    budget: int = 0
    epochs: float | None = None
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
    update: str = ""
    why_autograd: str = ""
    error: str = ""
    task: Mapping[str, Any] = field(default_factory=dict)

    def in_unit(self, loss: float) -> str:
        """Return a loss of the task as text, in the unit that the task says.

        >>> Outcome(status="finished", task={"unit": "bits", "unit_scale": 1 / math.log(2)}).in_unit(math.log(8))
        '3 bits'
        """
        return f"{loss * self.task['unit_scale']:.4g} {self.task['unit']}".rstrip()

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, the inverse of `from_dict`."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Outcome:
        """Return an outcome from plain values."""
        known = {f.name for f in fields(cls)}
        plain: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items() if k in known}
        return cls(**plain)
