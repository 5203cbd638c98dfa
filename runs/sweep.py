"""A study from the shell: `python -m runs.sweep study=quick workers=2`. Plans it, starts workers, mirrors trials into
MLflow.

The same command goes on where it stopped, and does nothing when all is done. A complete search goes on with
`stage=confirm` and `stage=horizon`. Exit codes: 0 when every trial is done and none failed, 1 when some are missing or
failed, 2 for a mistake, 130 when interrupted.
"""

from __future__ import annotations

if __name__ == "__main__":
    from .console.early import refuse_mistyped

    refuse_mistyped("sweep")

import fcntl
import json
import multiprocessing
import os
import re
import secrets
import shlex
import signal
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import MISSING, fields
from datetime import UTC, datetime
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import psutil
from hydra import compose
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from optuna.trial import FrozenTrial
from tqdm import tqdm

from tasks import Task
from tasks.contract import try_out
from variants import knobs_of

from .arguments import command
from .config import (
    GROUPS,
    MISTAKES,
    SweepConfig,
    by_key,
    command_line,
    node_of,
    one_line,
    own_knobs,
    plain,
    refuse_idle,
    refuse_unread,
    writable,
)
from .console.known import unknown
from .console.progress import in_log
from .files import write_whole
from .record.facts import facts
from .record.tracking import Mirror, stored_uri
from .rules import require, require_one_of
from .study.design import Design
from .study.plan import Plan, Search, require_key
from .study.space import Dimension
from .study.stages import KINDS, Confirm, Horizon, Stage
from .study.storage.repair import repaired
from .study.study import Held, NoStudy, Study, find, open_storage, patiently
from .trial.training import prepare_process
from .trial.trial import Model, Training, allow, construct
from .workers.worker import AT_ONCE, GRACE_SECONDS, STOP, at_once, out_of_time, overtime, work

POLL_SECONDS = 0.5
MIRROR_SECONDS = 3.0  # spent on MLflow before the workers are looked at again, however much it lags
TWICE_SECONDS = 0.5  # between two signals that are two
STUCK_SECONDS = 30.0  # a trial is not called stuck before
MOST_REPLACED = 100  # dead workers; beyond it something is wrong with the machine
PARENT_ONLY = "only one `python -m runs.sweep` may run a study at a time on a machine"


def main(config: DictConfig) -> int:
    """Run, or report on, the configured study."""
    search = checked(config, HydraConfig.get().overrides.task)
    design = search.design
    results = Path(config.results)
    url = str(config.storage.url)
    if config.action != "run":
        return ACTIONS[config.action](url, results / design.name, design.name, config.stage)
    folder = writable(results / design.name)
    uri = stored_uri(config.tracking.uri, results) if config.tracking.enabled else ""
    about = {**facts(), "created": datetime.now(UTC).isoformat(timespec="seconds"), "tracking_uri": uri}
    # of a study that is created now; what is started anew under the same name is another
    about["study_id"] = secrets.token_hex(8)
    if config.worker is not None:
        return one_of_many(config, search, about, url, folder)
    (folder / STOP).unlink(missing_ok=True)
    with sole_parent(folder):
        started = time.perf_counter()
        plan = staged(config, search, url, folder)
        study = Study.create(open_storage(url, folder), plan, about)
        planning = time.perf_counter() - started
        for note in notes(plan, study.plan, by_key(HydraConfig.get().overrides.task)):
            print(note)
        describe(study, folder, planning)
        for line in (study.news(), in_other_hands(study)):
            if line:
                print(line, file=sys.stderr, flush=True)
        mirror = Mirror(study, results, config.tracking.uri) if config.tracking.enabled else None
        if mirror is not None:
            print(mirror.greeting())
        if study.finished():
            if mirror is not None:
                mirror.finish()
            print(f"{plan.title}: all {study.size} trials are done; {next_step(study, results)}")
            return 1 if print_failures(study) else 0
        code = run(study, mirror, url, folder, config.workers, planning, config.trial_seconds)
        failed = print_counts(study)
        if study.finished():
            print(next_step(study, results))
        return code or (1 if failed else 0)


def checked(config: DictConfig, overrides: Sequence[str]) -> Search:
    """The search of a configuration.

    overrides: the arguments that it was composed from. Raises ValueError for whatever is wrong in the configuration,
    for a key that nobody reads, and for an argument without effect.
    """
    refuse_unread(config, SweepConfig)
    require_one_of("action", config.action, ACTIONS)
    require_one_of("stage", config.stage, ("search", *KINDS))
    require(config.workers >= 1, "workers must be at least 1", config.workers)
    require(config.trial_seconds >= 0, "trial_seconds must be 0 (no limit) or more", config.trial_seconds)
    require(config.worker is None or config.worker >= 0, "worker must be at least 0", config.worker)
    for kind in KINDS.values():
        knobs_of_stage(config, kind)
    search = Search(design_from(config))
    refuse_idle_in_study(config, search.design, by_key(overrides))
    return search


