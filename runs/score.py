"""`python -m runs.score my_package.MyCell`: a scorecard of a cell, placed among those of an archive.

    python -m runs.score gru
    python -m runs.score my_package.MyCell points=10 'tasks=[adding]'

A cell that the archive does not have is first trained at the archive's points, as many as the minutes allow: the
command says what that costs. Then its speed is measured beside torch.nn.LSTM, and its best trial on one task is trained
once more, for the gradients. The page and the picture go to `<results>/<study>/score/`. Interrupted, the same command
goes on.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from .arguments import key_values
from .console.ending import in_one_line
from .console.start import end_quickly, import_quickly
from .console.text import counted, duration, say

if TYPE_CHECKING:
    from .record.archive import Archive

KEYS = {
    "variant": "the cell: a label of the archive, a registered name or preset, or the dotted path of a cell of your "
    "own; it must be given, and may stand without its key.",
    "against": "the archive: archive:NAME for one that is shipped, or a file. Default: archive:lags.",
    "points": "at how many of the archive's points a new cell is trained. Default: 20, fewer where the minutes do not "
    "suffice.",
    "minutes": "what the whole may take with a fused cell. Default: 15.",
    "tasks": "series or tasks of the archive, as in [adding,temporal_order]. Default: all.",
    "lags": "those of the tasks that are taken, as in [30,120]. Default: all.",
    "label": "what a new cell is called. Default: its own name.",
    "name": "of the study that the trials of a new cell go into. Default: that of the archive and the label.",
    "workers": "processes that train a new cell. Default: 2.",
    "results": "folder of all studies. Default: results.",
    "speed": "no to leave out what is measured beside the trials, speed and gradients. Default: it is measured.",
}
POINTS = 20
FOR_TRIALS = 0.8  # of the minutes


class Asked(NamedTuple):
    """What the arguments ask for.

    variant, label, name: see `KEYS`; empty where they are not given.
    against: the archive as the user names it. path: its file.
    points, minutes, workers: numbers; no points where they are not given.
    parts: `tasks` and `lags` as they are given.
    results: folder of all studies. measures: whether speed and gradients are measured.
    """

    variant: str
    against: str
    path: Path
    label: str
    name: str
    points: int | None
    minutes: float
    workers: int
    parts: Mapping[str, str]
    results: Path
    measures: bool


@in_one_line("the page")
def main(arguments: Sequence[str]) -> int:
    """Run the command; return the exit code."""
    begun = time.perf_counter()
    values = key_values(with_key(arguments), KEYS, __doc__ or "")
    if values is None:
        return 0
    asked = asked_for(values)
    from .files import writable
    from .record.archive import load, read_archive

    archive, source = read_archive(asked.path), asked.against
    writable(asked.results)
    label = asked.variant
    if label not in archive.design.variants or asked.label:
        label, name = added(asked, archive)
        if name:
            code = trained_there(asked, archive, label, name)
            if code not in (0, 1):  # 1: some trials failed, which the page leaves out
                return code
            archive, source = load(name, asked.results), str(asked.results / name / "trials.parquet")
    else:
        say(f"{label} is in {asked.against}: no trial of the study is run")
    found = [f"variant={label}", f"from={source}", f"results={asked.results}"]
    if asked.measures:
        found.append(f"measured={measured(asked, archive, label)}")
    code = waited([sys.executable, "-m", "analysis.scorecard", *found])
    say(f"took {duration(time.perf_counter() - begun)}")
    return code


def with_key(arguments: Sequence[str]) -> list[str]:
    """Return the arguments, of which one without a key is the variant.

    >>> with_key(["gru", "points=10", "--help"])
    ['variant=gru', 'points=10', '--help']
    """
    bare = {"help", *KEYS}
    return [a if "=" in a or a.startswith("-") or a in bare else f"variant={a}" for a in arguments]


def asked_for(values: Mapping[str, str]) -> Asked:
    """Return what the arguments ask for. Raises ValueError where they make no sense; torch is not imported."""
    from .names import checked_name
    from .record.shipped import located

    if not values.get("variant"):
        raise ValueError("say which cell: python -m runs.score gru")
    if values.get("speed", "no") != "no":
        raise ValueError(f"speed must be no or not given, got {values['speed']!r}")
    for key in ("label", "name"):
        if key in values:
            checked_name(values[key], key)
    against = values.get("against", "archive:lags")
    return Asked(
        variant=values["variant"],
        against=against,
        path=located(against),
        label=values.get("label", ""),
        name=values.get("name", ""),
        points=_number("points", values["points"]) if "points" in values else None,
        minutes=_number("minutes", values.get("minutes", "15")),
        workers=_number("workers", values.get("workers", "2")),
        parts={key: values[key] for key in ("tasks", "lags") if key in values},
        results=Path(values.get("results", "results")),
        measures="speed" not in values,
    )


def _number(key: str, value: str) -> int:
    if not value.isdecimal() or int(value) < 1:
        raise ValueError(f"{key} must be a number from 1 on, got {value!r}")
    return int(value)


# A new cell
# --------------------------------------------------------------------------------------------------------------------


def added(asked: Asked, archive: Archive) -> tuple[str, str]:
    """Return the label of a cell, and the name of the study that adds it to the archive; empty if it is there already.

    Raises ValueError for a cell that does not exist.
    """
    from .console.early import CONF, mistyped

    if "." not in asked.variant and not (CONF / "variant" / f"{asked.variant}.yaml").is_file():
        line = mistyped("variant", [asked.variant])
        if line:
            raise ValueError(f"{line}; {asked.against} has: {', '.join(archive.design.variants)}")
    import_quickly("runs.configuration.outside")
    from .configuration.outside import variant_of

    node = variant_of(asked.variant, {})
    label = asked.label or str(node["label"])
    there = archive.design.variants.get(label)
    if there is not None and not asked.label and there.get("_target_") == node["_target_"]:
        return label, ""
    return label, asked.name or f"{archive.design.name}_{label}"


def trained_there(asked: Asked, archive: Archive, label: str, name: str) -> int:
    """Train a cell at points of the archive, by `python -m runs.sweep against=...`; return the exit code."""
    tasks = tasks_of(asked, archive)
    points = asked.points or affordable(asked, archive, tasks)
    from .workers.against import expected_seconds

    seconds = expected_seconds(archive.table, {(task, label): points for task in tasks}) / asked.workers
    say(
        f"{label}: {counted(points, 'point')} x {counted(len(tasks), 'task')} = {len(tasks) * points} trials, about "
        f"{duration(seconds)} with workers={asked.workers} if the cell is fused; then its speed and its gradients, a "
        "minute or two"
    )
    if points < 10:
        say("with fewer than 10 points nothing is concluded: tasks=, lags= or minutes= make room for more")
    entry = f"{{{label}: {{variant: {asked.variant}}}}}" if asked.label else asked.variant
    words = [f"{key}={value}" for key, value in asked.parts.items()]
    words += [f"points={points}", f"workers={asked.workers}", f"results={asked.results}", f"name={name}"]
    command = ["runs.sweep", f"against={asked.against}", f"variants=[{entry}]", *words, "tracking=none"]
    return waited([sys.executable, "-m", *command])


def tasks_of(asked: Asked, archive: Archive) -> list[str]:
    """Return the tasks of the archive that are asked for. Raises ValueError for one that it does not have."""
    from .configuration.against import chosen_tasks

    names = listed(asked.parts["tasks"]) if "tasks" in asked.parts else None
    lags = [_number("lags", lag) for lag in listed(asked.parts.get("lags", ""))]
    return chosen_tasks(archive.design, names, lags, asked.against)


def listed(text: str) -> list[str]:
    """Return the words of a list as it is written on the command line.

    >>> listed("[adding, copying]"), listed("30"), listed("")
    (['adding', 'copying'], ['30'], [])
    """
    return [word.strip() for word in text.strip("[]").split(",") if word.strip()]


def affordable(asked: Asked, archive: Archive, tasks: Sequence[str]) -> int:
    """Return at how many points a cell can be trained in the time, by that of the archive's trials: 1 to 20."""
    from .workers.against import expected_seconds

    one = expected_seconds(archive.table, {(task, ""): 1 for task in tasks}) / asked.workers
    most = min(POINTS, archive.design.points or POINTS)
    return max(1, min(most, int(FOR_TRIALS * 60 * asked.minutes / one))) if one > 0 else most


def waited(command: Sequence[str]) -> int:
    """Run a command and return its exit code; Ctrl-C is left to the command, which ends in its own way."""
    process = subprocess.Popen(command)
    interrupted = False
    while True:
        try:
            code = process.wait()
            break
        except KeyboardInterrupt:  # the command got it as well
            interrupted = True
    if interrupted:
        print("interrupted: the same command goes on", file=sys.stderr)
        return 130
    return code


# What is measured
# --------------------------------------------------------------------------------------------------------------------


def measured(asked: Asked, archive: Archive, label: str) -> Path:
    """Measure the speed of a variant and the reach of its gradients; return the file with what was found."""
    from .scoring.measured import measured_file

    path = measured_file(asked.results / archive.design.name, label)
    import_quickly("runs.scoring.speed")
    from .scoring.measuring import measure

    measure(archive, label, path)
    return path


if __name__ == "__main__":
    end_quickly()
    sys.exit(main(sys.argv[1:]))
