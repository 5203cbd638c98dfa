"""Configuration: classes become typed Hydra options by themselves, and a composed configuration becomes a trial."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, make_dataclass
from functools import partial
from pathlib import Path
from typing import Any, get_origin

import hydra
from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException
from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from tasks import Task
from tasks.contract import try_out
from variants import Cell, Scheme, knobs_of

from .files import writable as writable
from .names import checked_name
from .shell import refuse_passwords
from .stages import Confirm, Horizon
from .trial import Model, Training, Trial, allow, construct

CONF = Path(__file__).resolve().parent.parent / "conf"
MISTAKES = (HydraException, OmegaConfBaseException, ValueError)
GROUPS: dict[str, type[Any]] = {"variant": Cell, "task": Task, "initialisation": Scheme}


@dataclass
class Tracking:
    """Where MLflow runs go.

    enabled: whether to write them at all.
    uri: a database or a server; empty for an SQLite file `mlflow.db` in the results folder.
    """

    enabled: bool = True
    uri: str = ""


@dataclass
class Storage:
    """Where a study is recorded. url: of an Optuna storage; empty for a journal file in the study's folder."""

    url: str = ""


@dataclass
class TrialConfig:
    """One trial from the shell. results: folder that receives everything."""

    variant: Any = MISSING
    task: Any = MISSING
    initialisation: Any = MISSING
    model: Any = MISSING
    training: Any = MISSING
    seed: int = 0
    data_seed: int = 0
    results: str = "results"
    tracking: Tracking = field(default_factory=Tracking)


@dataclass
class SweepConfig:
    """One study from the shell.

    name: of the study; its folder in the results and its MLflow experiment.
    variants: configuration choices, or dotted paths of your own cells, in the order of the figures.
    baseline: the variant that the others are compared with.
    tasks: name to knobs; `{adding: {lag: 50}}`. A second version of a task: `{adding_long: {task: adding, lag: 400}}`.
    points: number of hyperparameter points per task, shared by all variants.
    match: parameters (each variant gets the width that has the baseline's number of parameters) or width.
    space: hyperparameter to its range: low, high, log, integer, and the `key` of the trial that it sets.
    seed: from which points, initialisation and data are derived.
    workers: processes on this machine.
    trial_seconds: time that a trial may take before it is told failed, 0 for no limit. It is no part of the design: a later run may have
        another limit.
    worker: number of this worker where a launcher starts them (`-m worker='range(0,8)'`); number 0 plans the study.
    sampler: random or sobol (points shared by all variants); tpe or cmaes (each variant is searched on its own).
    pruner: none, asha or median; of a search.
    action: run (start or go on), status, stop (let the workers finish what they run and leave; a second time: at once), retry (failed
        trials wait again), repair (keep what is intact of a damaged journal) or export (the table as parquet).
    stage: search; once that is complete, confirm (its winners with fresh seeds) or horizon (its best configurations at lags that double).
    confirm, horizon: knobs of the stages, see `runs.stages`.
    """

    name: str = MISSING
    variants: Any = field(default_factory=list)
    baseline: str = "vanilla"
    tasks: Any = field(default_factory=dict)
    points: int = 50
    match: str = "parameters"
    space: Any = field(default_factory=dict)
    initialisation: Any = MISSING
    model: Any = MISSING
    training: Any = MISSING
    seed: int = 0
    sampler: str = "random"
    pruner: str = "none"
    workers: int = 1
    trial_seconds: float = 0.0
    worker: int | None = None
    action: str = "run"
    stage: str = "search"
    confirm: Any = field(default_factory=lambda: node_of(Confirm)())
    horizon: Any = field(default_factory=lambda: node_of(Horizon)())
    storage: Storage = field(default_factory=Storage)
    results: str = "results"
    tracking: Tracking = field(default_factory=Tracking)


def register() -> None:
    """Store every registered class and the structured parts with Hydra."""
    store = ConfigStore.instance()
    for group, base in GROUPS.items():
        for name, cls in base.registry.items():
            store.store(group=group, name=name, node=node_of(cls, name), provider="code")
    for cls in (Model, Training):
        store.store(group=cls.__name__.lower(), name=cls.__name__.lower(), node=node_of(cls), provider="code")
    store.store(name="trial_schema", node=TrialConfig, provider="code")
    store.store(name="sweep_schema", node=SweepConfig, provider="code")


def node_of(cls: type[Any], label: str | None = None) -> type[Any]:
    """The typed configuration of a class: its knobs with their defaults, and with a label also its target."""
    fields: list[tuple[str, Any, Any]] = []
    if label is not None:
        fields = [("_target_", str, field(default=f"{cls.__module__}.{cls.__qualname__}")), ("label", str, field(default=label))]
    for name, knob in knobs_of(cls).items():
        default, kind = knob.default, knob.annotation
        if get_origin(kind) is tuple:
            kind = list[kind.__args__[0]]  # type: ignore[name-defined]
            fields.append((name, kind, field(default_factory=partial(list, default))))
        else:
            fields.append((name, kind, field(default=default)))
    return make_dataclass(f"{cls.__name__}Config", fields)