def refuse_idle_in_study(config: DictConfig, design: Design, asked: Mapping[str, str]) -> None:
    """Raise ValueError for an argument that has no effect: nobody reads it at this stage, or the study searches what it
    sets.
    """
    refuse_idle(config, asked)
    for key, argument in asked.items():
        part, _, name = key.partition(".")
        if (
            part == "tasks"
            and name
            and not argument.startswith("+")
            and re.search(rf"\b{re.escape(name)}: *{{ *}}", argument)
        ):
            raise ValueError(
                f"{argument}: an empty mapping changes nothing, since it is merged into the knobs of {name}"
            )
        if part in KINDS and part != config.stage:
            raise ValueError(f"{argument}: is read with stage={part} only, got stage={config.stage}")
        for name, searched in design.space.items():
            if key == searched.key:
                raise ValueError(
                    f"{argument}: the study searches it in space.{name}; ~space.{name} takes it out of the search"
                )
    if "worker" in asked and "workers" in asked:
        raise ValueError(f"{asked['workers']}: is not read where a launcher starts the workers, got {asked['worker']}")


def knobs_of_stage(config: DictConfig, kind: type[Confirm] | type[Horizon]) -> Confirm | Horizon:
    """The knobs of a stage. Raises ValueError for a value out of range."""
    return kind(**plain(config[kind.kind]))


def staged(config: DictConfig, search: Search, url: str, folder: Path) -> Plan:
    """The search itself, or the configured stage of it: as it was planned, else planned from what the search has told.

    Raises ValueError where the search is not there, not complete, or another one.
    """
    if config.stage == "search":
        return search
    design = search.design
    first = f"first the same command without stage={config.stage}"
    try:
        study = find(folder.parent, design.name, url)
    except NoStudy as error:
        raise ValueError(f"stage={config.stage}: {error}; {first}") from None
    study.refuse_another(search)
    assert isinstance(study.plan, Search)
    counts = study.counts()
    missing = {cell: max(design.points, study.design.points) - counts[cell]["told"] for cell in counts}
    if any(missing.values()):
        named = [f"{task} {variant} {count}" for (task, variant), count in missing.items() if count]
        more = f" and {len(named) - 4} more" if len(named) > 4 else ""
        total = sum(missing.values())
        raise ValueError(
            f"stage={config.stage} needs the complete search, but {total} trial{'s are' if total > 1 else ' is'} missing in study "
            f"{design.name!r} ({', '.join(named[:4])}{more}); {first}"
        )
    losses: dict[tuple[str, str], dict[int, float | None]] = {cell: {} for cell in counts}
    for task, variant, stored in study.told():
        losses[task, variant][stored.user_attrs["point"]] = stored.user_attrs["outcome"]["validation_loss"]
    return Stage.after(study.plan, knobs_of_stage(config, KINDS[config.stage]), losses)


def notes(wanted: Plan, stored: Plan, asked: Mapping[str, str]) -> list[str]:
    """What to say of what is asked for and has no effect: less than a study, or its stage, already has; a momentum that
    Adam does not read.

    asked: arguments by their keys.
    """
    lines = []
    if (
        isinstance(wanted, Search)
        and isinstance(stored, Search)
        and wanted.length < stored.length
        and "points" in asked
    ):
        lines.append(f"{asked['points']}: the study has {stored.length} points and keeps them")
    if isinstance(wanted, Stage) and isinstance(stored, Stage) and wanted.length < stored.length:
        key = f"{stored.stage}.{stored.knobs.grows}"
        if key in asked:
            lines.append(
                f"{asked[key]}: the stage was planned with {key}={getattr(stored.knobs, stored.knobs.grows)} and keeps its runs"
            )
    optimiser = wanted.design.training.optimiser
    for name, searched in wanted.design.space.items():
        if searched.key == "training.momentum" and optimiser != "nesterov":
            lines.append(
                f"space.{name}: training.momentum is read with training.optimiser=nesterov only, got {optimiser}"
            )
    if isinstance(wanted, Stage) and isinstance(wanted.knobs, Confirm) and wanted.knobs.repeats == 0 and not lines:
        lines.append("confirm.repeats=0: only the winner of each block is run again")
    return lines


