"""Look inside trained cells: `python -m runs.inside study=quick` saves weights, gradient norms, gates and states of the
best trials.

For each (task, variant) the trial with the lowest validation loss is trained again, which gives the same network to the
bit where the machine and the versions are the same, and `results/<study>/models/<task>/<variant>.safetensors` and
`.npz` are written. What is there and up to date is left alone.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tasks import Batch, Task
from variants import Recurrent, select_steps, streams
from variants.engine.observe import watching

from .arguments import command, key_values, storage_url
from .files import replacing, subfolder, writable
from .networks.readout import Network, untrained
from .record.facts import facts
from .study.study import Study, close_storage, find
from .trial.training import prepare_process, trained
from .trial.trial import Outcome, Trial
from .trial.weights import read_about, save_model

FORMAT = "lstm-variants diagnosis 2"
SEQUENCES = 32  # over which gradient norms are averaged

Arrays = dict[str, NDArray[Any]]


class Best(NamedTuple):
    """The best trial of a (task, variant) by validation loss, and what is on record of it."""

    task: str
    variant: str
    point: int
    trial: Trial
    outcome: Outcome


class Gradients(NamedTuple):
    """How large the gradient of the loss of the last answer is, by lag k = 1 .. L: the number of steps between a state
    and that answer.

    norms: mean over sequences of the Euclidean norm over all fields, units and layers of the state, [L].
    by_layer: the same with one layer's fields and units only, [layers, L].
    relevant: share of the sequences in which the input that made the state of this lag is one that decides the answer,
    [L].
    sequences: how many sequences are that long, [L].
    """

    norms: NDArray[np.float64]
    by_layer: NDArray[np.float64]
    relevant: NDArray[np.float64]
    sequences: NDArray[np.int64]


# Diagnosis
# ----------------------------------------------------------------------------------------------------------------


def specification(trial: Trial, network: Network | None = None) -> tuple[Network, Task]:
    """A trial's network in double precision on the eager engine (a control: its own), with the weights of `network` or
    untrained.

    Raises ValueError where the trial reads in both directions: no state is then carried from step to step of the whole
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
    return start.double().eval(), task


def double(batch: Batch) -> Batch:
    """A batch in double precision; classes and steps stay whole numbers."""
    targets = batch.targets.double() if batch.targets.is_floating_point() else batch.targets
    return batch._replace(inputs=batch.inputs.double(), targets=targets)


def last_answer(batch: Batch) -> Batch:
    """The same sequences, of which only the last answer is asked."""
    return batch._replace(targets=batch.targets[-1:], reads=batch.reads[-1:])


def unrolled(network: Network, batch: Batch) -> tuple[Tensor, list[tuple[Any, ...]]]:
    """The answers [K, B, O] to a batch, and after each step the states that are carried to the next one, one State per
    layer.

    What follows a sequence's end is run over as zeros: it comes after its last answer. A carried state is a tensor of
    its own: the answer at its step, and the layer above at its step, do not depend on it, only what comes later does.
    """
    outputs, carried, state = [], [], None
    for x in batch.inputs:
        y, state = network.recurrent(x.unsqueeze(0), state)
        state = tuple(type(s)(*(v.view_as(v) for v in s)) for s in state)
        outputs.append(y[0])
        carried.append(state)
    return network.answers(select_steps(torch.stack(outputs), batch.reads)), carried


def gradients(network: Network, task: Task, batch: Batch) -> Gradients:
    """Norms of the gradient of the last answer's loss by the state that was carried k steps before it.

    The loss of a sequence is the task's loss of its last answer alone, so that every lag is the distance to one answer.
    The state is all
    that is carried from one step to the next: every field, unit and layer. By autograd through the eager engine, in the
    batch's precision.
    """
    batch = last_answer(batch)
    answers, carried = unrolled(network, batch)
    size = batch.inputs.shape[1]
    loss = task.loss(answers, batch) * size  # a mean over sequences that know nothing of each other
    flat = [
        (t, layer, v)
        for t, states in enumerate(carried)
        for layer, s in enumerate(states)
        for v in s
        if v.requires_grad
    ]
    found = torch.autograd.grad(loss, [v for _, _, v in flat], allow_unused=True)
    squares = torch.zeros(len(carried), len(carried[0]), size, dtype=torch.float64)
    for (t, layer, _), gradient in zip(flat, found, strict=True):
        if gradient is not None:
            squares[t, layer] += gradient.double().square().sum(-1)
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


