"""The baselines of a study's tasks: those on record, and those that are computed while the analysis goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from runs.record.baselines import FILE, computed, fitting, recorded, write_baselines

from .load import Options
from .processes import Companion
from .study import Study


def begin_baselines(
    study: Study, options: Options, folder: Path, companion: Companion | None
) -> Callable[[Study], Study]:
    """Read the baselines of a study's tasks, and begin to compute those that no file has.

    study: its design says what the tasks are, and its facts may have their baselines.
    options: whose results folder or archive may have a file of baselines beside it; `announce` hears what is wrong.
    folder: receives the file.
    companion: does the work; without one nothing is computed.

    Returns a function that waits for the end of the work and puts the baselines into the facts of a study. It must be
    called before the companion is given other work.
    """
    beside = [] if options.archive is None else [Path(options.archive).parent]
    places = dict.fromkeys(place / FILE for place in (folder, Path(options.results) / folder.name, *beside))
    nodes = {label: node for label, node in study.design.tasks.items() if "_target_" in node}
    found, lines = recorded(nodes, places)
    found = fitting(study.about.get("baselines"), nodes) | found
    missing = {label: node for label, node in nodes.items() if label not in found}
    for line in lines:
        options.announce(line)
    if missing and companion is not None:
        companion.begin(computed, missing)

    def complete(study: Study) -> Study:
        if missing and companion is not None:
            options.progress.step(f"baselines of {', '.join(missing)}: simple models and random networks, once a task")
            new, lines = companion.result()
            for line in lines:
                options.announce(line)
            found.update(new)
        if found and (missing or not (folder / FILE).exists()):
            write_baselines(folder / FILE, found)
        return replace(study, about={**study.about, "baselines": found})

    return complete
