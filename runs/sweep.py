"""A study from the shell: `python -m runs.sweep study=quick workers=2`. Plans it, starts workers, mirrors trials into MLflow.

The same command goes on where it stopped, and does nothing when all is done.
"""

from __future__ import annotations

import fcntl
import json
import multiprocessing
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hydra import compose
from omegaconf import DictConfig
from tqdm import tqdm

from variants import Cell

from .config import command_line, own_knobs, plain, writable
from .design import Design, Dimension
from .facts import facts
from .study import Study, open_storage
from .tracking import Tracker, default_uri, without_password
from .trial import Model, Outcome, Training, construct, require
from .worker import work

ACTIONS = ("run", "status")
POLL_SECONDS = 0.5
PARENT_ONLY = "only one `python -m runs.sweep` may run a study at a time on a machine"


def main(config: DictConfig) -> int:
    """Run, or report on, the configured study."""
    require(config.action in ACTIONS, f"action must be one of {', '.join(ACTIONS)}", config.action)
    require(config.workers >= 1, "workers must be at least 1", config.workers)
    design = design_from(config)
    results = Path(config.results)
    folder = writable(results / design.name)
    if config.action == "status":
        return status(config.storage, folder, design.name)
    with sole_parent(folder):
        storage = open_storage(config.storage, folder)
        uri = (without_password(config.tracking.uri) or default_uri(results)) if config.tracking.enabled else ""
        about = {**facts(), "created": datetime.now(UTC).isoformat(timespec="seconds"), "tracking_uri": uri}
        study = Study.create(storage, design, about)
        (folder / "design.json").write_text(json.dumps({**study.design.as_dict(), **study.facts}, indent=1) + "\n")
        tracker = make_tracker(config, results)
        mirror = Mirror(study, tracker)
        total = len(study.design.cells) * study.design.points
        done = sum(1 for _ in study.told())
        if done == total:
            mirror.catch_up()
            print(f"study {design.name!r}: all {total} trials are done; next: python -m analysis study={design.name}")
            return 0
        code = run(study, mirror, config.storage, folder, config.workers, total)
        print_counts(study)
        if code == 0:
            print(f"next: python -m analysis study={design.name}")
        return code


def design_from(config: DictConfig) -> Design:
    """The design that a composed configuration describes. Raises ValueError for whatever is wrong in it."""
    values = plain(config)
    variants = {}
    for entry in values["variants"]:
        require(isinstance(entry, str), "variants must be names of configuration choices or dotted paths", entry)
        node = variant_node(entry)
        require(node["label"] not in variants, "variants must be different", entry)
        variants[node["label"]] = node
    tasks: dict[str, Mapping[str, Any]] = {}
    for label, knobs in values["tasks"].items():
        given = dict(knobs or {})
        choice = given.pop("task", label)
        problem = chosen("task", choice)
        problem.label = label
        for key, value in given.items():
            known = [k for k in problem if k not in ("_target_", "label")]
            require(key in known, f"task {label}: knobs are {', '.join(map(str, known))}", key)
            problem[key] = value
        tasks[label] = plain(problem)
    return Design(
        name=values["name"],
        baseline=values["baseline"],
        variants=variants,
        tasks=tasks,
        points=values["points"],
        match=values["match"],
        space={name: dimension(name, node) for name, node in values["space"].items()},
        initialisation=values["initialisation"],
        model=Model(**values["model"]),
        training=Training(**values["training"]),
        seed=values["seed"],
    )


def variant_node(entry: str) -> dict[str, Any]:
    """The configuration of a variant named by its choice, or by the dotted path of a class of your own."""
    if "." not in entry:
        return own_knobs("variant", plain(chosen("variant", entry)), entry)
    cell = construct({"_target_": entry}, Cell)
    return {"_target_": entry, "label": cell.name or type(cell).__name__, **{k: plain(v) for k, v in cell.knobs.items()}}


def chosen(group: str, choice: str) -> DictConfig:
    """The node of a configuration choice."""
    node = compose("trial", overrides=[f"{group}={choice}"])[group]
    assert isinstance(node, DictConfig)
    return node


def dimension(name: str, node: Mapping[str, Any]) -> Dimension:
    """A dimension of the space from its configuration."""
    try:
        return Dimension(**node)
    except TypeError as error:
        raise ValueError(f"space.{name}: {str(error).removeprefix('Dimension.__init__() ')}") from None