def one_sequence(network: Network, task: Task, batch: Batch) -> tuple[Arrays, dict[str, str]]:
    """Inputs, gates and states over the first sequence of a batch, and what squashes each gate.

    Arrays: `inputs` [T, I], `relevant` [T] bool, `reads` [K], and `<layer>.gate.<name>` and `<layer>.state.<field>`,
    each [T, H], layer 0 the lowest. A control shows its states only.
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
        for name in state._fields:
            arrays[f"{layer}.state.{name}"] = _array(torch.stack([getattr(s[layer], name)[0] for s in carried]))
    return arrays, functions


def _array(tensor: Tensor) -> NDArray[np.float32]:
    return tensor.to(torch.float32).numpy()


def diagnose(trial: Trial, network: Network, outcome: Outcome, reproduced: bool = True) -> Arrays:
    """Everything that is saved of a trained network, as arrays by name; `about` is JSON text.

    Gradients at the start and trained are of the first sequences of the task's test set, which is the same for all
    variants, and so are gates and states, over the first of them.

    outcome: of the run that gave this network. reproduced: whether it equals the one on record.
    """
    start, task = specification(trial)
    batch = double(task.batch(SEQUENCES, streams(trial.data_seed)("test")))
    now, _ = specification(trial, network)
    before, after = gradients(start, task, batch), gradients(now, task, batch)
    arrays, functions = one_sequence(now, task, batch)
    arrays["lag"] = np.arange(1, len(after.norms) + 1)
    arrays["gradient_start"], arrays["gradient_trained"] = before.norms, after.norms
    arrays["gradient_start_by_layer"], arrays["gradient_trained_by_layer"] = before.by_layer, after.by_layer
    arrays["relevant_by_lag"], arrays["sequences"] = after.relevant, after.sequences
    about = {
        "format": FORMAT,
        "trial_id": trial.id,
        "functions": functions,
        "layers": trial.model.layers,
        "lag": task.lag,
    }
    labels = {"task": trial.task["label"], "variant": trial.variant["label"], "hidden_size": trial.model.hidden_size}
    result = {"status": outcome.status, "test_loss": outcome.test_loss, "reproduced": reproduced}
    arrays["about"] = np.array(json.dumps(about | labels | result))
    return arrays


# Files
# --------------------------------------------------------------------------------------------------------------------


def place(folder: Path, task: str, variant: str) -> Path:
    """The file of weights of a (task, variant) in the folder of a study's models; the diagnosis has the suffix .npz."""
    safe = ["".join(c if c.isalnum() or c in "-_." else "_" for c in label) for label in (task, variant)]
    return folder / safe[0] / f"{safe[1]}.safetensors"


def save_diagnosis(path: Path, arrays: Arrays) -> None:
    """Write a diagnosis as .npz; the file is replaced at once or not at all."""
    with replacing(path) as part:
        np.savez_compressed(part, **arrays)  # type: ignore[arg-type]


def up_to_date(path: Path, trial: Trial) -> bool:
    """Whether weights and diagnosis of this trial are there, in the present format."""
    try:
        if read_about(path)["about"]["trial_id"] != trial.id:
            return False
        if trial.model.bidirectional:  # there is no diagnosis of these
            return True
        with path.with_suffix(".npz").open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            about = json.loads(str(file["about"]))
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return False
    return bool(about["format"] == FORMAT and about["trial_id"] == trial.id)


# Studies
# ------------------------------------------------------------------------------------------------------------------


def best_trials(study: Study) -> dict[tuple[str, str], Best]:
    """The trial with the lowest validation loss of each (task, variant) that has one; of equals the first point."""
    best: dict[tuple[str, str], Best] = {}
    for task, variant, stored in study.told():
        outcome, point = Outcome.from_dict(stored.user_attrs["outcome"]), stored.user_attrs["point"]
        known = best.get((task, variant))
        if outcome.validation_loss is None or outcome.status in ("failed", "pruned"):
            continue
        if known is None or outcome.validation_loss < (known.outcome.validation_loss or 0.0):
            trial = study.design.trial(task, variant, point, stored.params)
            best[task, variant] = Best(task, variant, point, trial, outcome)
    return best


