"""The diagnosis of a trained network: how far its gradients reach, and what its gates and states do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tasks import Batch, Task
from variants import Recurrent, streams
from variants.layers.watch import watching

from ..networks.building import untrained
from ..networks.latent import LatentModule
from ..networks.network import NetworkModule
from .data import held_out
from .diagnosis_file import Arrays, Diagnosis
from .trial import Outcome, Trial

SAMPLES = 6  # sequences that a network invents
MAPS = 3  # sequences of which it is kept what answers attend to
SEQUENCES = 32  # over which gradient norms are averaged: enough for a smooth curve over lags, few enough for seconds


class Gradients(NamedTuple):
    """How large the gradient of the last answer's loss is, by lag: the steps between a state and that answer, 1 to L.

    norms: mean over sequences of the Euclidean norm over all fields, units and layers of the state, [L].
    by_layer: the same with one layer's fields and units only, [layers, L].
    relevant: share of the sequences whose answer is decided by the input that made the state of this lag, [L].
    sequences: how many sequences are that long, [L].
    """

    norms: NDArray[np.float64]
    by_layer: NDArray[np.float64]
    relevant: NDArray[np.float64]
    sequences: NDArray[np.int64]


class Carried(NamedTuple):
    """One field of the state of one layer that is carried from a step to the next one."""

    step: int
    layer: int
    value: Tensor  # [B, H]


def specification(trial: Trial, network: NetworkModule | None = None) -> tuple[NetworkModule, Task]:
    """Return a trial's network in double precision, and its task.

    trial: which network it is. It runs by the eager engine, which is the specification; a control by its own engine.
    network: whose weights it gets; by default it is untrained.

    Raises ValueError where the trial reads in both directions: then no state is carried from step to step of the whole
    network.
    """
    if trial.model.bidirectional:
        raise ValueError(
            f"{trial.variant['label']}: a network that reads in both directions has no lag to measure gradients at"
        )
    start, task = untrained(trial)
    if isinstance(start.recurrent, Recurrent):
        start, _ = untrained(replace(trial, model=replace(trial.model, engine="eager")))
    if network is not None:
        start.load_state_dict(network.state_dict())
    if not start.answering:
        raise ValueError(f"{start.network.name}: a network without answers has no answer whose gradients reach back")
    return start.double().eval(), task


def double(batch: Batch) -> Batch:
    """Return a batch in double precision; classes and steps stay whole numbers."""
    targets = batch.targets.double() if batch.targets.is_floating_point() else batch.targets
    return batch._replace(inputs=batch.inputs.double(), targets=targets)


def last_answer(batch: Batch) -> Batch:
    """Return the same sequences, of which only the last answer is asked."""
    return batch._replace(targets=batch.targets[-1:], reads=batch.reads[-1:])


def unrolled(network: NetworkModule, batch: Batch) -> tuple[Tensor, list[tuple[Any, ...]]]:
    """Run a network over a batch step by step.

    Returns the answers [K, B, O], and for every step the states that it hands to the next one, one State per layer.

    Each of these states is a tensor of its own (a view). Outputs of the same step, and the layer above at that step,
    are computed from the original and not from the view, so that a derivative by the view counts only what happens in
    later steps. Steps after the end of a sequence are run over zeros; they come after its last answer.
    """
    outputs: list[Tensor] = []
    carried, state = [], None
    for x in batch.inputs:
        y, state = network.recurrent(network.heard(x, outputs).unsqueeze(0), state)
        state = tuple(type(s)(*(v.view_as(v) for v in s)) for s in state)
        outputs.append(y[0])
        carried.append(state)
    return network.asked(torch.stack(outputs), batch), carried


def gradients(network: NetworkModule, task: Task, batch: Batch) -> Gradients:
    """Return how large the gradient of the last answer's loss is by the state that was carried k steps before it.

    network: as `specification` gives it.
    task: of the batch; its loss is taken of the last answer alone, so that every lag is the distance to one answer.
    batch: sequences in the precision of the network.

    The state is all that is carried from one step to the next: every field, unit and layer. Derivatives are those of
    autograd.
    """
    batch = last_answer(batch)
    answers, states = unrolled(network, batch)
    size = batch.inputs.shape[1]
    loss = task.loss(answers, batch) * size  # a mean over sequences that do not depend on each other
    squares = _squares(loss, states, size)
    read, relevant = batch.reads[0], task.relevant(batch)
    norms, by_layer, share, sequences = [], [], [], []
    for lag in range(1, int(read.max()) + 1):
        own = (read >= lag).nonzero().flatten()
        there = squares[read[own] - lag, :, own]  # [sequences, layers]
        norms.append(float(there.sum(-1).sqrt().mean()))
        by_layer.append(there.sqrt().mean(0).tolist())
        share.append(float(relevant[read[own] - lag, own].double().mean()))
        sequences.append(len(own))
    layers = np.array(by_layer).reshape(len(norms), -1).T
    return Gradients(np.array(norms), layers, np.array(share), np.array(sequences, dtype=np.int64))


def _squares(loss: Tensor, states: Sequence[tuple[Any, ...]], size: int) -> Tensor:
    """Return the squared norm of the derivative of a loss by each carried state, [T, layers, B]."""
    carried = [
        Carried(step, layer, value)
        for step, of_step in enumerate(states)
        for layer, state in enumerate(of_step)
        for value in state
        if value.requires_grad
    ]
    found = torch.autograd.grad(loss, [c.value for c in carried], allow_unused=True)
    squares = torch.zeros(len(states), len(states[0]), size, dtype=torch.float64)
    for c, gradient in zip(carried, found, strict=True):
        if gradient is not None:
            squares[c.step, c.layer] += gradient.double().square().sum(-1)
    return squares


def one_sequence(network: NetworkModule, task: Task, batch: Batch) -> tuple[Arrays, dict[str, str]]:
    """Return inputs, gates and states over the first sequence of a batch, and what squashes each gate.

    The arrays are `inputs` [T, I], `relevant` [T] bool, `reads` [K], and `<layer>.gate.<name>` and
    `<layer>.state.<field>`, each [T, H], layer 0 the lowest. A control shows its states only, and of these no fields of
    another width, such as the matrices of `mlstm`.
    """
    steps = len(batch.inputs) if batch.lengths is None else int(batch.lengths[0])
    first = Batch(batch.inputs[:steps, :1], batch.targets[:, :1], batch.reads[:, :1])
    arrays: Arrays = {"inputs": _array(first.inputs[:, 0]), "reads": first.reads[:, 0].numpy()}
    arrays["relevant"] = task.relevant(batch)[:steps, 0].numpy()
    functions: dict[str, str] = {}
    recurrent = network.recurrent
    if isinstance(recurrent, Recurrent):
        with watching(recurrent) as watch:
            _, carried = unrolled(network, first)
        for layer in range(recurrent.layers):
            gates = watch.gates(layer)
            arrays |= {f"{layer}.gate.{name}": _array(value[:, 0]) for name, value in gates.values.items()}
            functions |= {f"{layer}.gate.{name}": function for name, function in gates.functions.items()}
    else:
        with torch.no_grad():
            _, carried = unrolled(network, first)
    for layer, state in enumerate(carried[0]):
        for name in (n for n, value in state._asdict().items() if value.shape[-1] == recurrent.hidden_size):
            arrays[f"{layer}.state.{name}"] = _array(torch.stack([getattr(s[layer], name)[0] for s in carried]))
    return arrays, functions


def attention(network: NetworkModule, task: Task, batch: Batch) -> Arrays:
    """Return what answers attend to in the first sequences of a batch; nothing for a network that does not attend.

    The arrays are `attention` [sequences, K, T], what each answer attends to at each step, `attention_reads`
    [sequences, K], the step of each answer, and `attention_relevant` [sequences, T] bool.
    """
    few = batch.part(0, MAPS)
    with torch.no_grad():
        alpha = network.attend(few)
    if alpha is None:
        return {}
    return {
        "attention": _array(alpha.permute(2, 0, 1)),
        "attention_reads": few.reads.T.numpy(),
        "attention_relevant": task.relevant(few).T.numpy(),
    }


def invented(network: LatentModule, trial: Trial) -> Arrays:
    """Return sequences that a network with latent variables invents, beside sequences of its task.

    network: after the training.
    trial: that it is of.

    The arrays are `invented` and `data`, each [sequences, T, O], of the steps of the longest of the first test
    sequences, and `kl_by_dimension` [Z], the divergence of posterior and prior of each latent dimension on more of
    these sequences, in nats a step. Data that end earlier go on with zeros.
    """
    stream = streams(trial.data_seed)
    batch = held_out(network.task, trial, "test").part(0, SEQUENCES)
    data = batch.part(0, SAMPLES).targets
    drawn = network.eval().sample(SAMPLES, stream("samples"), steps=len(data))
    _, kl = network.measured(batch, stream("latent"))
    found = {"invented": drawn.transpose(0, 1), "data": data.transpose(0, 1), "kl_by_dimension": kl}
    return {name: _array(values) for name, values in found.items()}


def _array(tensor: Tensor) -> NDArray[np.float32]:
    return tensor.to(torch.float32).numpy()


def diagnose(trial: Trial, network: NetworkModule, outcome: Outcome, reproduced: bool = True) -> Diagnosis:
    """Return everything that is saved of a trained network.

    trial: that the network is of.
    network: after the training.
    outcome: of the run that gave this network.
    reproduced: whether it equals the outcome on record.

    The arrays are those of `one_sequence` and `attention`, and by lag: `lag` [L], `gradient_start` and
    `gradient_trained` [L], the same `..._by_layer` [layers, L], `relevant_by_lag` and `sequences` [L]. They are of the
    first sequences of the task's test set, which is the same for all variants; gates and states of the first of these.
    Of a network without answers they are those of `invented`. Raises ValueError where the network reads in both
    directions.
    """
    if isinstance(network, LatentModule):
        return Diagnosis(_about(trial, outcome, reproduced, {}), invented(network, trial))
    start, task = specification(trial)
    batch = double(task.batch(SEQUENCES, streams(trial.data_seed)("test")))
    now, _ = specification(trial, network)
    before, after = gradients(start, task, batch), gradients(now, task, batch)
    arrays, functions = one_sequence(now, task, batch)
    arrays |= attention(now, task, batch)
    arrays["lag"] = np.arange(1, len(after.norms) + 1)
    arrays["gradient_start"], arrays["gradient_trained"] = before.norms, after.norms
    arrays["gradient_start_by_layer"], arrays["gradient_trained_by_layer"] = before.by_layer, after.by_layer
    arrays["relevant_by_lag"], arrays["sequences"] = after.relevant, after.sequences
    return Diagnosis(_about(trial, outcome, reproduced, functions), arrays)


def _about(trial: Trial, outcome: Outcome, reproduced: bool, functions: dict[str, str]) -> dict[str, Any]:
    """Return the plain values that stand beside the arrays of a diagnosis."""
    return {
        "trial_id": trial.id,
        "functions": functions,
        "layers": trial.model.layers,
        "lag": outcome.task.get("lag"),
        "task": trial.task["label"],
        "variant": trial.variant["label"],
        "network": trial.network["label"],
        "hidden_size": trial.model.hidden_size,
        "status": outcome.status,
        "test_loss": outcome.test_loss,
        "reproduced": reproduced,
    }