def one_of_many(config: DictConfig, search: Search, about: dict[str, Any], url: str, folder: Path) -> int:
    """Be worker number `config.worker` of a launcher: the first plans and mirrors into MLflow at its end, all work
    until all is told.
    """
    prepare_process()
    plan = patiently(lambda: staged(config, search, url, folder))
    storage = patiently(lambda: open_storage(url, folder))
    if config.worker == 0:
        about["command"] = shlex.join(
            ["python", "-m", "runs.sweep", *HydraConfig.get().overrides.task]
        )  # that of the process is the launcher's
        study = patiently(lambda: Study.create(storage, plan, about))
        describe(study, folder)
        if study.news():
            print(study.news(), file=sys.stderr, flush=True)
    else:
        study = patiently(lambda: Study.await_plan(storage, plan))
    done = work(url, folder, plan.key, linger=True, seconds=config.trial_seconds)
    print(
        f"worker {config.worker}: {done} trials" + ("; asked to stop" if (folder / STOP).exists() else ""), flush=True
    )
    if config.worker == 0 and config.tracking.enabled:
        Mirror(study, Path(config.results), config.tracking.uri).finish()
    return 1 if config.worker == 0 and print_failures(study) else 0


class Submission(Callback):
    """What the submitting process does around the workers that a launcher starts: refuse mistakes before, say how it
    went after.

    Hydra swallows what a callback raises, except for SystemExit.
    """

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Build the design, so that no job waits in a queue to find that it cannot; take back a request to stop."""
        try:
            own = OmegaConf.masked_copy(config, [str(k) for k in config if k != "hydra"])
            search = checked(own, config.hydra.overrides.task)
            folder = writable(Path(config.results) / search.design.name)
            if launched(config):
                staged(own, search, str(config.storage.url), folder)
        except MISTAKES as error:
            print(f"error: {one_line(error, sys.argv[1:])}", file=sys.stderr)
            raise SystemExit(2) from None
        if launched(config):
            (folder / STOP).unlink(missing_ok=True)
        ray = config.hydra.launcher.get("ray")
        if ray is not None and ray.init.get("address") is None:
            # Else Ray looks for a cluster on this machine, and fails where one runs or was not stopped in order.
            os.environ.setdefault("RAY_ADDRESS", "local")

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Print the counts of the study; exit code 1 where a trial is missing or failed."""
        if not launched(config):
            return
        study = opened(str(config.storage.url), Path(config.results) / config.name, config.name, config.stage)
        failed = print_counts(study)
        if not study.finished():
            print("not finished: the same command goes on from here", file=sys.stderr)
            raise SystemExit(0 if (Path(config.results) / config.name / STOP).exists() else 1)
        print(next_step(study, config.results))
        if failed:
            raise SystemExit(1)


def launched(config: DictConfig) -> bool:
    """Whether the jobs of a multirun are the workers of one study."""
    return any(override.startswith("worker=") for override in config.hydra.overrides.task)


def describe(study: Study, folder: Path, seconds: float = 0.0) -> None:
    """Write the design, or the stage, beside the results, and say how long planning took where it did."""
    write_whole(
        folder / beside(study, "design"), json.dumps({**study.plan.as_dict(), **study.facts}, indent=1) + "\n"
    )
    if seconds > 5:
        print(f"planned {study.size} trials in {seconds:.0f} s")


def beside(study: Study, what: str) -> str:
    """The name of a JSON file in the study's folder; those of a stage begin with its name."""
    return f"{what}.json" if study.plan.stage == "search" else f"{study.plan.stage}_{what}.json"


def design_from(config: DictConfig) -> Design:
    """The design that a composed configuration describes. Raises ValueError for whatever is wrong in it."""
    values = plain(config)
    require(isinstance(values["variants"], list), "variants must be a list, as in [vanilla, gru]", values["variants"])
    require(
        isinstance(values["tasks"], dict), "tasks must be names with knobs, as in {adding: {lag: 50}}", values["tasks"]
    )
    require(isinstance(values["space"], dict), "space must be hyperparameters with ranges", values["space"])
    variants: dict[str, Mapping[str, Any]] = {}
    for entry in values["variants"]:
        node = variant_node(entry)
        label = str(node["label"])
        if label in variants:
            again = f"{{{label}_2: {{variant: {label}, <knob>: <value>}}}}"
            raise ValueError(
                f"variants must be different, got {label!r} twice; with other knobs and a name of its own it is {again}"
            )
        variants[label] = node
    tasks = {str(label): labelled("task", str(label), knobs) for label, knobs in values["tasks"].items()}
    for node in tasks.values():
        try_out(construct(node, Task))
    allow([values["initialisation"]["_target_"]])
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
        sampler=values["sampler"],
        pruner=values["pruner"],
    )


def variant_node(entry: Any) -> dict[str, Any]:
    """The configuration of an entry of `variants`.

    entry: the name of a choice; the dotted path of a class of your own; or a label with knobs, in the manner of a
    study's tasks: `{gru_wide: {variant: gru, <knob>: <value>}}`.
    """
    if isinstance(entry, dict) and len(entry) == 1:
        ((label, knobs),) = entry.items()
        return labelled("variant", str(label), knobs)
    rule = "must be a name, the dotted path of a class, or a label with knobs, as in {no_bias: {variant: vanilla, forget_bias: 0}}"
    require(isinstance(entry, str) and entry != "", f"each of the variants {rule}", entry)
    return node_from("variant", entry, {}, None)