def differences(recorded: Outcome, again: Outcome) -> list[str]:
    """Names of what came out otherwise when a trial was run again; time, and what earlier versions did not record,
    aside.
    """
    mine, theirs = recorded.as_dict(), Outcome.from_dict(again.as_dict()).as_dict()
    return [name for name in mine if name not in ("seconds", "why_eager") and mine[name] != theirs[name]]


def inspect_best(best: Best, folder: Path, about: Mapping[str, Any]) -> tuple[bool, str]:
    """Train the best trial of a (task, variant) again, and save its weights and diagnosis; whether it worked, and one
    line on it.
    """
    path = place(folder, best.task, best.variant)
    subfolder(folder, path.parent.name)
    name = f"{best.variant} on {best.task}"
    network, outcome = trained(best.trial)
    if network is None:
        return False, f"{name}: point {best.point} failed: {outcome.error}"
    changed = differences(best.outcome, outcome)
    facts_of_file = {**about, "trial_id": best.trial.id, "point": best.point, "reproduced": not changed}
    save_model(path, network, best.trial, outcome, facts_of_file)
    line = f"{name}: point {best.point}, {outcome.status}, test loss {outcome.test_loss:.3g}"
    if changed:
        line += f"; not as recorded ({', '.join(changed)}): another machine, other versions or code; what is saved is of this run"
    try:
        save_diagnosis(path.with_suffix(".npz"), diagnose(best.trial, network, outcome, not changed))
    except Exception as error:  # of a cell or task from outside; the weights are good all the same
        path.with_suffix(".npz").unlink(missing_ok=True)
        return best.trial.model.bidirectional, f"{line}; only weights: {type(error).__name__}: {error}"
    return True, line


def inspect_study(study: Study, folder: Path, workers: int = 1) -> Iterator[tuple[bool, str]]:
    """Save what is missing or out of date of every (task, variant) of a study; yields whether each worked, and one line
    on it.

    folder: of the study's models. workers: processes that share the work.
    """
    best = best_trials(study)
    for task, variant in study.design.cells:
        if (task, variant) not in best:
            yield True, f"{variant} on {task}: no trial with a validation loss yet"
    wanted = [b for b in best.values() if not up_to_date(place(folder, b.task, b.variant), b.trial)]
    if len(wanted) < len(best):
        yield True, f"{len(best) - len(wanted)} of {len(best)} are there and up to date"
    about = {"study": study.design.name, **{k: v for k, v in facts().items() if k != "command"}}
    if workers == 1 or len(wanted) < 2:
        prepare_process()
        yield from (inspect_best(b, folder, about) for b in wanted)
        return
    with ProcessPoolExecutor(min(workers, len(wanted)), get_context("spawn"), prepare_process) as pool:
        jobs = [pool.submit(inspect_best, b, folder, about) for b in wanted]
        try:
            yield from (job.result() for job in as_completed(jobs))
        finally:
            pool.shutdown(cancel_futures=True)


KEYS = {
    "study": "name of the study",
    "results": "folder of all studies (results)",
    "storage": "postgres (URL in STUDY_STORAGE) or a URL, where it is not the journal in the study's folder",
    "workers": "processes (1)",
}


def main(arguments: list[str]) -> int:
    """Run the command; returns the exit code."""
    try:
        values = key_values(arguments, KEYS, (__doc__ or "").partition("\n")[0])
        if values is None:
            return 0
        if "study" not in values:
            raise ValueError("say which study: study=...")
        name, results = values["study"], Path(values.get("results", "results"))
        if not values.get("workers", "1").isdecimal() or int(values.get("workers", "1")) < 1:
            raise ValueError(f"workers must be a number from 1 on, got {values['workers']!r}")
        url = storage_url(values)
        study = find(results, name, url)
        try:
            subfolder(writable(results / name), "models")
            good = True
            for worked, line in inspect_study(study, results / name / "models", int(values.get("workers", "1"))):
                good &= worked
                print(line, flush=True)
        finally:
            close_storage(study.storage)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted: what is saved stays; the same command goes on", file=sys.stderr)
        return 130
    print(f"saved in {results / name / 'models'}; next: {command('analysis', study=name, results=results)}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
