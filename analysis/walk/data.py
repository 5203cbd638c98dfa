"""What the page of a walk shows, as plain values: the parts of the cell, all numbers, inputs, targets and answers."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from runs.networks.reader import ReaderModule
from tasks import Batch, Task
from tasks.task import Classification, MultiLabel, Regression

from ..typeset import typeset
from .interpreter import LayerNumbers, Numbers
from .parts import parts

BUDGET = 700_000
"""Most characters of all numbers of a page; where there are more, it shows fewer units, then fewer steps."""
TRUSTED = 1e-6
"""Derivatives are shown where they differ by no more than this share from those of the eager engine."""
MOST_INPUTS = 8


class Moment(NamedTuple):
    """The numbers of a network at one time of its training.

    name: such as `before training`. numbers: of the network over the sequence.
    """

    name: str
    numbers: Numbers


class View(NamedTuple):
    """What of a network is shown.

    layer: its number, 0 for the lowest. unit: its number, from 0. steps: the first so many, None for all.
    """

    layer: int
    unit: int
    steps: int | None = None


def page_data(moments: Sequence[Moment], view: View, task: Task, batch: Batch) -> dict[str, Any]:
    """Return what the page needs, ready for JSON; `walk.js` says how its script reads it.

    moments: the network before and after its training, over the same sequence.
    view: layer, unit and steps.
    task, batch: the sequence and what is asked of it.
    """
    first = moments[0].numbers.layers[view.layer]
    found = parts(first.cell, first.derivation)
    terms = list(first.terms)
    units, length = _size(first, view, len(moments) * (2 * len(found) + len(terms)))
    rows = [
        [first_rows[:length, units].T.float() for first_rows in _rows(m.numbers.layers[view.layer], found, terms)]
        for m in moments
    ]
    packed = torch.stack([torch.stack(own) for own in rows]).numpy().astype("<f4")  # moments, rows, units, steps
    trusted = all(m.numbers.slope_error <= TRUSTED for m in moments)
    return {
        "steps": length,
        "kept": [unit + 1 for unit in units],
        "unit": view.unit + 1,
        "rows": 2 * len(found) + len(terms),
        "trusted": trusted,
        "states": _states(first, [part.node for part in found]),
        "moments": [{"name": m.name, "loss": m.numbers.loss} for m in moments],
        "parts": [
            {
                "node": part.node,
                "name": typeset(part.name),
                "kind": part.kind,
                "equation": typeset(part.equation),
                "words": part.words,
                "operation": part.operation,
                "operands": part.operands,
                "gate": part.gate,
            }
            for part in found
        ],
        "terms": [{"gate": gate, "name": typeset(_term(first, block))} for gate, block in terms],
        "inputs": _inputs(batch, length),
        "marked": _marked(task, batch, length),
        "targets": _by_step(batch, _targets(task, batch), length),
        "answers": [_by_step(batch, _answers(task, m.numbers), length) for m in moments],
        "numbers": base64.b64encode(packed.tobytes()).decode(),
    }


def _rows(layer: LayerNumbers, found: Sequence[Any], terms: Sequence[Any]) -> list[torch.Tensor]:
    """Return the rows of numbers of a moment, each [T, H]: values, derivatives, terms of pre-activations."""
    values = [layer.values[part.node] for part in found]
    slopes = [layer.slopes[part.node] for part in found]
    length = len(values[0])
    return [*values, *slopes, *(layer.terms[term].expand(length, -1) for term in terms)]


def _states(layer: LayerNumbers, nodes: Sequence[int]) -> list[int]:
    """Return the parts that are new fields of the state: what is kept, then the output, then what only counts."""
    fields, shown, remembered = layer.derivation.fields, layer.cell.shown, layer.cell.remembers
    counters = [field for field in fields if remembered is not None and field not in (*remembered, *shown)]
    inner = [field for field in fields if field not in (*shown, *counters)]
    return list(dict.fromkeys(nodes.index(layer.derivation.new(field)) for field in (*inner, *shown, *counters)))


def telling_unit(network: ReaderModule, moment: Moment, layer: int, sequences: Batch) -> int:
    """Return the unit whose output moves the answers most from one sequence to another, counted from 0.

    Of a lower layer, it is the one on which the loss of the shown sequence depends most.

    network: after its training.
    moment: its numbers.
    layer: that is shown.
    sequences: over which the answers are compared.
    """
    here = moment.numbers.layers[layer]
    fields = [here.derivation.new(field) for field in here.cell.shown]
    if layer < len(moment.numbers.layers) - 1:
        moved = torch.stack([(here.slopes[n] * here.values[n]).abs().sum(0) for n in fields])
        return int(moved.sum(0).argmax())
    with torch.no_grad():
        outputs, _ = network.recurrent(sequences.inputs, lengths=sequences.lengths, final=False, reads=sequences.reads)
        moved = network.readout.weight.abs().sum(0) * outputs.flatten(0, 1).std(0, correction=0)
    return int(moved.view(len(fields), -1).sum(0).argmax())


def _size(layer: LayerNumbers, view: View, rows: int) -> tuple[list[int], int]:
    """Return the units and the number of steps that fit into a page; the chosen unit is among them."""
    length, width = next(iter(layer.values.values())).shape
    length = min(length, view.steps or length, BUDGET * 3 // (16 * rows))
    most = max(1, BUDGET * 3 // (16 * rows * length))
    near = sorted(range(width), key=lambda unit: (abs(unit - view.unit), unit))
    return sorted(near[:most]), length


def _term(layer: LayerNumbers, block: str) -> str:
    declared = next(b for b in layer.cell.terms if b.name == block)
    if declared.kind == "W":
        return f"{block} x"
    if declared.kind == "b":
        return block
    state = layer.derivation.state_operands.get(declared.source)
    return f"{block} {declared.source if state is None else state + _OLD}"


_OLD = "'"


def _inputs(batch: Batch, length: int) -> list[dict[str, Any]]:
    """Return the rows of inputs: a symbol where exactly one input is 1 at every step, else the inputs one by one."""
    x = batch.inputs[:length, 0].numpy()  # [T, I]
    if x.shape[1] > 3 and np.isin(x, (0.0, 1.0)).all() and (x.sum(1) == 1).all():
        return [{"name": "symbol", "values": x.argmax(1).tolist(), "text": True}]
    single = x.shape[1] == 1
    return [
        {"name": "x" if single else f"x<sub>{k + 1}</sub>", "values": _short(x[:, k]), "text": False}
        for k in range(min(x.shape[1], MOST_INPUTS))
    ]


def _short(values: np.ndarray[Any, Any]) -> list[float]:
    return [float(f"{v:.4g}") for v in values]


def _marked(task: Task, batch: Batch, length: int) -> list[bool]:
    """Return at which steps the input decides the answers, nowhere where the task does not say so."""
    if not hasattr(task, "relevant"):
        return [False] * length
    return [bool(step) for step in task.relevant(batch)[:length, 0]]


def _by_step(batch: Batch, texts: Sequence[str] | None, length: int) -> list[str]:
    """Return the texts of answers by the step at which each is read, empty at the others."""
    found: list[list[str]] = [[] for _ in range(length)]
    for k, text in enumerate(texts or ()):
        step, weight = int(batch.reads[k, 0]), None if batch.weights is None else batch.weights[k, 0]
        if step < length and (weight is None or weight > 0):
            found[step].append(text)
    return [", ".join(texts) for texts in found]


def _targets(task: Task, batch: Batch) -> list[str] | None:
    """Return the targets as texts, None where they are not one for each answer."""
    if batch.target_lengths is not None:
        return None
    if batch.targets.dim() == 2:
        return [str(int(v)) for v in batch.targets[:, 0]]
    if isinstance(task, MultiLabel):
        return [" ".join(str(k) for k in row.nonzero().flatten().tolist()) or "none" for row in batch.targets[:, 0]]
    return [_vector(row) for row in batch.targets[:, 0]]


def _answers(task: Task, numbers: Numbers) -> list[str] | None:
    """Return the answers of a network as texts: the likeliest class with its probability, or the number itself."""
    answers = numbers.answers[:, 0]
    if isinstance(task, Classification):
        shares, classes = answers.softmax(-1).max(-1)
        return [f"{int(c)} ({share:.0%})" for c, share in zip(classes, shares, strict=True)]
    if isinstance(task, MultiLabel):
        chosen = answers > 0
        return [" ".join(str(k) for k in row.nonzero().flatten().tolist()) or "none" for row in chosen]
    return [_vector(row) for row in answers] if isinstance(task, Regression) else None


def _vector(row: torch.Tensor) -> str:
    text = " ".join(f"{float(v):.2f}" for v in row[:4])
    return f"{text} ..." if len(row) > 4 else text
