"""From the words of the command to the page in its folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from runs.console.progress import Bar
from runs.console.text import say
from runs.files import writable, write_whole
from runs.names import file_name
from runs.networks.building import untrained
from runs.networks.reader import ReaderModule
from runs.trial.trial import Trial

from ..words import spoken
from .data import Moment, View, telling_unit
from .interpreter import numbers, why_not
from .network import Trained, one_sequence, planned, read, trained_here
from .options import Options, out_of_range
from .page import Asked, page


def write_walk(options: Options, arguments: Sequence[str]) -> Path:
    """Train or read a network, and write the page of its numbers; return the path.

    options: what is asked for.
    arguments: the words of the command, which the page repeats.

    Raises ValueError, one line, for what cannot be.
    """
    saved = read(options) if options.model else None
    if saved is None:
        trial = planned(options)
        network, task = untrained(trial)
    else:
        trial, network, task = saved.trial, saved.after, saved.task
    view = _view(options, network)  # a mistake is found before the training
    batch, every = one_sequence(task, trial, (options.numbers["sequence"] or 1) - 1)
    if (view.steps or 0) > len(batch.inputs):
        raise out_of_range("steps", view.steps or 0, len(batch.inputs), f"the sequence has {len(batch.inputs)}")
    writable(options.out, "out")
    trained = saved or _trained(trial)
    moments = [
        Moment(f"{when} training", numbers(network, trained.task, batch))
        for when, network in (("before", trained.before), ("after", trained.after))
    ]
    if options.numbers["unit"] is None:
        view = view._replace(unit=telling_unit(trained.after, moments[-1], view.layer, every))
    labels = (trained.trial.variant["label"], trained.trial.task["label"])
    path = options.out / f"{'_on_'.join(map(file_name, labels))}.html"
    chosen = options.numbers["unit"] is None
    gallery = f"../cells.html#{labels[0]}" if (options.out.parent / "cells.html").is_file() else ""
    asked = Asked(arguments, str(options.model or ""), gallery, chosen)
    write_whole(path, page(trained, moments, view, batch, asked))
    return path


def _view(options: Options, network: ReaderModule) -> View:
    """Return what of a network is shown. Raises ValueError for what it does not have or cannot show."""
    why = why_not(network)
    if why:
        raise ValueError(why)
    recurrent, layers = network.recurrent, network.recurrent.layers
    units = min(recurrent.cell.size_of(field, recurrent.hidden_size) for field in recurrent.cell.State._fields)
    unit, layer = options.numbers["unit"] or 1, options.numbers["layer"] or layers
    if unit > units:
        raise out_of_range("unit", unit, units, f"the layer has {units} units")
    if layer > layers:
        raise out_of_range("layer", layer, layers, f"the network has {layers}")
    return View(layer - 1, unit - 1, options.numbers["steps"])


def _trained(trial: Trial) -> Trained:
    """Return the network of a trial before and after its training, and print lines on it."""
    name = f"{spoken(trial.variant['label'])} on {spoken(trial.task['label'])}"
    budget = trial.training.updates
    say(f"training {name}: at most {budget:,} updates")
    with Bar("updates", budget) as bar:
        trained = trained_here(trial, lambda step, loss: bar.to(step, f"validation loss {loss:.4g}"))
    outcome = trained.outcome
    say(f"{outcome.status} after {outcome.steps:,} updates")
    return trained