def labelled(group: str, label: str, knobs: Any) -> dict[str, Any]:
    """The configuration of a variant or a task that stands in a study as `label: {variant: choice, knob: value}`, or
    `task: choice`.

    The choice is by default the label itself.
    """
    require(
        knobs is None or isinstance(knobs, dict),
        f"{group}s: {label} must have knobs, as in {{{label}: {{<knob>: <value>}}}}",
        knobs,
    )
    given = dict(knobs or {})
    choice = given.pop(group, label)
    require(
        isinstance(choice, str) and choice != "",
        f"{group}s.{label}.{group} must be a name or the dotted path of a class",
        choice,
    )
    return node_from(group, choice, given, label)


def node_from(group: str, choice: str, given: Mapping[str, Any], label: str | None) -> dict[str, Any]:
    """The configuration of a choice with knobs.

    group: variant or task. choice: a name, or the dotted path of a class of your own. given: knobs that are set; the
    others have the defaults of the class. label: what it is called; by default its name. Raises ValueError for a choice
    that is not there, for a knob that the class does not have and for a value that it does not take.
    """
    kind = GROUPS[group]
    if "." in choice:
        allow([choice])
        cls = type(construct({"_target_": choice, "label": label or choice, **given}, kind))
        name = label or vars(cls).get("name") or cls.__name__  # a name is not handed down to a class of your own
        defaults = {knob: plain_value(parameter.default) for knob, parameter in knobs_of(cls).items()}
        return {"_target_": choice, "label": name, **defaults, **given}
    config = chosen(group, choice)
    allow([str(config.get("_target_", ""))])  # a preset of the user's own may name a class of theirs
    knobs = [str(knob) for knob in config if knob not in ("_target_", "label")]
    for knob, value in given.items():
        if knob not in knobs:
            raise ValueError(f"{group} {label}: {unknown('knob', str(knob), knobs, 'its knobs are')}")
        try:
            config[knob] = value
        except OmegaConfBaseException as error:
            raise ValueError(f"{group} {label}: {knob}={value}: {one_line(error)}") from None
    node = own_knobs(group, plain(config), choice)
    return node if label is None else {**node, "label": label}


def plain_value(value: Any) -> Any:
    """A knob's default as YAML would hold it: a list in place of a tuple."""
    return list(value) if isinstance(value, tuple) else value


def chosen(group: str, choice: str) -> DictConfig:
    """The node of a configuration choice: a class as it registered, or what its preset composes."""
    cls = GROUPS[group].registry.get(choice)
    sources = GlobalHydra.instance().config_loader().get_sources()
    if cls is not None and not any(s.is_config(f"{group}/{choice}") for s in sources if s.scheme() != "structured"):
        return DictConfig(OmegaConf.structured(node_of(cls, choice)))  # composing it takes a tenth of a second
    node = compose("trial", overrides=[f"{group}={choice}"])[group]
    assert isinstance(node, DictConfig)
    return node


def dimension(name: str, node: Any) -> Dimension:
    """A dimension of the space from its configuration. Raises ValueError where it is not one."""
    knobs = {f.name: f for f in fields(Dimension)}
    require(isinstance(node, dict), f"space.{name} must have keys ({', '.join(knobs)})", node)
    for key, value in node.items():
        if key not in knobs:
            raise ValueError(f"space.{name}: {unknown('key', str(key), list(knobs), 'the keys are')}")
        kind, types = {
            "str": ("a key of the trial", str),
            "float": ("a number", int | float),
            "bool": ("true or false", bool),
        }[str(knobs[key].type)]
        fits = isinstance(value, types) and isinstance(value, bool) == (types is bool)
        require(fits, f"space.{name}.{key} must be {kind}", value)
    missing = [key for key, f in knobs.items() if f.default is MISSING and key not in node]
    require(not missing, f"space.{name} must have {', '.join(missing)}", node)
    dimension = Dimension(**node)
    require_key(dimension.key)
    part, _, knob = dimension.key.partition(".")
    kind = str({f.name: f.type for f in fields({"model": Model, "training": Training}[part])}[knob])
    require(kind in ("int", "float"), f"space.{name}.key must be that of a number", dimension.key)
    require(
        kind == "float" or dimension.integer,
        f"space.{name}.integer must be true for {dimension.key}",
        dimension.integer,
    )
    for end in ("low", "high") if dimension.integer else ():
        require(
            float(node[end]).is_integer(), f"space.{name}.{end} must be a whole number for {dimension.key}", node[end]
        )
    return dimension


