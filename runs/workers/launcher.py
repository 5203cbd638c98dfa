"""Workers that one of Hydra's launchers starts, perhaps on other machines.

The command is `python -m runs.sweep -m worker='range(0,8)' hydra/launcher=...`.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from ..configuration.command_line import as_given
from ..configuration.mistakes import MISTAKES, one_line
from ..configuration.stage import staged
from ..configuration.study import checked
from ..console.text import complain, say
from ..files import writable
from ..record.mirror import Mirror
from ..study.part import Part
from ..study.plan import Search
from ..study.storage.opening import open_storage, patiently
from ..study.study import Study
from ..trial.training import prepare_process
from .actions import opened
from .against import created, mirrored
from .planning import announce, facts_of_session
from .status import next_step, print_counts, print_failures
from .stop import asked_to_stop, withdraw_stop
from .worker import work


def one_of_many(config: DictConfig, search: Search, folder: Path, arguments: Sequence[str]) -> int:
    """Be worker number `config.worker` of a launcher; returns the exit code.

    Worker 0 plans the study before it works, and writes it to MLflow afterwards. Every worker stays until all trials
    are finished.

    config: composed from `conf/sweep.yaml`.
    search: that the configuration describes.
    folder: of the study.
    arguments: of the command that started the launcher, as the worker's own command line is the launcher's.
    """
    prepare_process()
    url, results = str(config.storage.url), Path(config.results)
    tracking = config.tracking.uri if config.tracking.enabled else None
    part = Part.read(config.part)
    plan = patiently(lambda: staged(config, search, url, folder))
    storage = patiently(lambda: open_storage(url, folder))
    if config.worker == 0:
        command = shlex.join(["python", "-m", "runs.sweep", *arguments])
        about = {**facts_of_session(results, tracking), "command": command}
        study = patiently(lambda: created(storage, plan, search, about, workers=0, part=part))
        announce(study, folder)
    else:
        study = patiently(lambda: Study.await_plan(storage, plan))
    finished = work(url, folder, plan.key, linger=True, seconds=config.trial_seconds, part=part)
    stopped = "; asked to stop" if asked_to_stop(folder) else ""
    print(f"worker {config.worker}: {finished} trials{stopped}", flush=True)
    if config.worker == 0 and tracking is not None:
        Mirror(study, results, tracking, mirrored(plan, search)).finish()
    return 1 if config.worker == 0 and print_failures(study) else 0


class Submission(Callback):
    """What the submitting process does before and after the jobs that a launcher runs.

    Hydra swallows every exception of a callback except SystemExit.
    """

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Refuse mistakes, so that no job waits in a queue only to find one; withdraw a request to stop."""
        try:
            own = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
            search = checked(own, as_given(config.hydra.overrides.task))
            folder = writable(Path(config.results) / search.design.name)
            if _starts_workers(config):
                staged(own, search, str(config.storage.url), folder)
        except MISTAKES as error:
            complain(one_line(error, sys.argv[1:]))
            raise SystemExit(2) from None
        if _starts_workers(config):
            withdraw_stop(folder)
        _run_ray_here(config)

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Print the counts of the study; the exit code is 1 if a trial is missing or failed."""
        if not _starts_workers(config):
            return
        folder = Path(config.results) / config.name
        study = opened(str(config.storage.url), folder, config.name, config.stage)
        study.part = Part.read(config.part)
        failed = print_counts(study)
        for line in study.pilot():
            say(line)
        if not study.finished():
            print("not finished: the same command goes on from here", file=sys.stderr)
            raise SystemExit(0 if asked_to_stop(folder) else 1)
        print(next_step(study, config.results))
        if failed:
            raise SystemExit(1)


def _starts_workers(config: DictConfig) -> bool:
    """Return True if the jobs of a multirun are the workers of one study, not one study each."""
    return any(override.startswith("worker=") for override in config.hydra.overrides.task)


def _run_ray_here(config: DictConfig) -> None:
    """Make Ray, if it is the launcher and has no address, start on this machine.

    Otherwise it looks for a cluster here, and fails if it finds one or what is left of one.
    """
    ray = config.hydra.launcher.get("ray")
    if ray is not None and ray.init.get("address") is None:
        os.environ.setdefault("RAY_ADDRESS", "local")
