"""Sequences of the user's own, from a file."""

from __future__ import annotations

import functools
import inspect
import math
import re
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor

from ..data import models
from ..data.batches import rows_of
from ..data.cache import Parsed, cached, digest
from ..data.files import Named, read
from ..data.own import ANSWERS, KINDS, Options, Prepared, check_shares, prepare
from ..task import PARTS, Batch, Classification, DataTask, MultiLabel, Regression, Task, weighted_mean

VERSION = 1
"""Of the simple models below: losses that an earlier version kept on disk are not read."""
MOST_FITTED = 10_000
"""Answers of the training part, and of the validation part, that simple models are fitted to."""
MOST_FEATURES = 10**7
"""Numbers that they are fitted to at most."""
PENALTIES = (1.0, 1e-1, 1e-2, 1e-3, 1e-4)
"""Strengths of the penalty of simple models, among which the validation part chooses; few data need strong ones."""
FEW_STEPS = 4
"""Steps that the simple model with a short memory sees."""


class _Regression(Regression):
    """Real numbers, of which a share of the variance is explained."""


class _Classification(Classification):
    """One class of several."""

    solved_loss = None


class _MultiLabel(MultiLabel):
    """Several yes or no."""


ANSWERED: dict[str, type[Task]] = {
    "regression": _Regression,
    "classification": _Classification,
    "multilabel": _MultiLabel,
}


