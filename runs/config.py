"""Configuration: classes become typed Hydra options by themselves, and a composed configuration becomes a trial."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, make_dataclass
from functools import partial
from pathlib import Path
from types import UnionType
from typing import Any, NoReturn, get_origin

import hydra
from hydra._internal.utils import get_args_parser
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException, OverrideParseException
from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import (
    ConfigAttributeError,
    ConfigKeyError,
    ConfigTypeError,
    InterpolationResolutionError,
    MissingMandatoryValue,
    OmegaConfBaseException,
)
from yaml import MarkedYAMLError, YAMLError

from tasks import Task
from tasks.contract import try_out
from variants import Cell, Scheme, knobs_of

from .arguments import refuse_passwords
from .console.early import CONF, choices, mistake
from .console.known import nearest, unknown
from .console.manual import manual
from .files import writable as writable
from .names import checked_name
from .networks.readout import untrained
from .study.stages import Confirm, Horizon
from .trial.trial import Model, Training, Trial, allow, construct, present_target, target_of

MISTAKES = (HydraException, OmegaConfBaseException, YAMLError, ValueError)
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
    """One trial: a variant trained once on a task.

    variant: the cell, what remembers. task: what must be remembered. initialisation: how parameters start.
    model: the network around the cell. training: how it is trained.
    seed: of initialisation, training data and input noise.
    data_seed: of the validation and test sets.
    results: folder that receives everything.
    tracking: where MLflow runs go: sqlite, server, none.
    """

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
    """One study: variants, tasks and the points of a space of hyperparameters at which all variants are trained.

    name: of the study; its folder in the results and its MLflow experiment.
    variants: names, dotted paths of your own cells, or labels with knobs, in the order of the figures;
        `[vanilla, my_package.MyCell, {no_bias: {variant: vanilla, forget_bias: 0}}]`.
    baseline: the variant that the others are compared with.
    tasks: name to knobs; `{adding: {lag: 50}}`. A second version of a task: `{adding_long: {task: adding, lag: 400}}`.
    A task of your own:
        `{digits: {task: my_package.Digits}}`. From the shell `+tasks.digits.task=...` adds one and `~tasks.adding`
        takes one out.
    points: number of hyperparameter points per task, shared by all variants.
    match: parameters (each variant gets the width that has the baseline's number of parameters) or width.
    space: hyperparameter to its range: low, high, log, integer, and the `key` of the trial that it sets.
    seed: from which points, initialisation and data are derived.
    workers: processes on this machine.
    trial_seconds: time that a trial may take before it is told failed, 0 for no limit. It is no part of the design: a
    later run may have
        another limit.
    worker: number of this worker where a launcher starts them (`-m worker='range(0,8)'`); number 0 plans the study.
    sampler: random or sobol (points shared by all variants); tpe or cmaes (each variant is searched on its own).
    pruner: none, asha or median; of a search.
    action: run (start or go on), status, stop (let the workers finish what they run and leave; a second time: at once),
    retry (failed
        trials wait again), repair (keep what is intact of a damaged journal) or export (the table as parquet).
    stage: search; once that is complete, confirm (its winners with fresh seeds) or horizon (its best configurations at
    lags that double).
    confirm, horizon: knobs of the stages, see `runs.study.stages`.
    initialisation: how parameters start. model: layers, directions, engine; the width is searched or matched.
    training: optimiser, budget, evaluation, stopping.
    storage: where the study is recorded: journal, postgres.
    results: folder of all studies.
    tracking: where MLflow runs go: sqlite, server, none.
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
    registered = {group: base.registry for group, base in GROUPS.items()}
    parts = {"model": Model, "training": Training, "tracking": Tracking}
    stages = {"confirm": Confirm, "horizon": Horizon, "storage": Storage}
    for name, schema, classes in (("trial", TrialConfig, parts), ("sweep", SweepConfig, parts | stages)):
        node = {"app_name": "runs", "header": "", "footer": "", "template": manual(name, schema, classes, registered)}
        store.store(group="hydra/help", name=name, node=node, provider="code")
    store.store(name="trial_schema", node=TrialConfig, provider="code")
    store.store(name="sweep_schema", node=SweepConfig, provider="code")


def node_of(cls: type[Any], label: str | None = None) -> type[Any]:
    """The typed configuration of a class: its knobs with their defaults, and with a label also its target."""
    fields: list[tuple[str, Any, Any]] = []
    if label is not None:
        fields = [("_target_", str, field(default=target_of(cls))), ("label", str, field(default=label))]
    for name, knob in knobs_of(cls).items():
        default, kind = knob.default, knob.annotation
        if get_origin(kind) is tuple:
            kind = list[kind.__args__[0]]  # type: ignore[name-defined]
            fields.append((name, kind, field(default_factory=partial(list, default))))
        elif isinstance(kind, UnionType):  # OmegaConf has no type for "a number or a mapping"; the class checks it
            fields.append((name, Any, field(default=default)))
        else:
            fields.append((name, kind, field(default=default)))
    return make_dataclass(f"{cls.__name__}Config", fields)


def plain(config: Any) -> Any:
    """A configuration as plain dictionaries, lists and values, interpolations resolved."""
    return (
        OmegaConf.to_container(config, resolve=True, throw_on_missing=True) if OmegaConf.is_config(config) else config
    )


def own_knobs(group: str, node: Mapping[str, Any], choice: str | None, asked: Collection[str] = ()) -> dict[str, Any]:
    """A node whose `_target_` was replaced keeps only the knobs that were set for the new class, and takes its name as
    label.

    asked: keys of the command line, such as `variant.forget_bias`; these knobs were set, whatever their value.
    """
    registered = {target_of(c): name for name, c in GROUPS[group].registry.items()}
    node = dict(node)
    target = node["_target_"]
    if choice is None or choice not in GROUPS[group].registry:
        return node
    cls = GROUPS[group].registry[choice]
    if present_target(target) == target_of(cls):
        return node
    defaults = {k: list(q.default) if isinstance(q.default, tuple) else q.default for k, q in knobs_of(cls).items()}
    kept = {k: v for k, v in node.items() if k not in defaults or v != defaults[k] or f"{group}.{k}" in asked}
    if node["label"] == choice:
        kept["label"] = registered.get(present_target(target), target.rsplit(".", 1)[-1])
    return kept


def trial_from(config: DictConfig, choices: Mapping[str, str] | None = None, overrides: Sequence[str] = ()) -> Trial:
    """The trial that a composed configuration describes.

    choices: of each group. overrides: the arguments that it was composed from.
    Raises ValueError for a value out of range, for a key that nobody reads, and for an argument without effect.
    """
    refuse_unread(config, TrialConfig)
    values = plain(config)
    asked = by_key(overrides)
    nodes = {g: own_knobs(g, values[g], (choices or {}).get(g), asked) for g in GROUPS}
    trial = Trial(
        **nodes,
        model=Model(**values["model"]),
        training=Training(**values["training"]),
        seed=values["seed"],
        data_seed=values["data_seed"],
    )
    check(trial)
    refuse_idle(config, asked)
    return trial


NESTED = {"model", "training", "tracking", "storage", "confirm", "horizon", "space", "tasks", *GROUPS}


def refuse_unread(config: DictConfig, schema: type[Any]) -> None:
    """Raise ValueError for a key that was added to a configuration and that nobody reads, and for a value where keys
    belong.

    schema: the class whose fields are the keys. Classes with a `_target_` refuse what they do not take themselves.
    """

    def walk(node: DictConfig, names: Sequence[str], above: str) -> None:
        for key in map(str, node):
            if key not in names:
                raise ValueError(unknown("key", key, names, "the keys are", above))

    walk(config, [f.name for f in fields(schema)], "")
    for name in map(str, config):
        node = None if OmegaConf.is_missing(config, name) else config[name]
        if name in NESTED and not OmegaConf.is_missing(config, name) and not isinstance(node, DictConfig):
            raise ValueError(f"{name} must have keys, as in {name}.<key>=<value>, got {plain(node)!r}")
        kind = OmegaConf.get_type(node) if isinstance(node, DictConfig) else None
        if isinstance(node, DictConfig) and is_dataclass(kind) and "_target_" not in node:
            walk(node, [f.name for f in fields(kind)], f"{name}.")


def by_key(overrides: Sequence[str]) -> dict[str, str]:
    """Arguments by the keys that they set: `training.momentum` to `training.momentum=0.5` or to `training={momentum:
    0.5}`.
    """

    def keys(key: str, value: Any) -> Iterator[str]:
        yield key
        for name, below in value.items() if isinstance(value, dict) else ():
            yield from keys(f"{key}.{name}", below)

    parsed = OverridesParser.create().parse_overrides(list(overrides))
    return {
        key: str(o.input_line)
        for o in parsed
        for key in keys(o.key_or_group, None if o.is_sweep_override() else o.value())
    }


def refuse_idle(config: DictConfig, asked: Mapping[str, str]) -> None:
    """Raise ValueError for an argument of a trial or a study that has no effect beside the others."""
    if not config.results:
        raise ValueError("results must name a folder, got ''")
    if "training.momentum" in asked and config.training.optimiser != "nesterov":
        raise ValueError(
            f"{asked['training.momentum']}: is read with training.optimiser=nesterov only, got {config.training.optimiser}"
        )
    if "tracking.uri" in asked and not config.tracking.enabled:
        raise ValueError(f"{asked['tracking.uri']}: is read where MLflow is written only, got tracking.enabled=false")


def check(trial: Trial) -> None:
    """Raise ValueError where a part of a trial cannot be built, has a label that is no name, or its task breaks the
    contract of tasks.
    """
    allow(node["_target_"] for node in (trial.variant, trial.task, trial.initialisation))
    for thing, node in (("variant", trial.variant), ("task", trial.task)):
        checked_name(node["label"], f"{thing}.label")
    construct(trial.variant, Cell).validate(trial.model.hidden_size, trial.model.layers)
    try_out(construct(trial.task, Task))
    construct(trial.initialisation, Scheme)
    if trial.model.regularised:
        untrained(trial)


def command_line(main: Callable[[DictConfig], int], config_name: str) -> None:
    """Run `main` with the configuration of the command line; a mistake in it is one line on stderr and exit code 2.

    In a multirun `main` runs in processes of a launcher; what they raise is raised here again.
    """
    asked = os.environ.get("HYDRA_FULL_ERROR")
    verbose = asked == "1"
    multirun = not {"-m", "--multirun"}.isdisjoint(sys.argv)
    os.environ["HYDRA_FULL_ERROR"] = "1"  # let exceptions through; Hydra would print them and exit with 1
    code = 0

    def refuse(error: Exception) -> None:
        nonlocal code
        if verbose:
            raise error
        print(f"error: {one_line(error, sys.argv[1:])}", file=sys.stderr)
        code = 2

    begun = False

    def body(config: DictConfig) -> None:
        nonlocal code, begun
        begun = True
        try:
            code = main(config)
        except MISTAKES as error:
            if multirun:
                raise ValueError(one_line(error, sys.argv[1:])) from (error if verbose else None)
            refuse(error)

    try:
        refuse_passwords(sys.argv[1:])
        register()
        refuse_options(sys.argv[1:])
        if line := mistake(config_name, sys.argv[1:], {group: base.registry for group, base in GROUPS.items()}):
            raise ValueError(line)
        hydra.main(version_base="1.3", config_path=str(CONF), config_name=config_name)(body)()
    except MISTAKES as error:
        refuse(error)
    except BrokenPipeError:  # whoever read the help went away
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except OSError as error:  # a folder of Hydra's own
        if begun:
            raise
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


def refuse_options(arguments: Sequence[str]) -> None:
    """Raise ValueError for options that Hydra does not have, and for values that they do not take; Hydra would print
    its usage.
    """

    def error(message: str) -> NoReturn:
        words = message.removeprefix("unrecognized arguments: ").split()
        if all("=" in word and not word.startswith("-") for word in words):
            raise ValueError(
                f"{words[0]}: an option such as -m may not stand between key=value arguments; write the options first"
            )
        raise ValueError(f"{message}; --help lists the options")

    parser = get_args_parser()
    parser.error = error  # type: ignore[method-assign]
    parser.parse_args(arguments)


def one_line(error: BaseException, arguments: Sequence[str] = ()) -> str:
    """The gist of an error in one line: which key or file, which rule, which value, and the nearest right spelling.

    arguments: the command line, for the argument that an error is about.
    """
    inner = error.__cause__ or error.__context__
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, choice = error.missing_cfg_file.rpartition("/")
        return unknown(group or "preset", choice, error.options or choices(group))
    if isinstance(error, OverrideParseException):
        return unreadable(error)
    if isinstance(error, MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return f"{shown(mark.name)}, line {mark.line + 1}: {error.problem}"
    if isinstance(error, UnicodeDecodeError):
        return f"a file of the configuration must be UTF-8: {error}"
    if isinstance(error, ConfigCompositionException) and isinstance(inner, ConfigKeyError | ConfigAttributeError):
        return no_such_key(error, inner, arguments)
    if isinstance(error, MissingMandatoryValue):
        return f"{error.full_key or str(error).rpartition(' ')[2]} must be given"
    if isinstance(error, InterpolationResolutionError):
        missing = next(
            (
                cause
                for cause in causes(error)
                if isinstance(cause, KeyError) and not isinstance(cause, OmegaConfBaseException)
            ),
            None,
        )
        return f"{error.full_key}: {missing.args[0] if missing else str(error).splitlines()[0]}"
    if isinstance(error, ConfigTypeError) and "Cannot merge" in str(error):
        return "a list stands where names with values belong, or the other way round"
    if isinstance(error, ConfigCompositionException) and isinstance(inner, OmegaConfBaseException):
        if file := re.match(r"In '(.+?)': ", str(error)):
            return f"{file[1]}.yaml: " + (f"{inner.full_key}: " if inner.full_key else "") + one_line(inner)
        override = str(error).splitlines()[0].removeprefix("Error merging override ") if str(error) else ""
        if override.startswith("~"):
            return f"{override}: what has a default cannot be taken out, only set"
        return f"{override}: {one_line(inner)}" if override else one_line(inner)
    if isinstance(error, ConfigCompositionException):
        # Hydra has no fields for these
        if absent := re.match(r"Could not delete from config\. '(.+)' does not exist", str(error)):
            return f"~{absent[1]}: there is no {absent[1]} that could be taken out"
        if there := re.match(
            r"Could not append to config\. An item is already at '.+'\.\n *Either remove \+ prefix: '(.+)'", str(error)
        ):
            return f"+{there[1]}: it is there already; write {there[1]}"
    lines = [" ".join(part.split()) for part in str(error).strip().splitlines()]
    return " ".join(
        part
        for part in lines
        if part and not part.startswith(("full_key:", "object_type=", "reference_type=", "See https"))
    )


def causes(error: BaseException) -> Iterator[BaseException]:
    """An error and what led to it, the latest first."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__  # type: ignore[assignment]


def no_such_key(error: ConfigCompositionException, found: OmegaConfBaseException, arguments: Sequence[str]) -> str:
    """The line for a key that is not there, in a file or on the command line.

    found: OmegaConf's part of the error, with the whole key and the node that should have had it.
    """
    key, there = (
        str(found.full_key),
        [str(k) for k in found.parent_node or () if k not in ("_target_", "label", "hydra")],
    )
    file = re.match(r"In '(.+?)': ", str(error))  # Hydra has no field for it
    if file is not None:
        if key == file[1].partition("/")[0]:
            return f"{file[1]}.yaml: the first line must be '# @package _global_', without which all its keys stand under {key!r}"
        return f"{file[1]}.yaml: {unknown('key', key, there, 'the keys are')}"
    above, _, last = key.rpartition(".")
    given = ((a, a.partition("=")[0]) for a in arguments)
    argument = next((a for a, k in given if f"{key}.".startswith(f"{k}.") or k.startswith(f"{key}.")), f"{key}=...")
    if above == "tasks":
        near = nearest(last, there)
        hint = f"did you mean tasks.{near}?" if near else f"{shlex.quote('+' + argument)} adds one"
        return f"tasks.{last}: the tasks of the study are {', '.join(there) or 'none yet'}; {hint}"
    if above.startswith("tasks."):
        task = str((found.parent_node or {}).get("task", above.removeprefix("tasks.")))
        knobs = list(knobs_of(Task.registry[task])) if task in Task.registry else []
        if last in knobs or not knobs:
            return f"{key} is not set in this study; {shlex.quote('+' + argument)} sets it"
        return unknown("key", last, knobs, "the keys are", f"{above}.")
    if above == "space":
        return unknown("hyperparameter", last, there, "the space has") + f"; {shlex.quote('+' + argument)} adds one"
    return unknown("key", last, there, "the keys are", f"{above}." if above else "")


def unreadable(error: OverrideParseException) -> str:
    """The line for an argument that Hydra's grammar does not take."""
    argument = error.override
    if "=" not in argument and not argument.startswith("~"):
        groups = [g for g in GROUPS if argument in GROUPS[g].registry]
        return f"an argument must be key=value, got {argument!r}" + (
            f"; did you mean {groups[0]}={argument}?" if groups else ""
        )
    for reason in causes(error):
        if (at := getattr(reason, "startIndex", None)) is not None:  # of the lexer's error
            return f"{argument}: cannot be read at {argument[at]!r} (character {at + 1}); a value that holds such a sign needs quotes"
    return f"{argument}: cannot be read; a list is [a,b], names with values are {{a: 1, b: 2}}, and text with other signs needs quotes"


def shown(path: str) -> str:
    """A path as it is written in the project's root."""
    return os.path.relpath(path, CONF.parent) if Path(path).is_relative_to(CONF.parent) else path