@contextmanager
def sole_parent(folder: Path) -> Iterator[None]:
    """Hold the study's lock on this machine. Raises ValueError where another process holds it."""
    with (folder / "parent.lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ValueError(f"study: {PARENT_ONLY}, and one is running on {folder}") from None
        yield


def make_tracker(config: DictConfig, results: Path) -> Tracker | None:
    """The MLflow mirror, created before any worker starts; None if disabled or out of reach, which it says."""
    if not config.tracking.enabled:
        return None
    uri = config.tracking.uri or default_uri(results)
    try:
        tracker = Tracker(results, config.tracking.uri)
        tracker.experiment(config.name)
    except Exception as error:  # the dashboard being away must not stop a study
        print(f"mlflow: {without_password(uri)} is out of reach ({type(error).__name__}); the study goes on without it", file=sys.stderr)
        return None
    print(f"mlflow: experiment {config.name!r} in {without_password(uri)}")
    return tracker


class Mirror:
    """Copies told trials of a study to MLflow, each once."""

    def __init__(self, study: Study, tracker: Tracker | None) -> None:
        self.study, self.tracker = study, tracker
        self.done = tracker.mirrored(study.design.name) if tracker else set()

    def catch_up(self) -> int:
        """Write every told trial that has no run yet; returns how many. If MLflow fails, the rest waits for the next call."""
        if self.tracker is None:
            return 0
        written = 0
        for task, variant, stored in self.study.told():
            point = stored.user_attrs["point"]
            if (task, variant, point) in self.done:
                continue
            trial = self.study.design.trial(task, variant, point)
            outcome = Outcome.from_dict(stored.user_attrs["outcome"])
            tags = {"study": self.study.design.name, "point": point, "commit": self.study.facts.get("commit", "")}
            params = self.study.design.values(task, point)
            try:
                self.tracker.trial(self.study.design.name, trial, outcome, tags, params)
            except Exception as error:  # the study must not stop because the dashboard did
                print(f"mlflow: {type(error).__name__}: {str(error).splitlines()[0]}; will try again", file=sys.stderr)
                return written
            self.done.add((task, variant, point))
            written += 1
        return written


def run(study: Study, mirror: Mirror, storage: str, folder: Path, workers: int, total: int) -> int:
    """Start the workers and wait for them; returns 0 when every trial is told, 130 when interrupted, 1 when a worker died."""
    context = multiprocessing.get_context("spawn")
    waiting = sum(c["waiting"] + c["running"] for c in study.counts().values())
    processes = [
        context.Process(target=work, args=(storage, folder, study.design.name), name=f"worker {k}") for k in range(min(workers, waiting))
    ]
    interrupted = False

    def interrupt(number: int, frame: Any) -> None:
        nonlocal interrupted
        interrupted = True

    for process in processes:
        process.start()
    previous = {s: signal.signal(s, interrupt) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        done = sum(1 for _ in study.told())
        with tqdm(total=total, initial=done, desc=study.design.name, unit="trial", dynamic_ncols=True, smoothing=0.05, disable=None) as bar:
            while any(p.is_alive() for p in processes):
                if interrupted:
                    for process in processes:
                        if process.is_alive() and process.pid is not None:
                            process.terminate()
                time.sleep(POLL_SECONDS)
                mirror.catch_up()
                done = sum(1 for _ in study.told())
                bar.update(done - bar.n)
        for process in processes:
            process.join()
        mirror.catch_up()
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    if interrupted:
        print("interrupted: the trials at hand were put back; the same command goes on from here", file=sys.stderr)
        return 130
    dead = [f"{p.name} ended with {p.exitcode}" for p in processes if p.exitcode]
    if dead or sum(1 for _ in study.told()) < total:
        print(f"not finished ({'; '.join(dead) or 'trials are left'}): the same command goes on from here", file=sys.stderr)
        return 1
    return 0


def status(storage: str, folder: Path, name: str) -> int:
    """Print how far a study is."""
    if not storage and not (folder / "journal.log").exists():
        raise ValueError(f"study {name!r} has not been started in {folder.parent}")
    try:
        study = Study.open(open_storage(storage, folder), name)
    except KeyError:
        raise ValueError(f"study {name!r} is not in its storage") from None
    print_counts(study)
    return 0


def print_counts(study: Study) -> None:
    """A table of done, solved, diverged, failed, running and waiting trials, by task and variant."""
    columns = ("told", "solved", "finished", "diverged", "failed", "running", "waiting")
    width = max(len(f"{t} {v}") for t, v in study.design.cells)
    print(f"{study.design.name:<{width}}  " + "  ".join(f"{c:>8}" for c in columns))
    totals = dict.fromkeys(columns, 0)
    for (task, variant), row in study.counts().items():
        for c in columns:
            totals[c] += row.get(c, 0)
        print(f"{f'{task} {variant}':<{width}}  " + "  ".join(f"{row.get(c, 0):>8}" for c in columns))
    print(f"{'all':<{width}}  " + "  ".join(f"{totals[c]:>8}" for c in columns))


if __name__ == "__main__":
    command_line(main, "sweep")