class Sequences(DataTask, name="sequences"):
    """Learn sequences of your own, from a file: classes, numbers, several yes or no, or the step to come.

        input    x  x  x  x        numbers as they are or standardised, text as one-hot vectors
        target   .  .  .  y        answers=end: one for each sequence
        target   y  y  y  y        answers=every: one for each step; with ahead=1 it is that of the next step

    A .csv or .parquet file has one row a step and a header. Columns called sequence, step, target (or label), split and
    group are understood by their names; the others are inputs. A .npz file has an array `inputs` [N, T, I], batch
    first, and may have `targets` ([N], [N, O], [N, T] or [N, T, O]), `lengths` [N], `split` [N] and `group` [N]; with
    lengths the inputs may also be [rows, I], one sequence below the other. A .npy file has inputs alone: [N, T, I], or
    [T, I] for one series. Without a target the next step of the inputs is predicted. `python -m tasks sequences
    path=my.csv` says what was understood, and what to set where it was understood wrongly.

    Everything that is measured from data (mean and deviation, symbols, classes, simple models) is measured from the
    training part. The loss without memory is the smallest on the test part of: `no input`, the mean or the class
    shares; `present step`, a linear or logistic regression of the inputs at the step where the answer is read; and for
    the next step of numbers `no change`. The task is never solved, as your data have no criterion: the score is the
    share of the loss without memory that is gone, down to `reference`.

    path: of the file, which ends in .csv, .parquet, .npz or .npy.
    target: column or columns that are answered, or the name of the array; by default the column called target, targets,
        label or class, or the array `targets`. `none`: the next step of the inputs.
    kind: regression, classification, multilabel, or auto: names, and whole numbers of at most 20 values, are classes;
        several columns of 0 and 1 are multilabel, or classes where each row has a single 1; the rest is regression.
    answers: end, every, or auto: at the end where there is one target for each sequence, else at every step.
    ahead: how many steps after the input the target lies; 1 predicts the next step, and the target is an input as well.
    inputs: columns that are seen, or the name of the array; by default all that have no other role.
    symbols: columns whose numbers are names and become one-hot vectors, as text does.
    sequence: column that says to which sequence a row belongs; without one the file is a single series.
    step: column that orders the rows of a sequence; without one they are in order.
    split: column or array that says train, validation or test.
    group: column or array; sequences of a group stay in one part, as those of one person should.
    shares: of the sequences in train, validation and test, where no split is given; a single series is divided in time.
    split_seed: random seed of the split, and of the order in which the sequences of a part come.
    window: steps of the pieces that longer sequences are cut into, 0 for whole sequences; a single series is cut into
        pieces of at most 100 steps then, of which there are 32 to train on if possible. Parts never share a step.
    stride: steps from one piece to the next, 0 for `window`; only where pieces are cut.
    standardise: whether numbers get mean 0 and deviation 1 by the training part; columns of 0 and 1 stay as they are.
    reference: the loss at which the score is 1; 0 for none, as noise allows no such loss. The score is 1 at 0 then.
    sha256: of the data; a study sets it and refuses a file that has changed since.
    """

    source = "your own file, read by tasks/data/files.py of 2026"

    def __init__(
        self,
        *,
        path: str = "",
        target: str | tuple[str, ...] = "",
        kind: str = "auto",
        answers: str = "auto",
        ahead: int = 0,
        inputs: str | tuple[str, ...] = "",
        symbols: str | tuple[str, ...] = "",
        sequence: str = "",
        step: str = "",
        split: str = "",
        group: str = "",
        shares: tuple[float, ...] = (0.6, 0.2, 0.2),
        split_seed: int = 0,
        window: int = 0,
        stride: int = 0,
        standardise: bool = True,
        reference: float = 0.0,
        sha256: str = "",
    ) -> None:
        given = {knob: value for knob, value in locals().items() if knob not in ("self", "path", "sha256")}
        usual = inspect.signature(Sequences).parameters
        self._given = {knob: value for knob, value in given.items() if value != usual[knob].default}
        self.path, self.reference = path, reference or None
        named = Named(_names(inputs), _names(target), _names(symbols), sequence, step, split, group)
        for knob, word, words in (("kind", kind, KINDS), ("answers", answers, ANSWERS)):
            if word not in words:
                raise ValueError(f"{self.name}: {knob} must be one of {', '.join(words)}, got {word!r}")
        self.ahead, self.window, self.stride, self.split_seed = ahead, window, stride, split_seed
        for knob in ("ahead", "window", "stride", "split_seed"):
            self.require(knob, 0)
        options = Options(
            kind, answers, ahead, bool(named.inputs), tuple(shares), split_seed, window, stride, standardise
        )
        try:
            check_shares(options.shares)
            self.data = _loaded(path, _stamp(path), named, options)
            self._simple = _simple_models(path, _stamp(path), named, options)
        except ValueError as error:
            raise ValueError(f"{self.name}: {error}") from None
        self._answered = ANSWERED[self.data.kind]()
        self.input_size, self.output_size = len(self.data.inputs), len(self.data.outputs)
        self.causal = self.data.causal
        self.unit = _unit(self.data)
        self.floor = min(self._simple[name] for name in memoryless(self._simple))
        if not self.floor > 0:
            best = min(memoryless(self._simple), key=self._simple.__getitem__)
            raise ValueError(f"{self.name}: the test part must leave something to learn, got a loss of 0 of {best!r}")
        if not reference < self.floor:
            rule = f"reference must be below the loss without memory, {self.floor:.4g}"
            raise ValueError(f"{self.name}: {rule}, got {reference:g}")
        if reference:
            self.reference_source = "the knob reference of the task"
        self.set_data(self.data.parts, self.data.fingerprint, sha256)

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        return self._answered.loss(outputs, batch)

    @property
    def loss_form(self) -> str:
        """The name of what `loss` computes, that of the kind of problem."""
        return self._answered.loss_form

    def metrics(self, outputs: Tensor, batch: Batch) -> dict[str, float]:
        found = self._answered.metrics(outputs, batch)
        if self.data.kind == "regression":
            of_mean = (batch.targets - torch.from_numpy(self.data.mean)).square().mean(-1)
            spread = float(weighted_mean(of_mean, batch.weights))
            found["r2"] = 1 - found["loss"] / spread if spread > 0 else 0.0
            if self.output_size == 1:
                found["rmse"] = math.sqrt(max(0.0, found["loss"])) * float(self.data.deviation[0])
        elif self.data.kind == "multilabel":
            hits = ((outputs > 0) == (batch.targets > 0.5)).float().mean(-1)
            found["accuracy"] = float(weighted_mean(hits, batch.weights))
        return found

    def baselines(self) -> dict[str, float]:
        return dict(self._simple)

    def understood(self) -> list[str]:
        simple = ", ".join(f"{name} {loss:.4g}" for name, loss in self._simple.items())
        knobs = " ".join(_written(f"+tasks.sequences.{name}", value) for name, value in self._given.items())
        path = _written("tasks.sequences.path", self.path)
        facts = [
            ("File", Path(self.path).name),
            *self.data.facts,
            ("Loss", f"{self.unit}; on the test part: {simple}"),
            ("Score", f"0 at {self.floor:.4g}, the loss without memory, and 1 at {self.reference or 0:g}"),
            ("SHA-256", self.fingerprint),
            ("Which cell", f"`python -m runs.sweep study=own_data {path}{knobs and ' '}{knobs}`"),
        ]
        return [f"{heading[:1].upper()}{heading[1:]}: {text.rstrip('.')}." for heading, text in facts]


def memoryless(losses: Iterable[str]) -> list[str]:
    """Return the names of those simple models that see the present step at most."""
    return [name for name in losses if name.startswith(("no ", "present step"))]


def _written(key: str, value: object) -> str:
    """Return an argument of a command that Hydra reads as this value, in quotes where the shell needs them."""
    argument = f"{key}={_in_hydra(value)}"
    return shlex.quote(argument) if '"' in argument else argument


def _in_hydra(value: object) -> str:
    """Return a value as it is written for Hydra: text that it could take for something else is in quotes."""
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_in_hydra, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str) or re.fullmatch(r"[A-Za-z_./][\w./+-]*", value, re.ASCII):
        return str(value)
    escaped = value.replace('"', r"\"")
    return f'"{escaped}"'