def plain(config: Any) -> Any:
    """A configuration as plain dictionaries, lists and values, interpolations resolved."""
    return OmegaConf.to_container(config, resolve=True, throw_on_missing=True) if OmegaConf.is_config(config) else config


def own_knobs(group: str, node: Mapping[str, Any], choice: str | None) -> dict[str, Any]:
    """A node whose `_target_` was replaced keeps only the knobs that were set for the new class, and takes its name as label."""
    registered = {f"{c.__module__}.{c.__qualname__}": name for name, c in GROUPS[group].registry.items()}
    node = dict(node)
    target = node["_target_"]
    if choice is None or choice not in GROUPS[group].registry:
        return node
    cls = GROUPS[group].registry[choice]
    if target == f"{cls.__module__}.{cls.__qualname__}":
        return node
    defaults = {k: list(q.default) if isinstance(q.default, tuple) else q.default for k, q in knobs_of(cls).items()}
    kept = {k: v for k, v in node.items() if k not in defaults or v != defaults[k]}
    if node["label"] == choice:
        kept["label"] = registered.get(target, target.rsplit(".", 1)[-1])
    return kept


def trial_from(config: DictConfig, choices: Mapping[str, str] | None = None) -> Trial:
    """The trial that a composed configuration describes. Raises ValueError for a value out of range."""
    values = plain(config)
    nodes = {g: own_knobs(g, values[g], (choices or {}).get(g)) for g in GROUPS}
    trial = Trial(
        **nodes,
        model=Model(**values["model"]),
        training=Training(**values["training"]),
        seed=values["seed"],
        data_seed=values["data_seed"],
    )
    check(trial)
    return trial


def check(trial: Trial) -> None:
    """Raise ValueError where a part of a trial cannot be built, has a label that is no name, or its task breaks the contract of tasks."""
    allow(node["_target_"] for node in (trial.variant, trial.task, trial.initialisation))
    for thing, node in (("variant", trial.variant), ("task", trial.task)):
        checked_name(node["label"], f"{thing}.label")
    cell = construct(trial.variant, Cell)
    cell.validate(trial.model.hidden_size, trial.model.layers)
    try_out(construct(trial.task, Task))
    construct(trial.initialisation, Scheme)


def command_line(main: Callable[[DictConfig], int], config_name: str) -> None:
    """Run `main` with the configuration of the command line; a mistake in it is one line on stderr and exit code 2.

    In a multirun `main` runs in processes of a launcher; what they raise is raised here again.
    """
    register()
    asked = os.environ.get("HYDRA_FULL_ERROR")
    verbose = asked == "1"
    multirun = not {"-m", "--multirun"}.isdisjoint(sys.argv)
    os.environ["HYDRA_FULL_ERROR"] = "1"  # let exceptions through; Hydra would print them and exit with 1
    code = 0

    def refuse(error: Exception) -> None:
        nonlocal code
        if verbose:
            raise error
        print(f"error: {one_line(error)}", file=sys.stderr)
        code = 2

    def body(config: DictConfig) -> None:
        nonlocal code
        try:
            code = main(config)
        except MISTAKES as error:
            if multirun:
                raise ValueError(one_line(error)) from (error if verbose else None)
            refuse(error)

    try:
        refuse_passwords(sys.argv[1:])
        hydra.main(version_base="1.3", config_path=str(CONF), config_name=config_name)(body)()
    except MISTAKES as error:
        refuse(error)
    except KeyboardInterrupt:
        print("interrupted" + ("; workers that a scheduler runs go on" if multirun else ""), file=sys.stderr)
        code = 130
    except Exception as error:  # whatever a launcher raises for a worker that it lost
        if not multirun or verbose:
            raise
        lost = f"a worker was lost ({type(error).__name__})"
        print(f"error: {lost}; action=status says how far the study is, the same command goes on", file=sys.stderr)
        code = 1
    finally:
        os.environ.pop("HYDRA_FULL_ERROR")
        if asked is not None:
            os.environ["HYDRA_FULL_ERROR"] = asked
    sys.exit(code)


def one_line(error: BaseException) -> str:
    """The gist of an error: Hydra's and OmegaConf's messages without their full_key and object_type lines."""
    missing = re.search(r"Could not find '(.+)/([^/']+)'", str(error))
    if missing:
        group, choice = missing.groups()
        options = re.search(rf"Available options in '{group}':\n((?:\t\S+\n?)+)", str(error))
        there = ", ".join(options.group(1).split()) if options else "none"
        return f"unknown {group} {choice!r}; there is: {there}"
    unknown = re.search(r"Could not override '(.+?)'", str(error))
    if unknown:
        return f"unknown key {unknown.group(1)!r}"
    if str(error).startswith("Error merging override") and error.__cause__ is not None:
        override = str(error).splitlines()[0].removeprefix("Error merging override ")
        return f"{override}: {one_line(error.__cause__)}"
    lines = [" ".join(part.split()) for part in str(error).strip().splitlines()]
    return " ".join(part for part in lines if part and not part.startswith(("full_key:", "object_type=", "reference_type=", "See https")))