@contextmanager
def sole_parent(folder: Path) -> Iterator[None]:
    """Hold the study's lock on this machine. Raises ValueError where another process holds it."""
    with (folder / "parent.lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ValueError(f"study: {PARENT_ONLY}, and one is running on {folder}") from None
        yield


class Interruption:
    """What SIGINT and SIGTERM do to a run: the first asks its workers to leave, a second ends them at once and raises
    KeyboardInterrupt.

    processes: the workers. ended: process ids of those that were ended from here. since: when the first came, None
    before.
    """

    def __init__(self, processes: list[BaseProcess]) -> None:
        self.processes, self.ended = processes, set[int]()
        self.since: float | None = None

    def __call__(self, number: int = 0, frame: Any = None) -> None:
        """Take a signal. Some programs pass one on twice within a moment, which counts as one."""
        now = time.monotonic()
        if self.since is None:
            self.since = now
        elif now - self.since > TWICE_SECONDS:
            self.end()
            raise KeyboardInterrupt

    def __bool__(self) -> bool:
        return self.since is not None

    def ask(self) -> None:
        """Ask the workers to leave; those that have not done so after their grace are ended."""
        for process in self.processes:
            if process.is_alive():
                process.terminate()
        # they end themselves if they can
        if self.since is not None and time.monotonic() - self.since > GRACE_SECONDS + 1.0:
            self.end()

    def end(self, only: BaseProcess | None = None) -> None:
        """End all workers, or one, whatever they are doing."""
        for process in self.processes if only is None else [only]:
            if process.is_alive() and process.pid is not None:
                self.ended.add(process.pid)
                process.kill()


class Limit:
    """The limit of time of a trial, for workers that cannot keep it themselves because what they call never gives
    Python back.

    seconds: that a trial may take, 0 for no limit.
    """

    def __init__(self, study: Study, seconds: float) -> None:
        self.study, self.seconds = study, seconds
        # number of a trial in the storage to when it was seen first, by our own clock
        self._since: dict[int, float] = {}

    def keep(self, processes: list[BaseProcess], interruption: Interruption) -> None:
        """End the workers whose trial has run far beyond the limit, and tell that trial failed."""
        if not self.seconds:
            return
        now, latest = time.monotonic(), self.seconds + 2 * overtime(self.seconds)
        held = {h.number: h for h in self.study.held() if h.here}
        self._since = {number: self._since.get(number, now) for number in held}
        for process in processes:
            for number, since in self._since.items():
                if held[number].worker.get("pid") == process.pid and process.is_alive() and now - since > latest:
                    interruption.end(process)
                    process.join(5.0)
                    self.study.fail(number, out_of_time(self.seconds), now - since)


def run(
    study: Study,
    mirror: Mirror | None,
    url: str,
    folder: Path,
    workers: int,
    planning: float = 0.0,
    seconds: float = 0.0,
) -> int:
    """Start the workers, replace those that die, and wait; returns 0 when every trial is told, 130 when interrupted,
    else 1.

    planning: the seconds it took, to be noted with what else the session cost. seconds: that a trial may take, 0 for no
    limit.
    """
    context = multiprocessing.get_context("spawn")
    started: set[int | None] = set()
    processes: list[BaseProcess] = []
    interrupted, limit = Interruption(processes), Limit(study, seconds)

    def start(k: int) -> BaseProcess:
        process = context.Process(
            target=work, args=(url, folder, study.plan.key, os.getpid(), False, seconds), name=f"worker {k}"
        )
        process.start()
        started.add(process.pid)
        return process

    def ask(question: Callable[[], Any]) -> Any:
        return patiently(question, lambda: bool(interrupted))

    def wanted() -> bool:
        return not interrupted and replaced < MOST_REPLACED and not (folder / STOP).exists() and not ask(study.finished)

    done = sum(1 for _ in study.told())
    begun, wall_clock, first = time.perf_counter(), datetime.now(), done
    previous = {s: signal.signal(s, interrupted) for s in (signal.SIGINT, signal.SIGTERM)}
    replaced, spent, waiting_for = 0, 0.0, ""
    tick = in_log()
    memory: list[list[float | None]] = []  # the first sample of processes that work, and the last
    try:
        processes += [start(k) for k in range(min(workers, study.size - done))]
        with tqdm(
            total=study.size,
            initial=done,
            desc=heading(study),
            unit="trial",
            dynamic_ncols=True,
            smoothing=0.05,
            disable=None,
        ) as bar:
            while any(p.is_alive() for p in processes) or wanted():
                if at_once(folder) and not interrupted:
                    interrupted()
                if interrupted:
                    interrupted.ask()
                # reading thousands of trials from a database takes it seconds
                time.sleep(min(5.0, max(POLL_SECONDS, 3 * spent)))
                if mirror is not None and not interrupted:
                    mirror.catch_up(seconds=MIRROR_SECONDS)
                if interrupted:
                    continue
                polled = time.monotonic()
                before, done = done, ask(lambda: sum(1 for _ in study.told()))
                bar.update(done - before)
                ask(lambda: limit.keep(processes, interrupted))
                tick(
                    f"{heading(study)}: {done} of {study.size} trials are done, {duration(time.perf_counter() - begun)} so far"
                )
                spent = time.monotonic() - polled
                sample = [resident(os.getpid()), *(resident(p.pid) for p in processes)]
                if done - first >= 2 * len(processes) and None not in sample:
                    memory = [memory[0] if memory else sample, sample]
                if not wanted():
                    continue
                # Workers leave when nothing waits; what the dead among them held is put back, and then something does.
                for k, process in enumerate(processes):
                    if not process.is_alive():
                        ask(lambda: study.recover(interrupted.ended))
                        ask(study.enqueue)
                        if any(c["waiting"] for c in study.counts().values()):
                            replaced += 1 if process.exitcode and process.pid not in interrupted.ended else 0
                            processes[k] = start(k)
                others = "" if any(p.is_alive() for p in processes) else in_other_hands(study)
                if others and not waiting_for:
                    print(others, file=sys.stderr, flush=True)
                waiting_for = others
        for process in processes:
            process.join()
        study.recover(interrupted.ended)
        study.enqueue()
        if mirror is not None:
            mirror.finish()
    except KeyboardInterrupt:
        # The storage may be what hangs. Without this the next run puts the trials back, and counts an attempt
        # against them.
        last = threading.Thread(target=quietly, args=(lambda: study.recover(interrupted.ended),), daemon=True)
        for process in processes:
            process.join(5.0)
        last.start()
        last.join(3.0)
        print("interrupted twice: the workers were ended at once; the same command goes on from here", file=sys.stderr)
        return 130
    except Exception as error:
        if not interrupted:
            raise
        print(
            f"interrupted while the storage was away ({type(error).__name__}); the same command goes on from here",
            file=sys.stderr,
        )
        return 130
    finally:
        interrupted.end()  # where something was raised; else they have left
        for number, handler in previous.items():
            signal.signal(number, handler)
    path = folder / beside(study, "session")
    known = noted(path)
    new = session(study, started, wall_clock, time.perf_counter() - begun, mirror)
    cost = {**known, **{key: value + known.get(key, 0) for key, value in new.items()}, "workers": len(processes)}
    if planning > 5 or "planning_seconds" not in cost:
        cost["planning_seconds"] = planning
    cost |= {
        "replaced_workers": replaced,
        "megabytes_first": memory[0] if memory else [],
        "megabytes_last": memory[-1] if memory else [],
    }
    write_whole(path, json.dumps(cost) + "\n")
    if interrupted:
        print("interrupted: the trials at hand were put back; the same command goes on from here", file=sys.stderr)
        return 130
    if not study.finished():
        why = "asked to stop" if (folder / STOP).exists() else f"workers ended with {[p.exitcode for p in processes]}"
        print(f"not finished ({why}): the same command goes on from here", file=sys.stderr)
        return 0 if (folder / STOP).exists() else 1
    return 0


def next_step(study: Study, results: Path | str) -> str:
    """The line that says what to do with a study that is finished."""
    words = {"study": study.design.name} | ({} if study.design.comparison else {"search": "yes"})
    return f"next: {command('analysis', results=results, **words)}"


def quietly(action: Callable[[], Any]) -> None:
    """Do something that may as well fail."""
    with suppress(Exception):
        action()


def in_other_hands(study: Study) -> str:
    """One line on the trials that processes of other commands hold; empty where there are none."""
    others = [h for h in study.held() if h.alive and not (h.here and h.worker["pid"] in {os.getpid(), *children()})]
    if not others:
        return ""
    more = f" and {len(others) - 3} more" if len(others) > 3 else ""
    return (
        f"{heading(study)}: {counted(len(others), 'trial')} in the hands of other processes, which are waited for: "
        f"{', '.join(map(str, others[:3]))}{more}; their trials are run again once they are gone"
    )


def children() -> set[int]:
    """Process ids of the children of this process."""
    return {p.pid for p in psutil.Process().children()}


def session(
    study: Study, processes: set[int | None], begun: datetime, seconds: float, mirror: Mirror | None
) -> dict[str, float]:
    """What a run of the command has cost on this machine: trials, wall seconds, those of workers and of their trials,
    those of MLflow.

    processes: ids of the workers. begun: when they were started; each counts until it told its last trial. seconds: how
    long the run took.
    """
    told: dict[int, list[FrozenTrial]] = {}
    for _, _, t in study.told():
        worker = t.user_attrs.get("worker", {})
        if worker.get("host") == socket.gethostname() and worker["pid"] in processes:
            told.setdefault(worker["pid"], []).append(t)
    spent = {pid: sum(t.user_attrs["outcome"]["seconds"] for t in trials) for pid, trials in told.items()}
    present = 0.0
    for pid, trials in told.items():
        ends = [(t.datetime_complete - begun).total_seconds() for t in trials if t.datetime_complete is not None]
        present += min(max(spent[pid], *ends), max(seconds, spent[pid]))  # whatever the clock does
    return {
        "trials": sum(map(len, told.values())),
        "seconds": seconds,
        "worker_seconds": present,
        "trial_seconds": sum(spent.values()),
        "mirrored": mirror.written if mirror is not None else 0,
        "mirror_seconds": mirror.seconds if mirror is not None else 0.0,
    }


def noted(path: Path) -> dict[str, Any]:
    """What earlier sessions have noted in a file; nothing where there is none, or, with a warning, where it cannot be
    read.
    """
    try:
        known = json.loads(path.read_text())
        sums = [
            known.get(key, 0)
            for key in ("trials", "seconds", "worker_seconds", "trial_seconds", "mirrored", "mirror_seconds")
        ]
        if all(isinstance(number, int | float) for number in sums):
            return dict(known)
        why = "it does not hold numbers"
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError) as error:
        why = str(error)
    print(
        f"{path} is ignored, what earlier sessions cost is lost ({why}); delete it, no trial is in it", file=sys.stderr
    )
    return {}


