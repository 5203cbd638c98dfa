"""A search for cells from the shell: `python -m runs.discover discovery=quick name=mine workers=2`.

The same command goes on where it stopped, and does nothing when all candidates were tried. Exit codes: 0 if every
candidate was tried, or the workers were asked to stop; 1 if some were not or the search cannot go on; 2 for a mistake;
130 when interrupted.
"""

from __future__ import annotations

if __name__ == "__main__":
    from .console.start import answer

    answer("discover")

import sys
import time
from pathlib import Path

if __name__ != "__mp_main__":  # the name under which Python imports this file once more in each worker
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import DictConfig

    from .configuration.command_line import command_line
    from .configuration.discovery import checked_search
    from .console.text import complain, say
    from .discovery.kernels import kernels_in
    from .discovery.plan import CellPlan
    from .discovery.search import CellSearch
    from .discovery.status import next_steps, print_funnel
    from .files import writable
    from .study.storage.opening import open_storage
    from .workers.discovery import ACTIONS
    from .workers.planning import facts_of_session
    from .workers.pool import Pool, run_pool, sole_parent
    from .workers.status import in_other_hands
    from .workers.stop import withdraw_stop
else:
    from .console.start import end_quickly, import_quickly

    end_quickly()
    import_quickly("runs.workers.worker")


def main(config: DictConfig) -> int:
    """Run the configured search, or do with it what `action` says; returns the exit code."""
    plan = checked_search(config, HydraConfig.get().overrides.task)
    folder = Path(config.results) / plan.design.name
    if config.action != "run":
        return ACTIONS[config.action](config, plan, folder)
    writable(folder)
    withdraw_stop(folder)
    with sole_parent(folder), kernels_in(folder, config.megabytes):
        return run_here(config, plan, folder)


def run_here(config: DictConfig, plan: CellPlan, folder: Path) -> int:
    """Plan a search and run it with workers on this machine; returns the exit code.

    config: composed from `conf/discover.yaml`.
    plan: that the configuration describes.
    folder: of the search.
    """
    url = str(config.storage.url)
    begun = time.perf_counter()
    search = CellSearch.create(open_storage(url, folder), plan, facts_of_session(Path(config.results), None))
    planning = time.perf_counter() - begun
    kept = search.plan.generations
    if kept > plan.generations:
        say(f"generations={plan.generations}: the search has {kept} generations and keeps them")
    for line in (search.sessions.news(), in_other_hands(search)):
        if line:
            print(line, file=sys.stderr, flush=True)
    code = 0
    if not search.finished():
        code = run_pool(Pool(search, url, folder, config.trial_seconds), config.workers, None, planning)
    print_funnel(search.plan, search.told())
    refusal = search.refusal()
    if refusal:
        complain(f"{plan.title} cannot go on: {refusal}")
        return 1
    if search.finished():
        for line in next_steps(search.plan, search.told(), Path(config.results)):
            print(line)
    return code


if __name__ == "__main__":
    command_line(main, "discover")
