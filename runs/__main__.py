"""One trial from the shell: `python -m runs variant=peephole task=adding task.lag=100 training.learning_rate=3e-3`."""

from __future__ import annotations

if __name__ == "__main__":
    from .console.start import answer

    answer("trial")

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from tasks import Task

from .configuration.command_line import command_line
from .configuration.trial import trial_from
from .console.progress import Bar
from .console.text import say
from .files import writable, write_whole
from .record.facts import facts
from .record.places import default_uri
from .record.tracking import SINGLE_TRIALS, Tracker
from .secrets_in_urls import without_password
from .trial.classes import construct
from .trial.data import sized
from .trial.faults import Interrupted
from .trial.training import prepare_process, run
from .trial.trial import Outcome, Trial
from .workers.stop import stop_on_signal


def main(config: DictConfig) -> int:
    """Run the configured trial and write its outcome to `results/trials/` and to MLflow; returns the exit code."""
    hydra = HydraConfig.get()
    trial = trial_from(config, hydra.runtime.choices, hydra.overrides.task)
    results = Path(config.results)
    folder = writable(results / "trials")
    prepare_process()
    try:
        outcome = run_with_progress(trial)
    except Interrupted:
        print("interrupted: nothing was recorded", file=sys.stderr)
        return 130
    say(summary(trial, outcome))  # before MLflow is imported and written, which takes seconds
    path = folder / f"{trial.id}.json"
    about = facts()
    write_whole(path, json.dumps({"trial": trial.as_dict(), "outcome": outcome.as_dict(), **about}, indent=1) + "\n")
    print(f"outcome: {path}", flush=True)
    if config.tracking.enabled:
        track(trial, outcome, about, results, config.tracking.uri)
    return 1 if outcome.status == "failed" else 0


def run_with_progress(trial: Trial) -> Outcome:
    """Run a trial and show its steps and its validation loss: as a bar in a terminal, as lines in a log.

    Raises Interrupted where a signal asked to stop.
    """
    label = f"{trial.variant['label']} on {trial.task['label']}"
    updates = sized(trial.training, construct(trial.task, Task)).updates
    with Bar(f"{label}, steps", updates) as bar:
        return run(trial, lambda step, loss: bar.to(step, f"validation loss {loss:.4g}"), stop_on_signal())


def track(trial: Trial, outcome: Outcome, about: Mapping[str, Any], results: Path, asked: str) -> None:
    """Write a trial to MLflow and print where; where that fails, print one line and go on.

    trial, outcome: what was run and what happened.
    about: versions and commit, see `facts`.
    results: the folder of the default database.
    asked: the address of MLflow; empty for that database.
    """
    uri = asked or default_uri(results)
    tags = {"commit": about["commit"], "mlflow.source.name": about["command"]}
    try:
        tracker = Tracker(results, asked)
        tracker.trial(SINGLE_TRIALS, trial, outcome, tags, {})
        print(f"mlflow: experiment {SINGLE_TRIALS!r} in {without_password(uri)}: {tracker.link(SINGLE_TRIALS)}")
    except Exception as error:  # the dashboard being away must not cost the outcome
        why = without_password(f"{type(error).__name__}: {error}".splitlines()[0], uri)
        print(f"mlflow: not written, {without_password(uri)}: {why}", file=sys.stderr)


def summary(trial: Trial, outcome: Outcome) -> str:
    """Return one line on how a trial went: whether it was solved, its test loss and that of no memory, its size."""
    where = f"{trial.variant['label']} on {trial.task['label']}"
    if outcome.status == "failed":
        return f"{where}: failed: {outcome.error}"
    said, after = outcome.task, f"{outcome.steps} steps"
    if outcome.epochs is not None:
        after = f"{outcome.epochs:.3g} epochs, {outcome.steps} steps"
    last = outcome.in_unit(outcome.curve_losses[-1]) if outcome.curve_losses else "no loss"
    how = {
        "solved": f"solved at step {outcome.solved_step}",
        "finished": f"trained for {after}" if said["solved_loss"] is None else f"not solved in {after}",
        "exploded": f"exploded, with {last} after {after}",
        "diverged": f"diverged at step {outcome.steps}",
    }[outcome.status]
    extra = "".join(f", test {k} {v:.4g}" for k, v in outcome.test_metrics.items() if k != "loss")
    engine = f"{outcome.engine} engine" + (f" ({outcome.why_eager})" if outcome.why_eager else "")
    if outcome.engine == "fused" and outcome.why_autograd:
        engine += f", updates by autograd ({outcome.why_autograd})"
    loss = "none" if outcome.test_loss is None else outcome.in_unit(outcome.test_loss)
    beside = f"without memory {said['floor'] * said['unit_scale']:.4g}"
    if said["reference"] is not None:
        beside += f", reference {said['reference'] * said['unit_scale']:.4g}"
    return (
        f"{where}: {how}; test loss {loss} ({beside}){extra}; score {outcome.score:.2f}; "
        f"{outcome.parameters} parameters, {engine}, {outcome.seconds:.1f} s"
    )


if __name__ == "__main__":
    command_line(main, "trial")