def resident(process: int | None) -> float | None:
    """Megabytes that a process holds in memory, None where it is gone or a zombie."""
    try:
        return float(psutil.Process(process).memory_info().rss / 2**20) or None
    except psutil.Error:
        return None


def opened(url: str, folder: Path, name: str, stage: str = "search") -> Study:
    """A study that exists, or its stage that was planned last. Raises ValueError where there is none."""
    search = find(folder.parent, name, url)
    if stage == "search":
        return search
    planned = [study for study in Study.stages(search.storage, name) if study.plan.stage == stage]
    if not planned:
        raise ValueError(f"stage {stage} of study {name!r} has not been started in {folder.parent}")
    return planned[-1]


def status(url: str, folder: Path, name: str, stage: str) -> int:
    """Print how far a study, or a stage of it, is, and what is left.

    Raises ValueError where a record is not that of its trial.
    """
    study = opened(url, folder, name, stage)
    print_counts(study)
    times = [t.user_attrs["outcome"]["seconds"] for _, _, t in study.told()]
    for line in outlook(study.size - len(times), times, study.held()):
        print(line)
    news = study.news(len(study.sessions()) - 1)
    if news:
        print(news)
    cost = noted(folder / beside(study, "session"))
    if cost.get("trials") and "worker_seconds" in cost:
        overhead = (cost["worker_seconds"] - cost["trial_seconds"]) / cost["trials"]
        text = f"overhead of a trial beyond its own computation: {1000 * overhead:.0f} ms of its worker"
        if cost.get("mirrored"):
            text += f", {1000 * cost['mirror_seconds'] / cost['mirrored']:.0f} ms of the parent to write it to MLflow"
        print(text)
        print(f"planning: {cost['planning_seconds']:.1f} s")
    study.refuse_strangers()
    return 0


