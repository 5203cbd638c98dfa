"""The best trials of a study: trained again, and saved with their weights and their diagnosis."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

from ..console.progress import SILENT, Progress
from ..files import subfolder
from ..names import file_name
from ..record.facts import facts
from ..trial.diagnosis import diagnose
from ..trial.diagnosis_file import read_diagnosis, write_diagnosis
from ..trial.training import prepare_process, trained
from ..trial.trial import OF_THE_RUN, Outcome, Trial
from ..trial.weights import read_about, save_model
from .ranking import RankKey, rank_key
from .study import Study


class Best(NamedTuple):
    """The best trial of a (task, variant) by the rule of `ranking`, and what is on record of it."""

    task: str
    variant: str
    point: int
    trial: Trial
    outcome: Outcome


def model_file(folder: Path, task: str, variant: str) -> Path:
    """Return the file of weights of a (task, variant); its diagnosis has the suffix .npz.

    folder: of the study's models.
    task, variant: labels of the study.
    """
    return folder / file_name(task) / f"{file_name(variant)}.safetensors"


def up_to_date(path: Path, trial: Trial) -> bool:
    """Return True if weights and diagnosis of this trial are there, in the present format.

    path: the file of weights.
    """
    try:
        if read_about(path)["about"]["trial_id"] != trial.id:
            return False
        if trial.model.bidirectional:  # there is no diagnosis of these
            return True
        found = read_diagnosis(path.with_suffix(".npz"))
        return found is not None and bool(found.about["trial_id"] == trial.id)
    except (ValueError, KeyError):
        return False


def best_trials(study: Study) -> dict[tuple[str, str], Best]:
    """Return the best trial of each (task, variant) that has one with a validation loss; of equals the first."""
    best: dict[tuple[str, str], Best] = {}
    by_steps = study.design.training.stop_when_solved

    def key(outcome: Outcome) -> RankKey:
        return rank_key(outcome.solved_step, outcome.validation_loss, by_steps)

    for finished in study.finished_trials():
        outcome, task, variant = finished.outcome, finished.task, finished.variant
        known = best.get((task, variant))
        if outcome.validation_loss is None or outcome.status in ("failed", "pruned"):
            continue
        if known is None or key(outcome) < key(known.outcome):
            planned = study.plan.planned(task, variant, finished.index, finished.stored.params)
            best[task, variant] = Best(task, variant, planned.point, planned.trial, outcome)
    return best


def differences(recorded: Outcome, again: Outcome) -> list[str]:
    """Return the names of the fields in which a trial that was run again differs from its record.

    The time that it took is left out, and so is what earlier versions did not record.
    """
    mine, theirs = recorded.as_dict(), Outcome.from_dict(again.as_dict()).as_dict()
    return [name for name in mine if name not in OF_THE_RUN and mine[name] != theirs[name]]


def inspect_best(best: Best, folder: Path, about: Mapping[str, Any]) -> tuple[bool, str]:
    """Train the best trial of a (task, variant) again, and save its weights and its diagnosis.

    folder: of the study's models.
    about: versions, commit and the like, which the file of weights keeps.

    Returns whether it worked, and one line on it.
    """
    path = model_file(folder, best.task, best.variant)
    subfolder(folder, path.parent.name)
    name = f"{best.variant} on {best.task}"
    network, outcome = trained(best.trial)
    if network is None:
        return False, f"{name}: point {best.point} failed: {outcome.error}"
    changed = differences(best.outcome, outcome)
    facts_of_file = {**about, "trial_id": best.trial.id, "point": best.point, "reproduced": not changed}
    save_model(path, network, best.trial, outcome, facts_of_file)
    how = "not solved" if outcome.status == "finished" else outcome.status
    line = f"{name}: point {best.point}, {how}, test loss {outcome.test_loss:.3g}"
    if changed:
        line += f"; not as recorded ({', '.join(changed)}): another machine, other versions or code; "
        line += "what is saved is of this run"
    try:
        write_diagnosis(path.with_suffix(".npz"), diagnose(best.trial, network, outcome, not changed))
    except Exception as error:  # of a cell or task from outside; the weights are good all the same
        path.with_suffix(".npz").unlink(missing_ok=True)
        return best.trial.model.bidirectional, f"{line}; only weights: {type(error).__name__}: {error}"
    return True, line


def inspect_study(
    study: Study, folder: Path, workers: int = 1, progress: Progress = SILENT
) -> Iterator[tuple[bool, str]]:
    """Save what is missing or out of date of the best trial of every (task, variant) of a study.

    folder: of the study's models.
    workers: processes that share the work.
    progress: shows how many are done.

    Yields for each whether it worked, and one line on it.
    """
    best = best_trials(study)
    for task, variant in study.plan.pairs:
        if (task, variant) not in best:
            yield True, f"{variant} on {task}: no trial with a validation loss yet"
    wanted = [b for b in best.values() if not up_to_date(model_file(folder, b.task, b.variant), b.trial)]
    if len(wanted) < len(best):
        yield True, f"{len(best) - len(wanted)} of {len(best)} are there and up to date"
    about = {"study": study.design.name, **{k: v for k, v in facts().items() if k != "command"}}
    if workers == 1 or len(wanted) < 2:
        prepare_process()
        yield from progress.follow((inspect_best(b, folder, about) for b in wanted), "best trials", len(wanted))
        return
    with ProcessPoolExecutor(min(workers, len(wanted)), get_context("spawn"), prepare_process) as pool:
        jobs = [pool.submit(inspect_best, b, folder, about) for b in wanted]
        try:
            yield from progress.follow((job.result() for job in as_completed(jobs)), "best trials", len(wanted))
        finally:
            pool.shutdown(cancel_futures=True)
