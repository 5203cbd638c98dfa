"""A study from the shell: `python -m runs.sweep study=quick workers=2`.

The same command goes on where it stopped, and does nothing when all is done. A complete search goes on with
`stage=confirm` and `stage=horizon`. Exit codes: 0 if every trial is done and none failed, or the workers were asked to
stop; 1 if some are missing or failed; 2 for a mistake; 130 when interrupted.
"""

from __future__ import annotations

if __name__ == "__main__":
    from .console.start import answer

    answer("sweep")

import sys
import time
from collections.abc import Sequence
from pathlib import Path

if __name__ != "__mp_main__":  # the name under which Python imports this file once more in each worker
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import DictConfig

    from .configuration.checks import by_key
    from .configuration.command_line import as_given, command_line
    from .configuration.schema import plain
    from .configuration.stage import notes, staged
    from .configuration.study import checked
    from .console.text import say
    from .files import writable
    from .record.mirror import Mirror
    from .study.part import Part
    from .study.plan import Search
    from .study.storage.opening import open_storage
    from .workers.actions import ACTIONS, status
    from .workers.against import created, mirrored
    from .workers.launcher import one_of_many
    from .workers.planning import announce, facts_of_session
    from .workers.pool import Pool, run_pool, sole_parent
    from .workers.restore import restore
    from .workers.status import in_other_hands, next_step, print_counts, print_failures
    from .workers.stop import withdraw_stop
else:
    from .console.start import end_quickly, import_quickly

    end_quickly()
    import_quickly("runs.workers.worker")

WORTH_SAYING = 5.0  # seconds of planning


def main(config: DictConfig) -> int:
    """Run the configured study, or do with it what `action` says; returns the exit code."""
    arguments = as_given(HydraConfig.get().overrides.task)
    search = checked(config, arguments)
    name, url, results = search.design.name, str(config.storage.url), Path(config.results)
    folder = results / name
    if config.action == "restore":
        return restore(plain(config["from"]), config.verify, search, by_key(arguments), url, results)
    if config.action == "status":
        return status(url, folder, name, config.stage, Part.read(config.part))
    if config.action != "run":
        return ACTIONS[config.action](url, folder, name, config.stage)
    writable(folder)
    if config.worker is not None:
        return one_of_many(config, search, folder, arguments)
    withdraw_stop(folder)
    with sole_parent(folder):
        return run_here(config, search, folder, arguments)


def run_here(config: DictConfig, search: Search, folder: Path, arguments: Sequence[str]) -> int:
    """Plan a study, or its configured stage, and run it with workers on this machine; returns the exit code.

    config: composed from `conf/sweep.yaml`.
    search: that the configuration describes.
    folder: of the study.
    arguments: that the configuration was composed from.
    """
    url, results = str(config.storage.url), Path(config.results)
    tracking = config.tracking.uri if config.tracking.enabled else None
    about = facts_of_session(results, tracking)
    begun = time.perf_counter()
    plan = staged(config, search, url, folder)
    study = created(open_storage(url, folder), plan, search, about, config.workers, Part.read(config.part))
    planning = time.perf_counter() - begun
    factors = search.design.factors
    for note in [*notes(plan, study.plan, by_key(arguments)), *(factors.lines if factors else [])]:
        say(note)
    if planning > WORTH_SAYING:
        print(f"planned {study.size} trials in {planning:.0f} s")
    announce(study, folder)
    others = in_other_hands(study)
    if others:
        print(others, file=sys.stderr, flush=True)
    mirror = None if tracking is None else Mirror(study, results, tracking, mirrored(plan, search))
    if mirror is not None:
        print(mirror.greeting())
    if study.finished():
        if mirror is not None:
            mirror.finish()
            print(mirror.farewell(), end="")
        whose = "" if study.part.whole else f"{study.part} of "
        print(f"{whose}{plan.title}: all {study.share} trials are finished\n{next_step(study, results)}")
        return 1 if print_failures(study) else 0
    code = run_pool(Pool(study, url, folder, config.trial_seconds), config.workers, mirror, planning)
    failed = print_counts(study)
    if mirror is not None:
        print(mirror.farewell(), end="")
    if study.finished():
        print(next_step(study, results))
    return code or (1 if failed else 0)


if __name__ == "__main__":
    command_line(main, "sweep")
