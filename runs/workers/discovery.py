"""What can be done with a search for cells besides running it: status, stop, export, verdict and adopt."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from ..arguments import command
from ..console.text import counted, grid, say, width
from ..discovery.adopting import adopted
from ..discovery.finding import found
from ..discovery.plan import MUTATION, CellPlan
from ..discovery.scoring import members
from ..discovery.search import CellSearch
from ..discovery.status import print_funnel
from ..discovery.table import TABLE, save_table
from ..discovery.verdict import VERDICT, reached_in, verdict_name, verdicts, write_study
from ..files import writable, write_whole
from ..study.finding import records
from .actions import ask_workers
from .status import outlook

if TYPE_CHECKING:
    from omegaconf import DictConfig

Action: TypeAlias = "Callable[[DictConfig, CellPlan, Path], int]"
"""Takes the configuration, the plan that it describes, and the folder of the search; returns the exit code."""


def _opened(config: DictConfig, folder: Path) -> CellSearch:
    return found(folder.parent, folder.name, str(config.storage.url))


def status(config: DictConfig, plan: CellPlan, folder: Path) -> int:
    """Print how far a search is, where its candidates ended, and what is left."""
    search = _opened(config, folder)
    print_funnel(search.plan, search.told())
    for line in search.pilot():
        say(line)
    times = [finished.stored.user_attrs["outcome"]["seconds"] for finished in search.finished_trials()]
    for line in outlook(search.left(), times, search.held()):
        say(line)
    refusal = search.refusal()
    if refusal:
        say(f"{search.plan.title} cannot go on: {refusal}")
    return 0


def stop(config: DictConfig, plan: CellPlan, folder: Path) -> int:
    """Ask the workers of a search to finish the candidate at hand and leave; asked a second time, to leave at once."""
    return ask_workers(_opened(config, folder), folder)


def export(config: DictConfig, plan: CellPlan, folder: Path) -> int:
    """Write the table of candidates as `candidates.parquet`."""
    search = _opened(config, folder)
    path = writable(folder) / TABLE
    print(f"{path}: {len(save_table(search, path))} candidates")
    return 0


def adopt(config: DictConfig, plan: CellPlan, folder: Path) -> int:
    """Write a cell as a preset."""
    if not config.hash:
        raise ValueError("action=adopt needs the hash of a cell, as in hash=0a36f1a1e4; action=status lists the best")
    search = _opened(config, folder)
    path = adopted(search.plan, search.told(), config.hash, config.path)
    say(f"{path}: variant={path.stem} is this cell")
    return 0


def verdict(config: DictConfig, plan: CellPlan, folder: Path) -> int:
    """Run the best cells of a search again in a study with fresh points and seeds, and say what is left of them."""
    search = _opened(config, folder)
    plan = search.plan
    pool = [member for member in members(plan, search.told(), MUTATION) if member.first.arm == MUTATION]
    best = pool[: config.best]
    if not best:
        raise ValueError(f"action=verdict needs a search in which a cell was scored, and {plan.title} has none yet")
    presets, name, results = (
        write_study(plan, best, config.verdict_points, writable(folder)),
        verdict_name(plan),
        folder.parent,
    )
    say(f"study {name}: the best {counted(len(best), 'cell')} of {plan.title} at {config.verdict_points} fresh points")
    words = [f"study={name}", f"workers={config.workers}", f"results={results}", "tracking=none"]
    for stage in ("search", "confirm"):
        code = subprocess.call(
            [sys.executable, "-m", "runs.sweep", "--config-dir", str(presets), *words, f"stage={stage}"],
            stdout=subprocess.DEVNULL,
        )
        if code not in (0, 1):  # 1: some trials failed, which count as 0
            return code
    rows, _ = records(results, name, stages=True)
    _report(verdicts(best, reached_in(plan, rows), plan.design.baseline), folder)
    print(f"next: {command('analysis', results=results, study=name)}")
    return 0


def _report(found: list[dict[str, Any]], folder: Path) -> None:
    """Print the verdict, and write it into the folder of the search."""
    columns = ("search", "confirmed", "optimism")
    shown = [[each["variant"], *("" if each[c] is None else f"{each[c]:.3f}" for c in columns)] for each in found]
    print(grid(["share of the GRU", *columns], shown, width()))
    say(
        "search: the best of all points of the search; confirmed: the mean of separate searches on fresh points, whose "
        "winners were run once more; the report has the paired intervals"
    )
    write_whole(folder / VERDICT, json.dumps(found, indent=1) + "\n")


ACTIONS: dict[str, Action] = {
    "status": status,
    "stop": stop,
    "export": export,
    "verdict": verdict,
    "adopt": adopt,
}