def outlook(left: int, times: list[float], held: list[Held]) -> list[str]:
    """Lines on how many trials are left and how long they take, and on those that do not look as if they would end.

    left: trials that have no outcome. times: seconds of those that have. held: trials that run.
    """
    running = [h for h in held if h.alive]
    longest = max(times, default=0.0)
    stuck = [h for h in running if times and h.seconds > max(STUCK_SECONDS, 3 * longest)]
    lines = []
    if left and times:
        mean = sum(times) / len(times)
        line = f"left: {counted(left, 'trial')} of {mean:.1f} s"
        if stuck:
            line += f"; no telling how long, as {counted(len(stuck), 'trial')} may hang"
        elif running:
            line += f"; about {duration(left * mean / len(running))} with {len(running)} running"
        else:
            line += f"; about {duration(left * mean)} with 1 running, but none is"
        lines.append(line)
    lines += [f"may hang: {h}; the longest that ended took {longest:.1f} s" for h in stuck[:4]]
    lines += [f"runs no more: {h}; the same command without action=status runs it again" for h in held if not h.alive]
    return lines


def stop(url: str, folder: Path, name: str, stage: str) -> int:
    """Ask the workers of a study, whatever its stage, to finish what they run and leave; asked a second time, to leave
    at once.
    """
    study = opened(url, folder, name, stage)
    running = [h for h in study.held() if h.alive]
    again = (folder / STOP).exists() and bool(running)
    if again:
        write_whole(folder / STOP, AT_ONCE)
        print(
            f"{study.plan.title}: workers leave at once and put their trials back; what hangs is ended after {GRACE_SECONDS:.0f} s"
        )
    else:
        (writable(folder) / STOP).touch()
        print(f"{study.plan.title}: workers leave after the trial at hand; action=run goes on")
    for h in running[:8]:
        print(f"at hand: {h}")
    if running and not again:
        print("action=stop once more does not wait for them")
    return 0


