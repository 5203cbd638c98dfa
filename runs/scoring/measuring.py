"""Measures what a scorecard shows beside the trials, and writes it into a file."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..console.text import say
from ..files import writable
from ..record.archive import Archive
from ..record.facts import alike, facts
from ..trial.training import prepare_process
from .measured import Measured, Reach, Speed, read_measured, write_measured
from .reach import chosen_task, reach_of
from .speed import speeds


def measure(archive: Archive, variant: str, path: Path) -> Measured:
    """Measure the speed of a variant and the reach of its gradients, and write both into a file.

    Gradients that the file holds already are kept if they are of the same trial, code, versions and processor.

    archive: the study.
    variant: its label.
    path: of the file.

    Returns what was measured. What could not be measured is in its notes.
    """
    writable(path.parent)
    prepare_process()
    say(f"speed of {variant} beside torch.nn.LSTM")
    engine, why, found, notes = _speeds(archive, variant)
    here = {**facts(), "created": datetime.now(UTC).isoformat(timespec="seconds")}  # the code of its class among them
    task = chosen_task(archive, variant)
    known = _known(path, here)
    reaches = []
    for label in dict.fromkeys([variant, archive.design.baseline]):
        if task and label in archive.design.variants:
            say(f"gradients of {label} on {task}: its best trial is trained once more")
            reach, missing = reach_of(archive, task, label, known)
            reaches += [] if reach is None else [reach]
            notes += (missing,) if missing else ()
    for note in notes:
        say(f"not measured: {note}")
    made = Measured(variant, here, engine, why, found, task, tuple(reaches), notes)
    write_measured(path, made)
    return made


def _speeds(archive: Archive, variant: str) -> tuple[str, str, tuple[Speed, ...], tuple[str, ...]]:
    try:
        return speeds(archive.design.variants[variant])
    except (KeyError, TypeError, ValueError) as error:  # an archive says what it likes of its classes
        return "", "", (), (f"speed: {error}",)


def _known(path: Path, here: dict[str, Any]) -> dict[str, Reach]:
    """Return by the id of its trial what an earlier file of the same code holds; nothing where there is none."""
    try:
        found = read_measured(path)
    except ValueError:
        return {}
    return {reach.trial_id: reach for reach in found.reaches} if alike(found.facts, here) else {}