def _names(given: object) -> tuple[str, ...]:
    """Return a knob that is one name or several as several."""
    if given is None or given == "":
        return ()
    return tuple(str(name) for name in given) if isinstance(given, list | tuple) else (str(given),)


def _unit(data: Prepared) -> str:
    if data.kind == "regression":
        return "squared error" if (data.deviation == 1).all() else "standardised squared error"
    return "nats per step" if data.answers == "every" else "nats"


def _stamp(path: str) -> tuple[int, int]:
    """Return what changes with a file: its time and size; zeros if there is none."""
    try:
        found = Path(path).expanduser().stat()
    except OSError:
        return (0, 0)
    return (found.st_mtime_ns, found.st_size)


@functools.lru_cache(maxsize=8)
def _loaded(path: str, stamp: tuple[int, int], named: Named, options: Options) -> Prepared:
    """Return the data of a file, read once in a process; `stamp` makes a changed file another one."""
    table = read(path, named)
    try:
        return prepare(table, options)
    except ValueError as error:
        raise ValueError(f"{Path(path).name}: {error}") from None


# Simple models
# ---------------------------------------------------------------------------------------------------------------------

LOSSES = {
    "regression": models.squared_error,
    "classification": models.cross_entropy,
    "multilabel": models.binary_cross_entropy,
}


@functools.lru_cache(maxsize=8)
def _simple_models(path: str, stamp: tuple[int, int], named: Named, options: Options) -> dict[str, float]:
    """Return the losses of simple models on the test part, from disk where they were fitted before."""
    data = _loaded(path, stamp, named, options)
    arrays = {
        f"{part} {field}": values.numpy()
        for part in PARTS
        for field, values in data.parts[part]._asdict().items()
        if values is not None
    }
    versions = {"models": VERSION, "kind": data.kind, "data": digest(arrays)}
    found = cached("sequences", versions, lambda: Parsed({}, {"losses": _fitted(data)}))
    return cast(dict[str, float], found.facts["losses"])


def _fitted(data: Prepared) -> dict[str, float]:
    """Fit simple models to the training part; returns their losses on the test part by name."""
    loss, outputs = LOSSES[data.kind], len(data.outputs)
    train, test = (rows_of(data.parts[part], 1) for part in ("train", "test"))
    constant = _no_input(data.kind, train.targets, outputs)
    found = {"no input": models.mean_loss(loss, constant.expand(len(test.targets), -1), test)}
    if data.present:
        found["no change"] = models.mean_loss(loss, test.features[:, list(data.present)], test)
    for name, seen in (
        ("present step", lambda inputs: inputs),
        (f"last {FEW_STEPS} steps", lambda inputs: models.window(inputs, FEW_STEPS)),
        ("mean of the steps so far", _mean_so_far),
    ):
        if len(data.parts["train"].inputs) == 1 and not name.startswith("present"):
            continue
        rows = {part: rows_of(batch._replace(inputs=seen(batch.inputs)), 1) for part, batch in data.parts.items()}
        rows = _scaled(rows)
        model = models.best_linear(_few(rows["train"]), _few(rows["validation"]), loss, outputs, PENALTIES)
        found[name] = models.mean_loss(loss, model(rows["test"].features), rows["test"])
    return found


def _no_input(kind: str, targets: Tensor, outputs: int) -> Tensor:
    """Return the answer [O] of the best model that sees nothing: the mean, or the share of each class or label."""
    if kind == "regression":
        return targets.double().mean(0)
    if kind == "classification":
        counts = torch.bincount(targets, minlength=outputs).double()
        return (counts / counts.sum()).log()
    return torch.logit(models.smoothed_shares(targets))


def _mean_so_far(inputs: Tensor) -> Tensor:
    return inputs.cumsum(0) / torch.arange(1, len(inputs) + 1).view(-1, 1, 1)


def _scaled(rows: dict[str, models.Rows]) -> dict[str, models.Rows]:
    """Return features with mean 0 and deviation 1 in the training part, on which a fit takes fewer steps."""
    train = rows["train"].features.double()
    mean, deviation = train.mean(0), train.std(0, correction=0)
    deviation = torch.where(deviation > 1e-12, deviation, 1.0)
    return {part: own._replace(features=(own.features.double() - mean) / deviation) for part, own in rows.items()}


def _few(rows: models.Rows) -> models.Rows:
    """Return at most so many rows, evenly taken from all, that a fit takes seconds."""
    count, width = rows.features.shape
    most = max(1, min(MOST_FITTED, MOST_FEATURES // max(1, width)))
    chosen = torch.from_numpy(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))
    return models.Rows(rows.features[chosen], rows.targets[chosen])