def retry(url: str, folder: Path, name: str, stage: str) -> int:
    """Make the failed trials of a study, or of a stage, wait again."""
    study = opened(url, folder, name, stage)
    if not url:
        writable(folder)
    count = study.retry()
    print(
        f"{study.plan.title}: {counted(count, 'failed trial')} put back"
        + ("; the same command with action=run runs them" if count else "")
    )
    return 0


def repair(url: str, folder: Path, name: str, stage: str) -> int:
    """Keep what is intact of a damaged journal, with a copy of it as it was, and set aside records that are not those
    of their trials.
    """
    if not url:
        if not (folder / "journal.log").exists():
            find(folder.parent, name)  # says that it is not there
        with sole_parent(writable(folder)):
            for line in repaired(folder / "journal.log", name):
                print(line)
    storage = open_storage(url, folder)
    try:
        search = Study.open(storage, name)
    except KeyError:
        print(
            f"study {name!r}: its design is lost; the command that started it plans it again and finds the trials that are there"
        )
        return 0
    for study in (search, *Study.stages(storage, name)):
        count = study.set_aside()
        if count:
            print(f"{study.plan.title}: {counted(count, 'record')} of another trial than the one planned set aside")
    print(f"next: the command that started study {name!r}; it runs what is missing")
    return 0


def export(url: str, folder: Path, name: str, stage: str) -> int:
    """Write the table of a study with all its stages as `trials.parquet` (read it with pandas, or `python -m analysis
    from=...`).
    """
    opened(url, folder, name, stage)
    import analysis.load  # the archive is the analysis's format

    try:
        writable(folder)
    except ValueError as error:
        raise ValueError(
            f"{error}; {command('analysis', study=name, results=folder.parent, out='FOLDER')} writes elsewhere"
        ) from None
    table, _ = analysis.load.load(name, folder.parent, url, stages=True)
    print(f"{folder / analysis.load.ARCHIVE}: {len(table)} trials")
    return 0


ACTIONS: dict[str, Callable[[str, Path, str, str], int]] = {
    "run": status,
    "status": status,
    "stop": stop,
    "retry": retry,
    "repair": repair,
    "export": export,
}


def duration(seconds: float) -> str:
    """A time in hours, minutes or seconds."""
    return (
        f"{seconds / 3600:.1f} h"
        if seconds > 5400
        else f"{seconds / 60:.0f} min"
        if seconds > 90
        else f"{seconds:.0f} s"
    )


def heading(study: Study) -> str:
    """The name of a study, and of its stage where it is one."""
    name, stage = study.design.name, study.plan.stage
    return name if stage == "search" else f"{name} {stage}"


def counted(number: int, what: str) -> str:
    """A number of things in words: '1 trial', '2 trials'."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def print_failures(study: Study) -> int:
    """Say on stderr how many trials failed, with what, and what to do about it; returns how many."""
    reasons = Counter(error.strip().partition("\n")[0] for error in study.failures())
    total = sum(reasons.values())
    if total:
        print(
            f"{counted(total, 'trial')} failed: action=retry puts {'it' if total == 1 else 'them'} back",
            file=sys.stderr,
        )
        for reason, count in reasons.most_common(3):
            print(f"  {count} x {reason[:200]}", file=sys.stderr)
    return total


def print_counts(study: Study) -> int:
    """A table of done, solved, diverged, failed, running and waiting trials, by task and variant; returns how many
    failed.
    """
    columns = ["told", "solved", "finished", "diverged", "failed", "running", "waiting"]
    if not study.design.comparison:
        columns.insert(4, "pruned")
    width = max(len(heading(study)), *(len(f"{t} {v}") for t, v in study.plan.pairs))
    print(f"{heading(study):<{width}}  " + "  ".join(f"{c:>8}" for c in columns))
    totals = dict.fromkeys(columns, 0)
    for (task, variant), row in study.counts().items():
        for c in columns:
            totals[c] += row.get(c, 0)
        print(f"{f'{task} {variant}':<{width}}  " + "  ".join(f"{row.get(c, 0):>8}" for c in columns))
    print(f"{'all':<{width}}  " + "  ".join(f"{totals[c]:>8}" for c in columns), flush=True)
    return print_failures(study)


if __name__ == "__main__":
    command_line(main, "sweep")
